"""Distances between two sets of features: Fréchet's, and an unbiased one of kernels.

Features come from a network (`metamers.evaluation.metrics.learned`), one row per image. A metamer
is made from one reference, so that the sets are paired row by row; both distances say what that
does to them.
"""

from __future__ import annotations

import numpy as np
import scipy.stats
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def frechet_distance(first: ArrayLike, second: ArrayLike) -> float:
    """Return the squared Fréchet distance of gaussians fitted to two sets of features.

    ``|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))`` (Heusel et al. 2017), with unbiased
    covariances, 0 or more. The trace of the root is the sum of the singular values of
    ``A B^T``, where A and B are the centred features over ``sqrt(n - 1)``: exact, and cheap for
    fewer images than features.

    It is biased upwards, by more the fewer images there are: with 2048 features, two samples
    of one distribution are about 70 apart at 80 images and 35 at 400 (trace 120). Pairing
    takes away part of the bias, more of it for better metamers. Compare only values of the
    same references and the same number of images, beside `frechet_floor`.

    Parameters
    ----------
    first, second
        Shapes (n, features) and (m, features), at least two rows each.
    """
    one, other = _features(first), _features(second)
    if one.shape[1] != other.shape[1]:
        raise ValueError(f"features have the shapes {one.shape} and {other.shape}")
    roots = [(f - f.mean(axis=0)) / np.sqrt(len(f) - 1) for f in (one, other)]
    shift = np.sum((one.mean(axis=0) - other.mean(axis=0)) ** 2)
    spread = sum(np.sum(root**2) for root in roots)
    shared = np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum()
    return max(0.0, float(shift + spread - 2 * shared))


def frechet_floor(
    references: ArrayLike,
    *,
    photographs: ArrayLike | None = None,
    splits: int = 10,
    seed: int = 0,
) -> float:
    """Return the Fréchet distance of random halves of one set, averaged over splits.

    What the bias alone gives at half the number of images; the truth is 0.

    Parameters
    ----------
    references
        Features, shape (n, features).
    photographs
        As for `frechet_interval`: the crops of one stay in one half.
    splits
        Number of pairs of halves.
    seed
        Of the halves.
    """
    features = _features(references)
    owners, number = _owners(photographs, len(features))
    half = number // 2
    if half < 2:
        raise ValueError(f"{number} images have no halves; at least 4 are needed")
    generator = np.random.default_rng(seed)
    orders = [generator.permutation(number) for _ in range(splits)]
    halves = [[np.isin(owners, o[:half]), np.isin(owners, o[half : 2 * half])] for o in orders]
    return float(np.mean([frechet_distance(features[a], features[b]) for a, b in halves]))


def frechet_interval(
    references: ArrayLike,
    metamers: ArrayLike,
    *,
    photographs: ArrayLike | None = None,
    halves: int = 200,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the interval of `frechet_distance` of paired sets over images.

    It is that of the estimate as it is, bias included: where the distance of so many other
    images would lie, not where that of infinitely many does. A bootstrap would not do, since a
    resample has fewer different images, and with them more bias; random halves of the images
    do, whose distances have to first order the variance of the whole's (the delete-half
    jackknife; Wu 1986). Their own bias does not enter: the interval is centred on the whole's.

    Parameters
    ----------
    references, metamers
        Shape (n, features) each, paired row by row.
    photographs
        A number for each image, which crops of one photograph share; they stay together. None:
        each image is a photograph. At least 4 photographs.
    """
    first, second = _features(references), _features(metamers)
    owners, number = _owners(photographs, len(first))
    if number < 4:
        raise ValueError(f"{number} images are too few for an interval; at least 4 are needed")
    generator = np.random.default_rng(seed)
    values = []
    for _ in range(halves):
        half = np.isin(owners, generator.permutation(number)[: number // 2])
        values.append(frechet_distance(first[half], second[half]))
    # of a half that is smaller than the rest, the variance is larger by this
    scale = np.sqrt((number // 2) / (number - number // 2))
    reach = scipy.stats.norm.ppf((1 + level) / 2) * np.std(values, ddof=1) * scale
    whole = frechet_distance(first, second)
    return max(0.0, float(whole - reach)), float(whole + reach)


def kernel_distance(
    references: ArrayLike, metamers: ArrayLike, *, photographs: ArrayLike | None = None
) -> float:
    """Return the squared maximum mean discrepancy of paired sets, without matching pairs.

    Kernel ``(x . y / features + 1)^3`` (Binkowski et al. 2018, KID). A reference and its own
    metamer are left out of the cross term, since they are not independent: with them the
    estimate falls with fewer images. 0 in expectation for equal distributions; may be negative.

    Parameters
    ----------
    references, metamers
        Shape (n, features) each, paired row by row, at least two rows.
    photographs
        A number for each image, which crops of one photograph share; pairs of them are left out
        as well, of references and of metamers too. None: each image is a photograph.
    """
    kernels, owners = _kernels(references, metamers, photographs)
    return float(_discrepancy(kernels, owners, np.ones((1, owners.max() + 1)))[0])


def kernel_distance_interval(
    references: ArrayLike,
    metamers: ArrayLike,
    *,
    photographs: ArrayLike | None = None,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the bootstrap interval of `kernel_distance` over photographs.

    Pairs of a photograph with itself are left out of a resample.
    """
    kernels, owners = _kernels(references, metamers, photographs)
    n = int(owners.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)
    mixed = drawn[(drawn < n).all(axis=1)].astype(np.float64)
    low, high = np.quantile(
        _discrepancy(kernels, owners, mixed), [(1 - level) / 2, (1 + level) / 2]
    )
    return float(low), float(high)


def _features(values: ArrayLike) -> Array:
    features = np.asarray(values, dtype=np.float64)
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(f"features have the shape {features.shape}; expected is (n >= 2, d)")
    if not np.isfinite(features).all():
        raise ValueError(f"{np.sum(~np.isfinite(features))} features are NaN or infinite")
    return features


def _owners(photographs: ArrayLike | None, n: int) -> tuple[NDArray[np.intp], int]:
    """Return each image's photograph, numbered from 0, and how many photographs there are."""
    given = np.arange(n) if photographs is None else np.asarray(photographs)
    names, owners = np.unique(given, return_inverse=True)
    return owners, len(names)


def _kernels(
    references: ArrayLike, metamers: ArrayLike, photographs: ArrayLike | None
) -> tuple[Array, NDArray[np.intp]]:
    """Return the kernel within references and metamers less that across, and the photographs.

    Pairs within a photograph are emptied, that of an image and itself among them.
    """
    first, second = _features(references), _features(metamers)
    if first.shape != second.shape:
        raise ValueError(f"features have the shapes {first.shape} and {second.shape}, not paired")
    owners, number = _owners(photographs, len(first))
    if number < 2:
        raise ValueError("all images are of one photograph; at least 2 are needed")
    total = np.zeros((len(first), len(first)))
    for one, other, sign in ((first, first, 1), (second, second, 1), (first, second, -2)):
        total += sign * (one @ other.T / one.shape[1] + 1) ** 3
    total[owners[:, None] == owners] = 0.0
    return total, owners


def _discrepancy(kernel: Array, owners: NDArray[np.intp], counts: Array) -> Array:
    """Return the estimate where photographs occur ``counts`` times, for each row of counts."""
    every = counts[:, owners]
    sums = np.einsum("ri,ij,rj->r", every, kernel, every, optimize=True)
    within = counts * np.bincount(owners)
    return sums / (within.sum(axis=1) ** 2 - (within**2).sum(axis=1))
