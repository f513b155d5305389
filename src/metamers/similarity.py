"""Representational similarity: distances of activations and their divergences (section 4.5).

Three samples of Euclidean distances are compared: of references with each other, of metamers
with each other, and of each reference with its own metamer. Each is smoothed by a gaussian
kernel on a shared grid; the divergence is Jensen and Shannon's, base 2, not its square root.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metamers.densities import bandwidth, grid_of, grid_weights, jensen_shannon, smoothed
from metamers.tables import COMPARISONS

Array = NDArray[np.float64]
SAMPLES = ("reference-reference", "metamer-metamer", "reference-metamer")


@dataclass(frozen=True)
class Comparison:
    """The divergence of two distributions of distances, a row of the table `similarity`.

    Attributes
    ----------
    divergence
        In bits: 0 for equal distributions, 1 for disjoint ones. It has no sign.
    low, high
        Ends of the bootstrap interval over images; None where none was asked for.
    median_ratio
        Median of the second sample over that of the first: which of the two is larger.
        Infinity if only the first median is 0, NaN if both are.
    n_images
        Number of images.
    """

    comparison: str
    divergence: float
    low: float | None
    high: float | None
    median_ratio: float
    n_images: int


def compare(
    references: ArrayLike,
    metamers: ArrayLike,
    *,
    resamples: int = 200,
    level: float = 0.95,
    seed: int = 0,
) -> list[Comparison]:
    """Return the three comparisons of `metamers.tables.COMPARISONS`.

    Parameters
    ----------
    references, metamers
        Activations, a row per image in the same order, of any further shape.
    resamples, level, seed
        As for `divergences`.
    """
    first, second = _rows(references), _rows(metamers)
    if first.shape != second.shape:
        raise ValueError(
            f"activations of references have the shape {first.shape}, of metamers {second.shape}"
        )
    return divergences(
        pair_distances(first),
        pair_distances(second),
        matched_distances(first, second),
        resamples=resamples,
        level=level,
        seed=seed,
    )


def divergences(
    references: ArrayLike,
    metamers: ArrayLike,
    matched: ArrayLike,
    *,
    resamples: int = 200,
    level: float = 0.95,
    seed: int = 0,
    effective_size: bool = True,
) -> list[Comparison]:
    """Return the three comparisons, with intervals, from distances.

    Images are resampled, not distances; pairs of an image with itself are left out of a
    resample, since their zero distances would put a false peak there.

    Parameters
    ----------
    references, metamers
        Distances of all pairs, a symmetric matrix of shape (n, n) each.
    matched
        Distance of each reference to its metamer, shape (n,).
    resamples
        Bootstrap resamples; 0: no interval.
    level
        Coverage of the interval.
    seed
        Of the resampling.
    effective_size
        Smooth each sample as one of n values (its pairs are not independent); otherwise as
        one of as many values as it has distances, as scipy's ``gaussian_kde`` does.

    Raises
    ------
    ValueError
        If shapes disagree, there are fewer than 3 images, or a distance is not finite.
    """
    samples = _samples(references, metamers, matched)
    n = samples[SAMPLES[2]].size
    sizes = {name: n if effective_size else values.size for name, values in samples.items()}
    counts = _resampled_counts(n, resamples, seed)
    rows = []
    for comparison in COMPARISONS:
        first, second = comparison.split(" | ")
        pair = samples[first], samples[second]
        values = _divergence(
            pair,
            (sizes[first], sizes[second]),
            (_weights(first, counts), _weights(second, counts)),
        )
        low, high = _interval(values[1:], level)
        ratio = _ratio(float(np.median(pair[1])), float(np.median(pair[0])))
        rows.append(Comparison(comparison, float(values[0]), low, high, ratio, n))
    return rows


def pair_distances(activations: ArrayLike) -> Array:
    """Return the Euclidean distances of all pairs of rows, shape (n, n), in float64."""
    from scipy.spatial.distance import pdist, squareform

    return squareform(pdist(_rows(activations)))


def matched_distances(references: ArrayLike, metamers: ArrayLike) -> Array:
    """Return each reference's Euclidean distance to its metamer, shape (n,), in float64."""
    return np.linalg.norm(_rows(references) - _rows(metamers), axis=1)


def _rows(activations: ArrayLike) -> Array:
    values = np.asarray(activations, dtype=np.float64)
    return values.reshape(len(values), -1)


def _samples(references: ArrayLike, metamers: ArrayLike, matched: ArrayLike) -> dict[str, Array]:
    first, second, own = (np.asarray(m, dtype=np.float64) for m in (references, metamers, matched))
    n = own.size
    if first.shape != (n, n) or second.shape != (n, n) or own.shape != (n,):
        raise ValueError(
            f"distances have the shapes {first.shape}, {second.shape} and {own.shape}; "
            "expected are (n, n), (n, n) and (n,)"
        )
    if n < 3:
        raise ValueError(f"{n} images are too few to compare distances; at least 3 are needed")
    i, j = np.triu_indices(n, k=1)
    samples = dict(zip(SAMPLES, (first[i, j], second[i, j], own), strict=True))
    for name, values in samples.items():
        if not np.isfinite(values).all():
            raise ValueError(f"{name} distances hold {np.sum(~np.isfinite(values))} NaN or inf")
    return samples


def _resampled_counts(n: int, resamples: int, seed: int) -> Array:
    """Return how often each image is drawn; the first row is the sample itself."""
    generator = np.random.default_rng(seed)
    rows = [np.ones(n)]
    while len(rows) <= resamples:
        drawn = np.bincount(generator.integers(n, size=n), minlength=n)
        if drawn.max() < n:  # one image alone has no pairs
            rows.append(drawn)
    return np.array(rows, dtype=np.float64)


def _weights(sample: str, counts: Array) -> Array:
    if sample == SAMPLES[2]:
        return counts
    i, j = np.triu_indices(counts.shape[1], k=1)
    return counts[:, i] * counts[:, j]


def _divergence(
    samples: tuple[Array, Array], sizes: tuple[int, int], weights: tuple[Array, Array]
) -> Array:
    """Return the divergence of each row of weights, on the grid of the whole samples."""
    widths = [bandwidth(s, w, n) for s, w, n in zip(samples, weights, sizes, strict=True)]
    grid = grid_of(samples, [w[0] for w in widths])
    densities = [
        smoothed(grid_weights(s, w, grid), w_k, grid)
        for s, w, w_k in zip(samples, weights, widths, strict=True)
    ]
    return jensen_shannon(*densities)


def _interval(values: Array, level: float) -> tuple[float | None, float | None]:
    if not values.size:
        return None, None
    tail = (1 - level) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def _ratio(numerator: float, denominator: float) -> float:
    if denominator > 0:
        return numerator / denominator
    return float("inf") if numerator > 0 else float("nan")
