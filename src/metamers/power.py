"""How many images a divergence of distances needs, and whether it differs from 0.

The paper states that more than 80 images suffice (section 4.5); `power` is how a run answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from metamers.densities import divergence
from metamers.similarity import SAMPLES, compared, pairs_of, samples_of
from metamers.tables import COMPARISONS


@dataclass(frozen=True)
class Power:
    """How a divergence and its spread depend on the number of images.

    Attributes
    ----------
    mean, sd, low, high
        Of the divergences of random subsets: mean, standard deviation, and the ends of the
        interval that holds 95 % of them. Subsets of one set overlap, so that the spread is
        understated where a subset is a large part of it.
    repeats
        Number of subsets.
    """

    comparison: str
    n_images: int
    mean: float
    sd: float
    low: float
    high: float
    repeats: int


def permutation_p_value(joint: ArrayLike, *, permutations: int = 999, seed: int = 0) -> float:
    """Return the p-value of 'the labels reference and metamer may be exchanged'.

    The statistic is the divergence of reference-reference and metamer-metamer distances; each
    permutation exchanges the two labels of a random half of the images. A bootstrap interval
    lies too high near 0 to tell whether a divergence differs from it; this test does.

    Parameters
    ----------
    joint
        Distances of all pairs among the n references, followed by their n metamers in the same
        order, shape (2n, 2n).
    permutations
        Number of them; the p-value is at least ``1 / (permutations + 1)``.
    seed
        Of the permutations.
    """
    matrix = np.asarray(joint, dtype=np.float64)
    n = len(matrix) // 2
    if n < 3 or matrix.shape != (2 * n, 2 * n):
        raise ValueError(f"joint distances have the shape {matrix.shape}; expected is (2n, 2n)")
    pool = pairs_of(matrix, "joint")
    swapped = np.random.default_rng(seed).random((permutations + 1, n)) < 0.5
    swapped[0] = False
    first = np.hstack([~swapped, swapped]).astype(np.float64)
    found = divergence(pool, pool, first, 1.0 - first, n)
    return float(np.mean(found >= found[0] * (1 - 1e-9)))


def power(
    references: ArrayLike,
    metamers: ArrayLike,
    matched: ArrayLike,
    sizes: Sequence[int],
    *,
    repeats: int = 200,
    seed: int = 0,
) -> list[Power]:
    """Return the divergences of random subsets of images, for each size and comparison.

    Parameters
    ----------
    references, metamers, matched
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
    samples = samples_of(references, metamers, matched)
    n = samples[SAMPLES[2]].values.size
    wrong = [size for size in sizes if not 3 <= size <= n]
    if wrong:
        raise ValueError(f"subsets of {wrong} images were asked for; possible are 3 to {n}")
    generator = np.random.default_rng(seed)
    rows = []
    for size in sizes:
        order = generator.random((repeats, n)).argsort(axis=1)
        counts = (order < size).astype(np.float64)
        for comparison in COMPARISONS:
            found = divergence(*compared(samples, comparison), counts, counts, size)
            low, high = (float(q) for q in np.quantile(found, [0.025, 0.975]))
            spread = float(found.std(ddof=1)) if repeats > 1 else float("nan")
            rows.append(Power(comparison, size, float(found.mean()), spread, low, high, repeats))
    return rows
