"""What unrelated images give: the null distribution that a metamer's success is held against.

At each model and stage, the activations of every image are compared with those of every other
one by the three measures of Feather et al. (2023): relative L2 distance, Spearman's rank
correlation and signal-to-noise ratio. A metamer is one only where it lies closer to its
reference than unrelated images lie to each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata
from torch import Tensor

from metamers.evaluation.similarity.distances import BUDGET, Source, pair_distances

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
        Signal-to-noise ratio in dB of power (`signal_to_noise`).
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


def null_of(source: Source, n: int, *, budget: int = BUDGET, batch_size: int = 16) -> Null:
    """Return the null distribution over all ordered pairs of different images.

    Parameters
    ----------
    source
        Activations of reference images (`metamers.evaluation.similarity.distances.Source`).
    n
        Number of images, at least 2.
    budget
        Bytes of activations that may be held at once, as for `pair_distances`.
    batch_size
        Images at a time where one pass is enough.

    Raises
    ------
    ValueError
        If there are fewer than 2 images, an activation is not finite, or those of an image are
        wholly zero or wholly equal.
    """
    if n < 2:
        raise ValueError(f"{n} images have no pairs; at least 2 are needed")
    starts = range(0, n, batch_size)
    norms = np.concatenate([_norms(_rows(source(i, min(i + batch_size, n)))) for i in starts])

    def ranks(start: int, stop: int) -> Tensor:
        found = _centred_ranks(_rows(source(start, stop)))
        if np.isnan(found).any():
            raise ValueError(
                f"of the images {start} to {stop - 1}, one has equal activations throughout; "
                "they have no rank correlation"
            )
        return torch.from_numpy(found)

    pairs = ~np.eye(n, dtype=bool)
    relative = (pair_distances(source, n, budget=budget) / norms[:, None])[pairs]
    # of vectors of unit norm: the squared distance is twice what the correlation lacks to 1
    correlations = (1 - pair_distances(ranks, n, budget=budget) ** 2 / 2)[pairs]
    return Null(np.sort(relative), np.sort(correlations), np.sort(_decibels(relative)))


def likeness(references: ArrayLike | Tensor, metamers: ArrayLike | Tensor) -> Mapping[str, Array]:
    """Return the three measures of each metamer with its reference, shape (n,) each.

    Parameters
    ----------
    references, metamers
        Activations, a row per image in the same order.
    """
    return {
        "relative_l2": relative_distance(references, metamers),
        "spearman": spearman(references, metamers),
        "snr": signal_to_noise(references, metamers),
    }


def relative_distance(references: ArrayLike | Tensor, metamers: ArrayLike | Tensor) -> Array:
    """Return ``|metamer - reference| / |reference|``, the loss of section 3.2, shape (n,)."""
    first, second = _both(references, metamers)
    return np.linalg.norm(second - first, axis=1) / _norms(first)


def spearman(references: ArrayLike | Tensor, metamers: ArrayLike | Tensor) -> Array:
    """Return the rank correlation of each reference's and its metamer's activations, (n,).

    Equal activations (zeros after a rectifier) share their mean rank; NaN where all of an
    image's activations are equal.
    """
    first, second = _both(references, metamers)
    return np.sum(_centred_ranks(first) * _centred_ranks(second), axis=1).clip(-1.0, 1.0)


def signal_to_noise(references: ArrayLike | Tensor, metamers: ArrayLike | Tensor) -> Array:
    """Return the signal-to-noise ratio in dB, shape (n,); infinity for equal activations.

    In decibels of power: ``10 log10(sum r^2 / sum (r - m)^2)``, which is
    ``-20 log10`` of the relative distance.
    """
    return _decibels(relative_distance(references, metamers))


def _decibels(relative: Array) -> Array:
    with np.errstate(divide="ignore"):
        return -20 * np.log10(relative)


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


def _norms(rows: Array) -> Array:
    norms = np.linalg.norm(rows, axis=1)
    if not norms.all():
        raise ValueError(f"the activations of {np.sum(norms == 0)} references are wholly zero")
    return norms


def _centred_ranks(rows: Array) -> Array:
    """Return ranks less their mean, with unit norm, so that products are correlations."""
    ranks = rankdata(rows, axis=1) - (rows.shape[1] + 1) / 2
    norms = np.linalg.norm(ranks, axis=1, keepdims=True)
    return np.divide(ranks, norms, out=np.full_like(ranks, np.nan), where=norms > 0)
