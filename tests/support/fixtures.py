"""The repository's root, and a small network, for many test files."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

ROOT = Path(__file__).parents[2]


def small_network(seed: int, rectified: bool = True) -> nn.Module:
    """A network of 8x8 images with random weights, frozen."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = [nn.Conv2d(3, 6, 3, padding=1), nn.Tanh(), nn.Conv2d(6, 4, 3)]
        network = nn.Sequential(*layers, *([nn.ReLU()] if rectified else []))
    return network.eval().requires_grad_(False)


class Widen(nn.Module):
    def forward(self, values):
        return nn.functional.pad(values.flatten(1), (0, 1000 - 32))


def two_convolutions():
    return nn.Sequential(nn.Conv2d(3, 2, 1), nn.Conv2d(2, 2, 3, padding=1), Widen())
