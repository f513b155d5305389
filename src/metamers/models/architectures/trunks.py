"""Trunks: networks without a head, whose weights come in packages."""

from __future__ import annotations

from torch import nn


def mobilenet_v2_trunk() -> nn.Module:
    """Return MobileNetV2 without its classifier: images ``(n, 3, h, w)`` to ``(n, 1280)``."""
    import timm

    return timm.create_model("mobilenetv2_100", pretrained=False, num_classes=0)


def vit_small_patch14_trunk() -> nn.Module:
    """Return a ViT-S/14 in the layout of DINOv2: images ``(n, 3, 14 i, 14 j)`` to ``(n, 384)``.

    It has position embeddings for 224 pixels; timm resamples them for images of other sizes.
    """
    import timm

    return timm.create_model(
        "vit_small_patch14_dinov2", pretrained=False, img_size=224, dynamic_img_size=True
    )
