"""What unrelated images give: the null distribution that a metamer's success is held against.

At each model and stage, the activations of every image are compared with those of every other
one by the three measures of Feather et al. (2023): relative L2 distance, Spearman's rank
correlation and signal-to-noise ratio. A metamer is one only where it lies closer to its
reference than unrelated images lie to each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata
from torch import Tensor

Array = NDArray[np.float64]
MEASURES = ("relative_l2", "spearman", "snr")
CLOSER_IS_LESS = {"relative_l2": True, "spearman": False, "snr": False}


@dataclass(frozen=True)
class Null:
    """Likeness of unrelated images, each array of shape (n (n - 1),), in rising order.

    Attributes
    ----------
    relative_l2
        Norm of the difference over the norm of the reference; no unit, 0 or more.
    spearman
        Rank correlation of the activations, -1 to 1.
    snr
        Signal-to-noise ratio in dB of power, ``-20 log10(relative_l2)``: ``10 log10`` of the ratio
        of squared norms, twice what Feather et al. print, who take that of norms.
    """

    relative_l2: Array
    spearman: Array
    snr: Array

    def percentile(self, measure: str, values: ArrayLike) -> Array:
        """Return which percentage of unrelated pairs is at least as alike as each value says.

        0: closer than all of them; 50: no closer than unrelated images; NaN stays NaN.

        Parameters
        ----------
        measure
            One of `MEASURES`.
        values
            Of metamers with their references, any shape.

        Raises
        ------
        ValueError
            If there is no such measure.
        """
        if measure not in MEASURES:
            raise ValueError(f"no null distribution of {measure!r}; there are {MEASURES}")
        null: Array = getattr(self, measure)
        found = np.asarray(values, dtype=np.float64)
        if CLOSER_IS_LESS[measure]:
            alike = np.searchsorted(null, found, side="right")
        else:
            alike = null.size - np.searchsorted(null, found, side="left")
        return np.where(np.isnan(found), np.nan, 100.0 * alike / null.size)


def spearman(references: ArrayLike | Tensor, metamers: ArrayLike | Tensor) -> Array:
    """Return the rank correlation of each reference's and its metamer's activations, (n,).

    Equal activations (zeros after a rectifier) share their mean rank; NaN where all of an
    image's activations are equal.
    """
    first, second = _both(references, metamers)
    return np.sum(_centred_ranks(first) * _centred_ranks(second), axis=1).clip(-1.0, 1.0)


def _rows(activations: ArrayLike | Tensor) -> Array:
    if isinstance(activations, Tensor):
        activations = activations.cpu().numpy()
    values = np.asarray(activations, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"{np.sum(~np.isfinite(values))} activations are NaN or infinite")
    return values.reshape(len(values), -1)


def _both(references: ArrayLike | Tensor, metamers: ArrayLike | Tensor) -> tuple[Array, Array]:
    first, second = _rows(references), _rows(metamers)
    if first.shape != second.shape:
        raise ValueError(
            f"activations of references have the shape {first.shape}, of metamers {second.shape}"
        )
    return first, second


def _centred_ranks(rows: Array) -> Array:
    """Return ranks less their mean, with unit norm, so that products are correlations."""
    ranks = rankdata(rows, axis=1) - (rows.shape[1] + 1) / 2
    norms = np.linalg.norm(ranks, axis=1, keepdims=True)
    return np.divide(ranks, norms, out=np.full_like(ranks, np.nan), where=norms > 0)
