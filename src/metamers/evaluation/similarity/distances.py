"""Euclidean distances of activations within a set of images and to their partners.

Activations can be far larger than their distances (400 images of an early ResNet-50 layer:
1.3 GB). They come from a function of image positions, are kept only as far as a stated budget
of memory allows, and are asked for again beyond it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Source = Callable[[int, int], Tensor]
"""Activations of the images from a position up to another, shape (stop - start, …)."""

BUDGET = 2 * 2**30  # bytes of activations held at once
CHUNK = 2**23  # values turned to float64 at a time
NEAR = 1e-6  # squared distance over squared norms below which differences are taken one by one


def as_source(activations: Tensor | NDArray) -> Source:
    """Return activations that are in memory as a source."""
    rows = torch.as_tensor(activations)
    return lambda start, stop: rows[start:stop]


def pair_distances(source: Source, n: int, *, budget: int = BUDGET) -> NDArray[np.float64]:
    """Return the distances of all pairs of images, shape (n, n), accumulated in float64.

    Parameters
    ----------
    source
        Gives the activations; called again for the same images where the budget is too small
        for all of them.
    n
        Number of images.
    budget
        Bytes of activations that may be held at once; two images are held in any case.

    Raises
    ------
    ValueError
        If activations are not finite, or the source gives other numbers of rows.
    """
    block = _block_rows(source, n, budget)
    distances = np.zeros((n, n))
    for start in range(0, n, block):
        rows = _rows_of(source, start, min(start + block, n))
        for other in range(start, n, block):
            columns = rows if other == start else _rows_of(source, other, min(other + block, n))
            found = _distances(rows, columns, rows[0]).cpu().numpy()
            distances[start : start + len(rows), other : other + len(columns)] = found
            distances[other : other + len(columns), start : start + len(rows)] = found.T
    np.fill_diagonal(distances, 0.0)
    return distances


def matched_distances(
    references: Source, metamers: Source, n: int, *, batch_size: int = 16
) -> NDArray[np.float64]:
    """Return each reference's distance to its metamer, shape (n,), in float64.

    Raises
    ------
    ValueError
        If shapes disagree, or activations are not finite.
    """
    found: list[float] = []
    for start in range(0, n, batch_size):
        stop = min(start + batch_size, n)
        first, second = _rows_of(references, start, stop), _rows_of(metamers, start, stop)
        if first.shape != second.shape:
            raise ValueError(
                f"activations of references have the shape {tuple(first.shape)}, "
                f"of metamers {tuple(second.shape)}"
            )
        pairs = zip(first, second, strict=True)
        found += [float((a.double() - b.double()).norm()) for a, b in pairs]
    return np.array(found)


def fits(n: int, row: Tensor, budget: int = BUDGET) -> bool:
    """Return whether the activations of n images, each like the row, fit into the budget."""
    return n * row.numel() * row.element_size() <= budget


def _block_rows(source: Source, n: int, budget: int) -> int:
    first = source(0, 1)
    if fits(n, first[0], budget):
        return n
    return max(1, budget // (2 * first[0].numel() * first.element_size()))


def _rows_of(source: Source, start: int, stop: int) -> Tensor:
    rows = source(start, stop).flatten(1)
    if len(rows) != stop - start:
        raise ValueError(f"{len(rows)} activations came for the images {start} to {stop - 1}")
    if not torch.isfinite(rows).all():
        raise ValueError(f"activations of the images {start} to {stop - 1} hold NaN or infinity")
    return rows


def _distances(first: Tensor, second: Tensor, centre: Tensor) -> Tensor:
    """Return all distances from the rows of one to those of the other.

    By products of centred rows, some features at a time; where rows lie so close together that
    this loses digits, by their differences.
    """
    products = torch.zeros(len(first), len(second), dtype=torch.float64, device=first.device)
    norms = [products.new_zeros(len(rows)) for rows in (first, second)]
    for one, other, middle in _feature_chunks(first, second, centre):
        a, b = one - middle, other - middle
        products += a @ b.T
        norms[0] += a.square().sum(dim=1)
        norms[1] += b.square().sum(dim=1)
    scale = norms[0][:, None] + norms[1][None, :]
    squares = scale - 2 * products
    near = squares < NEAR * scale
    if first is second:
        near.fill_diagonal_(False)
    for i in near.any(dim=1).nonzero().flatten().tolist():
        chunks = _feature_chunks(first[i], second[near[i]])
        squares[i, near[i]] = sum((other - one).square().sum(dim=1) for one, other in chunks)
    return squares.clamp(min=0).sqrt()


def _feature_chunks(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yield the same few features of each, as float64."""
    rows = sum(tensor[..., 0].numel() for tensor in tensors)
    width = max(1, CHUNK // rows)
    for parts in zip(*(tensor.split(width, dim=-1) for tensor in tensors), strict=True):
        yield tuple(part.double() for part in parts)
