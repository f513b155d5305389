"""What several test files use."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def small_network(seed: int, rectified: bool = True) -> nn.Module:
    """A network of 8x8 images with random weights, frozen."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = [nn.Conv2d(3, 6, 3, padding=1), nn.Tanh(), nn.Conv2d(6, 4, 3)]
        network = nn.Sequential(*layers, *([nn.ReLU()] if rectified else []))
    return network.eval().requires_grad_(False)


@pytest.fixture
def networks():
    return {f"net{seed}": small_network(seed) for seed in range(3)}


@pytest.fixture
def references():
    return torch.rand((4, 3, 8, 8), generator=torch.Generator().manual_seed(7))


@pytest.fixture
def image_ids():
    return ["a", "b", "c", "d"]
