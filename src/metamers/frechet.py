"""Distances between two sets of features: Fréchet's, and an unbiased one of kernels.

Features come from a network (`metamers.learned`), one row per image. A metamer is made from one
reference, so that the sets are paired row by row; both distances say what that does to them.
"""

from __future__ import annotations

import numpy as np
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


def frechet_floor(references: ArrayLike, *, splits: int = 10, seed: int = 0) -> float:
    """Return the Fréchet distance of random halves of one set, averaged over splits.

    What the bias alone gives at half the number of images; the truth is 0.
    """
    features = _features(references)
    half = len(features) // 2
    if half < 2:
        raise ValueError(f"{len(features)} rows of features have no halves; at least 4 are needed")
    generator = np.random.default_rng(seed)
    orders = [generator.permutation(len(features)) for _ in range(splits)]
    return float(
        np.mean(
            [frechet_distance(features[o[:half]], features[o[half : 2 * half]]) for o in orders]
        )
    )


def kernel_distance(references: ArrayLike, metamers: ArrayLike) -> float:
    """Return the squared maximum mean discrepancy of paired sets, without matching pairs.

    Kernel ``(x . y / features + 1)^3`` (Binkowski et al. 2018, KID). A reference and its own
    metamer are left out of the cross term, since they are not independent: with them the
    estimate falls with fewer images. 0 in expectation for equal distributions; may be negative.

    Parameters
    ----------
    references, metamers
        Shape (n, features) each, paired row by row, at least two rows.
    """
    kernels = _kernels(references, metamers)
    return float(_discrepancy(kernels, np.ones((1, len(kernels[0]))))[0])


def kernel_distance_interval(
    references: ArrayLike,
    metamers: ArrayLike,
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the bootstrap interval of `kernel_distance` over images.

    Pairs of an image with itself are left out of a resample.
    """
    kernels = _kernels(references, metamers)
    n = len(kernels[0])
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)
    values = _discrepancy(kernels, drawn[(drawn < n).all(axis=1)].astype(np.float64))
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _features(values: ArrayLike) -> Array:
    features = np.asarray(values, dtype=np.float64)
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(f"features have the shape {features.shape}; expected is (n >= 2, d)")
    if not np.isfinite(features).all():
        raise ValueError(f"{np.sum(~np.isfinite(features))} features are NaN or infinite")
    return features


def _kernels(references: ArrayLike, metamers: ArrayLike) -> tuple[Array, Array, Array]:
    """Return the kernel within references, within metamers, and across, diagonals emptied."""
    first, second = _features(references), _features(metamers)
    if first.shape != second.shape:
        raise ValueError(f"features have the shapes {first.shape} and {second.shape}, not paired")
    matrices = []
    for one, other in ((first, first), (second, second), (first, second)):
        kernel = (one @ other.T / one.shape[1] + 1) ** 3
        np.fill_diagonal(kernel, 0.0)
        matrices.append(kernel)
    return matrices[0], matrices[1], matrices[2]


def _discrepancy(kernels: tuple[Array, Array, Array], counts: Array) -> Array:
    """Return the estimate where images occur ``counts`` times, for each row of counts."""
    within, other, across = kernels
    sums = np.einsum("ri,ij,rj->r", counts, within + other - 2 * across, counts, optimize=True)
    return sums / (counts.sum(axis=1) ** 2 - (counts**2).sum(axis=1))
