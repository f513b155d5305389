"""Representational similarity: divergences of distributions of distances (section 4.5).

Three samples of Euclidean distances of activations are compared: of references with each
other, of metamers with each other, and of each reference with its own metamer. Each is smoothed
by a gaussian kernel on a shared grid; the divergence is Jensen and Shannon's, by default in bits
(`metamers.evaluation.similarity.densities.Convention`). Distances come from
`metamers.evaluation.similarity.distances`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metamers.evaluation.similarity.densities import BITS, Convention, Sample, divergence
from metamers.storage.columns import COMPARISONS

Array = NDArray[np.float64]
SAMPLES = ("reference-reference", "metamer-metamer", "reference-metamer")


@dataclass(frozen=True)
class Comparison:
    """The divergence of two distributions of distances, a row of the table `similarity`.

    Attributes
    ----------
    divergence
        By default in bits: 0 for equal distributions, 1 for disjoint ones. It has no sign.
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


def divergences(
    references: ArrayLike,
    metamers: ArrayLike,
    matched: ArrayLike,
    *,
    resamples: int = 200,
    level: float = 0.95,
    seed: int = 0,
    photographs: ArrayLike | None = None,
    convention: Convention = BITS,
) -> list[Comparison]:
    """Return the three comparisons, with intervals, from distances.

    By default each sample is smoothed as one of n values, since its pairs are not independent.
    Photographs are resampled, not distances; pairs of an image with itself are left out of a
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
    photographs
        As for `samples_of`.
    convention
        Width of the kernels, and unit of the divergence.

    Raises
    ------
    ValueError
        As `samples_of`.
    """
    own = numbered(photographs, np.size(matched))
    samples = samples_of(references, metamers, matched, own)
    n = own.size
    counts = np.vstack([np.ones((1, n)), _resampled_counts(own, resamples, seed)])
    rows = []
    for comparison in COMPARISONS:
        pair = compared(samples, comparison)
        found = divergence(*pair, counts, counts, n, convention)
        low, high = _interval(found[1:], level)
        ratio = _ratio(pair[1].values, pair[0].values)
        rows.append(Comparison(comparison, float(found[0]), low, high, ratio, n))
    return rows


def numbered(photographs: ArrayLike | None, n: int) -> NDArray[np.intp]:
    """Return a number for each image, from 0, which images of one photograph share.

    Parameters
    ----------
    photographs
        Such numbers (`metamers.images.crops.photographs`); None: each image is a photograph.
    """
    if photographs is None:
        return np.arange(n)
    return np.unique(np.asarray(photographs), return_inverse=True)[1]


def samples_of(
    references: ArrayLike,
    metamers: ArrayLike,
    matched: ArrayLike,
    photographs: ArrayLike | None = None,
) -> dict[str, Sample]:
    """Return the three samples of distances by the names in `SAMPLES`.

    Parameters
    ----------
    references, metamers, matched
        As for `divergences`.
    photographs
        A number for each image, which images of one photograph share: their distances are left
        out, since they are no distances between unrelated images. None: there are none such.

    Raises
    ------
    ValueError
        If shapes disagree, there are fewer than 3 photographs, or a distance is not finite.
    """
    first, second, own = (np.asarray(m, dtype=np.float64) for m in (references, metamers, matched))
    n = own.size
    group = numbered(photographs, n)
    if first.shape != (n, n) or second.shape != (n, n) or own.shape != (n,):
        raise ValueError(
            f"distances have the shapes {first.shape}, {second.shape} and {own.shape}; "
            "expected are (n, n), (n, n) and (n,)"
        )
    if (found := np.unique(group).size) < 3:
        raise ValueError(f"{found} images are too few to compare distances; at least 3 are needed")
    pairs = [pairs_of(m, name, group) for m, name in zip((first, second), SAMPLES, strict=False)]
    _refuse_infinite(own, SAMPLES[2])
    return dict(zip(SAMPLES, [*pairs, Sample(own, np.arange(n))], strict=True))


def pairs_of(matrix: Array, name: str, photographs: NDArray[np.intp] | None = None) -> Sample:
    """Return the distances between photographs above the diagonal, each with its two images."""
    i, j = np.triu_indices(len(matrix), k=1)
    if photographs is not None:
        apart = photographs[i] != photographs[j]
        i, j = i[apart], j[apart]
    _refuse_infinite(matrix[i, j], name)
    return Sample(matrix[i, j], i, j)


def _refuse_infinite(values: Array, name: str) -> None:
    wrong = int(np.sum(~np.isfinite(values)))
    if wrong:
        raise ValueError(f"{wrong} of {values.size} {name} distances are NaN or infinite")


def compared(samples: dict[str, Sample], comparison: str) -> tuple[Sample, Sample]:
    """Return the two samples that a comparison names."""
    first, second = comparison.split(" | ")
    return samples[first], samples[second]


def _resampled_counts(photographs: NDArray[np.intp], resamples: int, seed: int) -> Array:
    """Return how often each image is drawn with its photograph, shape (resamples, images)."""
    generator = np.random.default_rng(seed)
    n = int(photographs.max()) + 1
    rows: list[Array] = []
    while len(rows) < resamples:
        drawn = np.bincount(generator.integers(n, size=n), minlength=n)
        if drawn.max() < n:  # one photograph alone has no pairs
            rows.append(drawn.astype(np.float64))
    return np.array(rows).reshape(resamples, n)[:, photographs]


def _interval(values: Array, level: float) -> tuple[float | None, float | None]:
    if not values.size:
        return None, None
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _ratio(numerator: Array, denominator: Array) -> float:
    above, below = float(np.median(numerator)), float(np.median(denominator))
    if below > 0:
        return above / below
    return float("inf") if above > 0 else float("nan")
