"""How much of what one network ignores another ignores too: similarity through inverted images.

Ordinary similarity of representations overestimates, since features occur together in natural
images. Metamers of one network hold only what it attends to. STIR (Nanda et al., ICML 2022) is
linear CKA of a judge's activations of references and of another network's metamers of them:
1 where the judge does not tell them apart. Inverted CKA (Jones et al., UAI 2022) is linear CKA
of two networks' activations of the same metamers.

CKA is debiased (Song et al. 2012; Nguyen et al. 2021): unrelated activations give 0 whatever
their width. It is computed from Euclidean distances, whose squares are the products of
activations but for terms of single images, which drop out.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metamers import bootstrap
from metamers.evaluation.similarity.divergence import numbered

Array = NDArray[np.float64]

FEWEST = 4  # photographs that the estimator needs
PERMUTATIONS = 200
_DEVIATIONS = NormalDist().inv_cdf(bootstrap.TAILS[1])


@dataclass(frozen=True)
class Similarity:
    """A debiased linear CKA.

    Attributes
    ----------
    value
        At most 1; about 0 for unrelated activations, and by chance below.
    low, high
        Ends of the 95 % interval over photographs, by the jackknife.
    floor
        What 97.5 % of pairings of unrelated images stay below.
    """

    value: float
    low: float
    high: float
    floor: float


def columns(name: str, found: Similarity | None) -> dict[str, float | None]:
    """Return the cells of a table's columns on a similarity; null where there is none."""
    cells = asdict(found) if found else dict.fromkeys(("value", "low", "high", "floor"))
    return {name if key == "value" else f"{name}_{key}": cell for key, cell in cells.items()}


def debiased_cka(first: ArrayLike, second: ArrayLike) -> float:
    """Return debiased linear CKA from distances of activations, two (n, n) matrices.

    NaN where there are fewer than four images, or either's activations do not vary.
    """
    one, other = _products(first), _products(second)
    return float(_cka(one, other, np.zeros((len(one), 1)))[0])


def similarity(
    first: ArrayLike,
    seconds: list[ArrayLike],
    seed: int,
    photographs: ArrayLike | None = None,
) -> Similarity | None:
    """Return the mean debiased CKA of one set of activations with each of several.

    Parameters
    ----------
    first, seconds
        Distances of activations of the same images, matrices of shape (n, n).
    seed
        Of the pairings that give the floor.
    photographs
        A number for each image, which images of one photograph share: these are left out
        together. None: each image is a photograph.

    Returns
    -------
    None where there are too few photographs, or activations do not vary.
    """
    one, others = _products(first), [_products(second) for second in seconds]
    group = numbered(photographs, len(one))
    if not others or group.max() < FEWEST:
        return None
    each = np.eye(group.max() + 1)[group]
    value = np.mean([_cka(one, other, np.zeros((len(one), 1)))[0] for other in others])
    without = np.mean([_cka(one, other, each) for other in others], axis=0)
    if not np.isfinite([value, *without]).all():
        return None
    n = without.size
    error = np.sqrt((n - 1) / n * np.square(without - without.mean()).sum())
    low, high = value - _DEVIATIONS * error, min(value + _DEVIATIONS * error, 1.0)
    return Similarity(float(value), float(low), float(high), _floor(one, others, seed))


def _floor(one: Array, others: list[Array], seed: int) -> float:
    generator = np.random.default_rng(seed)
    first, mean = _unit(one), np.mean([_unit(other) for other in others], axis=0)
    orders = [generator.permutation(len(one)) for _ in range(PERMUTATIONS)]
    found = [np.vdot(first, mean[np.ix_(order, order)]) for order in orders]
    return float(np.quantile(found, bootstrap.TAILS[1]))


def _unit(products: Array) -> Array:
    """Return products centred as the estimator does (Szekely and Rizzo 2014), of unit norm."""
    n, apart = len(products), 1 - np.eye(len(products))
    rows = products.sum(axis=1) / (n - 2)
    centred = (products - rows - rows[:, None] + rows.sum() / (n - 1)) * apart
    return np.asarray(centred / np.linalg.norm(centred))


def _products(distances: ArrayLike) -> Array:
    """Return products of activations, but for terms of single images, from their distances."""
    return -np.square(np.asarray(distances, dtype=np.float64)) / 2


def _cka(one: Array, other: Array, left_out: Array) -> Array:
    """Return CKA without some images, shape (g,), for each column of ``left_out``, (n, g)."""
    both = _dependence(one, other, left_out)
    own = _dependence(one, one, left_out) * _dependence(other, other, left_out)
    with np.errstate(invalid="ignore", divide="ignore"):
        return both / np.sqrt(own)


def _dependence(one: Array, other: Array, left_out: Array) -> Array:
    """Return m (m - 3) times the unbiased HSIC (Song et al. 2012, eq. 5) of the m images left."""
    kept, m = 1 - left_out, len(one) - left_out.sum(axis=0)
    inner = _total(one * other, left_out)
    rows = [(k.sum(axis=1)[:, None] - k @ left_out) * kept for k in (one, other)]
    sums = _total(one, left_out) * _total(other, left_out)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = inner + sums / ((m - 1) * (m - 2)) - 2 * (rows[0] * rows[1]).sum(axis=0) / (m - 2)
    return np.where(m >= FEWEST, found, np.nan)


def _total(matrix: Array, left_out: Array) -> Array:
    """Return the sum over pairs of images of which neither is left out."""
    crossing = (left_out * (matrix @ left_out)).sum(axis=0)
    return matrix.sum() - 2 * left_out.T @ matrix.sum(axis=1) + crossing
