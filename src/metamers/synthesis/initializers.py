"""Where synthesis starts. Each image's start depends on the run's seed and its id alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Generator, Tensor


def generator_for(seed: int, image_id: str) -> Generator:
    """Return the generator of one image, on the CPU, whatever its batch, shard or order."""
    digest = hashlib.sha256(f"{seed}/{image_id}".encode()).digest()
    return Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def initialize(
    settings: Mapping[str, Any], references: Tensor, image_ids: Sequence[str], seed: int
) -> Tensor:
    """Return the starting images, of the shape of the references, not yet clamped.

    Parameters
    ----------
    settings
        ``kind`` and its own keys: the recipe's ``initializer``.
    references
        Images, ``(batch, 3, height, width)`` in [0, 1], float32, on any device.
    image_ids
        One per image.
    seed
        Seed of the run.
    """
    values = dict(settings)
    draw = INITIALIZERS[values.pop("kind")]
    starts = [
        draw(image.cpu(), generator_for(seed, image_id), **values)
        for image, image_id in zip(references, image_ids, strict=True)
    ]
    return torch.stack(starts).to(references)


def uniform(reference: Tensor, generator: Generator, center: float, radius: float) -> Tensor:
    """Return pixels drawn uniformly from ``center ± radius`` (Table 3, as read here)."""
    return center + radius * (2 * torch.rand(reference.shape, generator=generator) - 1)


def l1_ball(reference: Tensor, generator: Generator, center: float, radius: float) -> Tensor:
    """Return a point drawn uniformly from the l1 ball around a constant image.

    Table 3 taken at its word. In so many dimensions it is about ``radius / n`` per pixel:
    flat grey. Drawn by normalising exponential variables with one to spare (Calafiore,
    Dabbene and Tempo 1998).
    """
    draws = torch.empty(reference.numel() + 1, dtype=torch.float64)
    draws.exponential_(generator=generator)
    signs = 2 * torch.randint(0, 2, (reference.numel(),), generator=generator) - 1
    offsets = radius * signs * draws[:-1] / draws.sum()
    return (center + offsets.view(reference.shape)).to(torch.float32)


def gaussian(reference: Tensor, generator: Generator, center: float, sd: float) -> Tensor:
    """Return pixels drawn from a normal law (Feather et al. 2023: 0.5 ± 0.05)."""
    return center + sd * torch.randn(reference.shape, generator=generator)


def constant(reference: Tensor, generator: Generator, center: float) -> Tensor:
    """Return an image of one value."""
    return torch.full_like(reference, center)


def reference(reference: Tensor, generator: Generator) -> Tensor:
    """Return the reference itself."""
    return reference.clone()


INITIALIZERS: dict[str, Callable[..., Tensor]] = {
    "uniform": uniform,
    "l1_ball": l1_ball,
    "gaussian": gaussian,
    "constant": constant,
    "reference": reference,
}
