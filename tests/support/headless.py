"""Small networks without ImageNet's classes, and their rows of the zoo."""

import torch
from torch import nn


class Trunk(nn.Sequential):
    """Three convolutions, which answer with features."""

    def __init__(self) -> None:
        super().__init__(
            *(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU()),
            *(nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU()),
            *(nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU()),
        )


def trunk() -> nn.Module:
    return Trunk()


def ten_classes() -> nn.Module:
    return nn.Sequential(*Trunk(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))


class _Blind(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.ones_like(images)


def blind() -> nn.Module:
    return nn.Sequential(_Blind(), *Trunk())


def row(factory: str, **changes: object) -> dict:
    """Return a row whose network is one of these functions, with random weights."""
    return {
        "label": factory,
        "family": "cnn",
        "training": "standard",
        "architecture": f"import:headless:{factory}",
        "blocks": ["[135]"] if factory != "blind" else ["[246]"],
        "normalisation": None,
        "head": "none",
        "weights": {"source": "random", "seed": 1},
    } | changes
