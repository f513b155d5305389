"""Architectures of the paper's zoo that no maintained package carries."""

from metamers.architectures.convstem import vit_base_convstem
from metamers.architectures.cornet import cornet_s

__all__ = ["cornet_s", "vit_base_convstem"]
