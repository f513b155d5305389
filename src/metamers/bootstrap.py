"""Intervals and tests: resampling of images, of evaluators, and of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

Array = NDArray[np.float64]

LEVEL = 0.95
RESAMPLES = 1000
TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
"""Shares below the two ends of an interval."""


def resample_counts(n: int, resamples: int, generator: np.random.Generator) -> Array:
    """Return how often each of ``n`` items is drawn, in each resample of ``n``.

    Shape (resamples, n); each row sums to ``n``. A resampled mean is then a product of
    matrices, which does thousands of rows at the cost of one.
    """
    if n < 1:
        raise ValueError(f"there is nothing to resample: {n} items")
    drawn = generator.integers(n, size=(resamples, n)) + n * np.arange(resamples)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=resamples * n)
    return counts.reshape(resamples, n).astype(np.float64)


def bootstrap_interval(
    values: ArrayLike, generator: np.random.Generator, resamples: int = RESAMPLES
) -> tuple[Array, Array]:
    """Return the ends of the 95 % percentile bootstrap interval of each row's mean.

    Parameters
    ----------
    values
        Shape (..., n): one number per item; all rows are resampled alike.
    generator
        Source of the resamples.

    Returns
    -------
    low, high
        Shape (...). A row whose values are all equal has an interval of no width: see
        `share_interval`.
    """
    rows = _finite(values)
    counts = resample_counts(rows.shape[-1], resamples, generator)
    means = rows @ counts.T / rows.shape[-1]
    low, high = np.quantile(means, TAILS, axis=-1)
    return low, high


def crossed_interval(
    values: ArrayLike,
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
    weights: ArrayLike | None = None,
) -> tuple[float, float]:
    """Return the 95 % interval of a mean over evaluators and images, resampling both.

    Evaluators and images are drawn independently of each other, with replacement, and an
    entry counts as often as its row and its column were drawn (Owen 2007, the pigeonhole
    bootstrap). It covers what either alone does not; with one evaluator only images vary.

    Parameters
    ----------
    values
        Shape (evaluators, images).
    weights
        Shape (evaluators,): how much each evaluator counts in the mean; equal if not given.
    """
    table = _finite(values)
    rows, columns = table.shape
    scale = np.ones(rows) if weights is None else np.asarray(weights, dtype=np.float64)
    drawn = resample_counts(rows, resamples, generator) * scale
    sums = ((drawn @ table) * resample_counts(columns, resamples, generator)).sum(axis=1)
    total = drawn.sum(axis=1) * columns
    low, high = np.quantile(sums[total > 0] / total[total > 0], TAILS)
    return float(low), float(high)


@dataclass(frozen=True)
class Pooled:
    """A mean over several tables of evaluators by images, with its interval.

    Attributes
    ----------
    shares
        The mean of each evaluator in each table; ``mean`` is theirs, or with families the mean
        of the families' means.
    low, high
        Ends of the 95 % interval; images and evaluators are resampled, the same in all tables.
        Of nothing but ones or zeros it is Wilson's for the number of images, for differences
        to both sides.
    evaluators
        Names of the evaluators of any table.
    fewest_evaluators
        Evaluators of the table that has the fewest.
    n_images
        Images of which any evaluator counts in any table; they alone are resampled.
    """

    mean: float
    low: float
    high: float
    shares: Array
    n_tables: int
    evaluators: tuple[str, ...]
    fewest_evaluators: int
    n_images: int

    @property
    def n_evaluators(self) -> int:
        """Return the number of evaluators of any table."""
        return len(self.evaluators)


def pooled(
    tables: Sequence[tuple[Sequence[str], Array]],
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
    *,
    differences: bool = False,
    families: Mapping[str, str] | None = None,
) -> Pooled:
    """Return the mean of tables whose evaluators overlap, and whose images are the same.

    Parameters
    ----------
    tables
        The names of a table's evaluators, and its values, shape (evaluators, images); NaN
        where an evaluator does not count for an image.
    differences
        The values are differences from -1 to 1, not shares: where all are 0, the true mean may
        lie on either side.
    families
        Family of each evaluator. Families count alike, however many evaluators they have, and
        are resampled, then evaluators within them; not given: all are of one.
    """
    shapes = {values.shape[1] for _, values in tables}
    if len(shapes) != 1:
        raise ValueError(f"tables of one set of images are pooled; met were {shapes} images")
    every = sorted({name for names, _ in tables for name in names})
    total, times = (np.zeros((len(every), min(shapes))) for _ in range(2))
    for names, values in tables:
        at = np.searchsorted(every, list(names))
        total[at] += np.nan_to_num(values)
        times[at] += ~np.isnan(values)
    judged = times.any(axis=0)
    total, times = total[:, judged], times[:, judged]
    family = np.array([families[name] if families else "" for name in every])
    known = times.any(axis=1)
    groups = [
        (total[of], times[of])
        for name in dict.fromkeys(family[known].tolist())
        for of in [known & (family == name)]
    ]
    mean = float(np.mean([sums.sum() / counts.sum() for sums, counts in groups]))
    values = total[times > 0] / times[times > 0]
    n = total.shape[1]
    if differences and not values.any():
        low, high = crossed_change_interval(np.zeros((1, n)), generator)
    elif values.min() == values.max() and values.min() in (0, 1):
        low, high = crossed_share_interval(np.full((1, n), values.min()), generator)
    else:
        low, high = _clustered_interval(groups, generator, resamples)
    shares = [
        np.nansum(values, axis=1, dtype=np.float64) / (~np.isnan(values)).sum(axis=1)
        for names, values in tables
        for values in [values[~np.isnan(values).all(axis=1)]]
    ]
    fewest = min(len(rows) for rows in shares)
    judges = tuple(np.array(every)[known].tolist())
    return Pooled(mean, low, high, np.concatenate(shares), len(tables), judges, fewest, n)


def _clustered_interval(
    groups: Sequence[tuple[Array, Array]], generator: np.random.Generator, resamples: int
) -> tuple[float, float]:
    """Return the interval of the mean of groups' means; one group is never drawn twice.

    Parameters
    ----------
    groups
        Sums of values, and how many each is of: both of shape (evaluators, images). A resample
        in which a group has no value is left out.
    """
    k = len(groups)
    chosen = resample_counts(k, resamples, generator) if k > 1 else np.ones((resamples, 1))
    drawn = [resample_counts(len(sums), resamples, generator) for sums, _ in groups]
    images = resample_counts(groups[0][0].shape[1], resamples, generator)
    sums, counts = (
        np.stack(
            [((d @ g[part]) * images).sum(axis=1) for d, g in zip(drawn, groups, strict=True)],
            axis=1,
        )
        for part in (0, 1)
    )
    filled = (counts > 0).all(axis=1)
    means = (chosen * sums / np.where(counts > 0, counts, 1))[filled].sum(axis=1) / k
    low, high = np.quantile(means, TAILS)
    return float(low), float(high)


def wilson_interval(successes: ArrayLike, n: int) -> tuple[Array, Array]:
    """Return Wilson's 95 % interval of a share of ``n`` independent trials."""
    low, high = proportion_confint(np.asarray(successes), n, alpha=1 - LEVEL, method="wilson")
    return np.asarray(low), np.asarray(high)


