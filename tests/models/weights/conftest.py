"""What tests of the weights share."""

from __future__ import annotations

import pytest
import torch
import torchvision
from cached_files import zoo_of_two


@pytest.fixture
def part(tmp_path):
    return tmp_path / "partial" / "weights.pth.part"


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("METAMERS_LOCK", raising=False)
    monkeypatch.delenv("METAMERS_CACHE", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def models(tmp_path):
    return zoo_of_two(tmp_path)


@pytest.fixture(scope="module")
def model():
    """A small network with batch normalisation."""
    torch.manual_seed(0)
    return torchvision.models.shufflenet_v2_x0_5()
