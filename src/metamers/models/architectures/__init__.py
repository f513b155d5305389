"""Architectures of the paper's zoo that no maintained package carries."""

from metamers.models.architectures.convstem import vit_base_convstem
from metamers.models.architectures.cornet import cornet_s

__all__ = ["cornet_s", "vit_base_convstem"]
