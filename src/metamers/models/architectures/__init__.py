"""Architectures that no maintained package carries as the zoo needs them."""

from metamers.models.architectures.convstem import vit_base_convstem
from metamers.models.architectures.cornet import cornet_s
from metamers.models.architectures.trunks import mobilenet_v2_trunk, vit_small_patch14_trunk

__all__ = ["cornet_s", "mobilenet_v2_trunk", "vit_base_convstem", "vit_small_patch14_trunk"]