def share_interval(values: ArrayLike, generator: np.random.Generator) -> tuple[Array, Array]:
    """Return the 95 % bootstrap interval of each row's share of ones.

    A row of only ones or only zeros gives no resample that differs, which would claim
    certainty; Wilson's interval stands in its place.
    """
    rows = _finite(values)
    low, high = bootstrap_interval(rows, generator)
    n = rows.shape[-1]
    wilson_low, wilson_high = wilson_interval(rows.sum(axis=-1), n)
    certain = rows.min(axis=-1) == rows.max(axis=-1)
    return np.where(certain, wilson_low, low), np.where(certain, wilson_high, high)


def crossed_share_interval(
    values: ArrayLike, generator: np.random.Generator
) -> tuple[float, float]:
    """Return `crossed_interval` of a table of zeros and ones.

    Where no entry differs, Wilson's interval for the number of images stands in its place.
    """
    table = _finite(values)
    if table.min() < table.max():
        return crossed_interval(table, generator)
    low, high = wilson_interval(table[0].sum(), table.shape[1])
    return float(low), float(high)


def sparse_share_interval(
    values: ArrayLike,
    rows: ArrayLike,
    columns: ArrayLike,
    generator: np.random.Generator,
) -> tuple[float, float]:
    """Return `crossed_share_interval` of a table of which only some entries were observed.

    An entry counts as often as its row and its column were drawn; a resample that draws no
    entry is left out. Where no entry differs, Wilson's interval for the number of rows or of
    columns, whichever is less, stands in its place.

    Parameters
    ----------
    values
        Zeros and ones, shape (n,).
    rows, columns
        Where each value stands, shape (n,): indices from 0, none of which is left out.
    """
    found, of_row, of_column = _finite(values), np.asarray(rows), np.asarray(columns)
    n_rows, n_columns = int(of_row.max()) + 1, int(of_column.max()) + 1
    if found.min() == found.max():
        n = min(n_rows, n_columns)
        low, high = wilson_interval(found[0] * n, n)
        return float(low), float(high)
    drawn = resample_counts(n_rows, RESAMPLES, generator)[:, of_row]
    drawn *= resample_counts(n_columns, RESAMPLES, generator)[:, of_column]
    counts = drawn.sum(axis=1)
    shares = (drawn @ found)[counts > 0] / counts[counts > 0]
    low, high = np.quantile(shares, TAILS)
    return float(low), float(high)


def crossed_change_interval(
    differences: ArrayLike, generator: np.random.Generator
) -> tuple[float, float]:
    """Return `crossed_interval` of a table of differences between answers.

    Where none differs, resamples would claim certainty; the share that may differ all the same
    (`crossed_share_interval`) stands in its place, to both sides.
    """
    table = _finite(differences)
    if table.any():
        return crossed_interval(table, generator)
    _, most = crossed_share_interval(table, generator)
    return -most, most


def holm(p_values: ArrayLike) -> Array:
    """Return p-values after Holm's correction, in the order given; empty stays empty."""
    values = np.asarray(p_values, dtype=np.float64)
    known = ~np.isnan(values)
    adjusted = np.full_like(values, np.nan)
    if known.any():
        adjusted[known] = multipletests(values[known], alpha=1 - LEVEL, method="holm")[1]
    return adjusted


def _finite(values: ArrayLike) -> Array:
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{(~np.isfinite(array)).sum()} of {array.size} values are not numbers")
    return array
