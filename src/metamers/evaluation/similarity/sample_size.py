"""How many images a divergence of distances needs, and whether it differs from 0.

The paper states that more than 80 images suffice (section 4.5); `power` is how a run answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from metamers import bootstrap
from metamers.bootstrap import RESAMPLES, TAILS
from metamers.evaluation.similarity.densities import BITS, Convention, Sample, divergence
from metamers.evaluation.similarity.divergence import compared, numbered, samples_of
from metamers.storage.columns import COMPARISONS, CONDITION_KEY

Array = NDArray[np.float64]

ROOM = (0.05, 0.95)
"""Ends of the divergences, in bits, whose spread says something (`has_room`)."""


@dataclass(frozen=True)
class Power:
    """How a divergence and its spread depend on the number of images.

    Attributes
    ----------
    mean, low, high
        Of the divergences of random subsets: mean, and the ends of what 95 % of them lie in.
    sd, sd_low, sd_high
        Standard deviation of the divergence of so many images, and the ends of its 95 %
        interval. Subsets of n of N images overlap; their own standard deviation is therefore
        divided by ``sqrt(1 - n / N)``. NaN where n is N.
    repeats
        Number of subsets.
    """

    comparison: str
    n_images: int
    mean: float
    low: float
    high: float
    sd: float
    sd_low: float
    sd_high: float
    repeats: int


def has_room(table: pd.DataFrame, convention: Convention = BITS) -> pd.Series:
    """Return which rows of the table `power` are of a divergence that has room to spread.

    Near 0 and near 1, outside `ROOM`, divergences hardly differ between subsets, however few
    their images are: they would make any number of images look sufficient. The mean at a cell's
    largest number of images decides. ``convention`` is what the table was made by.
    """
    cell = [*CONDITION_KEY, "evaluator", "comparison"]
    largest = table.sort_values("n_images").groupby(cell, observed=True)["mean"].last()
    means = table[cell].merge(largest.reset_index(), on=cell)["mean"]
    return means.between(*convention.of(ROOM)).set_axis(table.index)


def power(
    references: ArrayLike,
    metamers: ArrayLike,
    matched: ArrayLike,
    sizes: Sequence[int],
    *,
    repeats: int = 200,
    seed: int = 0,
    photographs: ArrayLike | None = None,
    convention: Convention = BITS,
) -> list[Power]:
    """Return the divergences of random subsets of images, for each size and comparison.

    The interval of a standard deviation resamples the subsets, and the photographs that all
    images are of: how much each adds to the variance is known from leaving out one image at a
    time (the infinitesimal jackknife). So it says what other photographs would have given,
    however many crops there are of each.

    Parameters
    ----------
    references, metamers, matched, photographs, convention
        As for `divergences`.
    sizes
        Numbers of images, each from 3 to all.
    repeats
        Subsets of each size.
    seed
        Of the subsets.

    Raises
    ------
    ValueError
        As for `divergences`, or if a size is out of range.
    """
    own = numbered(photographs, np.size(matched))
    samples = samples_of(references, metamers, matched, own)
    wrong = [size for size in sizes if not 3 <= size <= own.size]
    if wrong:
        raise ValueError(f"subsets of {wrong} images were asked for; possible are 3 to {own.size}")
    generator, resampling = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    pairs = {name: compared(samples, name) for name in COMPARISONS}
    factors = {
        name: _variance_factors(pair, own, resampling, convention) for name, pair in pairs.items()
    }
    rows = []
    for size in sizes:
        counts = _subsets(own, size, repeats, generator)
        for name, pair in pairs.items():
            found = divergence(*pair, counts, counts, size, convention)
            low, high = (float(q) for q in np.quantile(found, TAILS))
            spread = _spread(found, factors[name], 1 - size / own.size, resampling)
            rows.append(Power(name, size, float(found.mean()), low, high, *spread, repeats))
    return rows


def _subsets(
    photographs: NDArray[np.intp], size: int, repeats: int, generator: np.random.Generator
) -> Array:
    """Return which images are in each subset, (repeats, images); none is of one photograph."""
    kept = np.zeros((0, photographs.size))
    while len(kept) < repeats:
        order = generator.random((repeats, photographs.size)).argsort(axis=1)
        drawn = order < size
        first = photographs[drawn.argmax(axis=1)]
        mixed = (drawn & (photographs != first[:, None])).any(axis=1)
        kept = np.vstack([kept, drawn[mixed]])
    return kept[:repeats]


def _variance_factors(
    pair: tuple[Sample, Sample],
    photographs: NDArray[np.intp],
    generator: np.random.Generator,
    convention: Convention = BITS,
) -> Array:
    """Return how the variance of a divergence differs in resamples of the photographs.

    Shape (`RESAMPLES`,), around 1. To first order the variance is the mean over images of the
    squared change that leaving out the image makes.
    """
    without = 1.0 - np.eye(photographs.size)
    found = divergence(*pair, without, without, photographs.size, convention)
    squares = (found - found.mean()) ** 2
    if not squares.any():
        return np.ones(RESAMPLES)
    images = np.bincount(photographs)
    drawn = bootstrap.resample_counts(images.size, RESAMPLES, generator)
    sums = drawn @ np.bincount(photographs, weights=squares)
    return np.asarray(sums / (drawn @ images) / squares.mean())


def _spread(
    found: Array, factors: Array, share_left: float, generator: np.random.Generator
) -> tuple[float, float, float]:
    """Return the standard deviation of divergences of subsets, and the ends of its interval."""
    if len(found) < 2 or share_left <= 0:
        return float("nan"), float("nan"), float("nan")
    drawn = found[generator.integers(len(found), size=(RESAMPLES, len(found)))]
    resampled = np.sqrt(drawn.var(axis=1, ddof=1) * factors / share_left)
    low, high = np.quantile(resampled, TAILS)
    return float(np.sqrt(found.var(ddof=1) / share_left)), float(low), float(high)
