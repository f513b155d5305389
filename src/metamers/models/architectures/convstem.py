"""ViT-B with a convolutional stem, written from its paper.

Singh, Croce, Hein (2023), Revisiting adversarial training for ImageNet, arXiv:2303.01870,
section 3.1 and appendix A: the patch embedding of a ViT-B/16 becomes four 3x3 convolutions of
stride 2, each followed by a LayerNorm over channels and a GELU, and a 1x1 convolution. The names
and shapes of the weights are those of the published checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

STEM_WIDTHS = (48, 96, 192, 384)
TOKEN_WIDTH = 768


def vit_base_convstem() -> nn.Module:
    """Return the network with fresh weights.

    Takes images in [0, 1], ``(n, 3, 224, 224)``, without mean and standard deviation, and
    returns logits, ``(n, 1000)``.
    """
    import timm

    network = timm.create_model("vit_base_patch16_224", pretrained=False)
    network.patch_embed.proj = ConvStem()
    return network


class ConvStem(nn.Module):
    """From images, ``(n, 3, side, side)``, to tokens, ``(n, 768, side / 16, side / 16)``."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_stem_layers())

    def forward(self, images: Tensor) -> Tensor:
        """Return the tokens on their grid."""
        return self.stem(images)


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of each position, of ``(n, channels, height, width)``."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, values: Tensor) -> Tensor:
        """Return the values with mean 0 and variance 1 over channels, scaled and shifted."""
        last = values.movedim(1, -1)
        normed = nn.functional.layer_norm(last, self.weight.shape, self.weight, self.bias, self.eps)
        return normed.movedim(-1, 1)


def _stem_layers() -> Iterator[nn.Module]:
    for before, after in zip((3, *STEM_WIDTHS), STEM_WIDTHS, strict=False):
        yield nn.Conv2d(before, after, kernel_size=3, stride=2, padding=1)
        yield ChannelNorm(after)
        yield nn.GELU()
    yield nn.Conv2d(STEM_WIDTHS[-1], TOKEN_WIDTH, kernel_size=1)
