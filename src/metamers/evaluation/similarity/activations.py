"""Activations of metamers against those of their references, by one evaluator at one stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata

from metamers import bootstrap
from metamers.evaluation.similarity import (
    distances,
    divergence,
    null_distribution,
    sample_size,
    shared_invariance,
)
from metamers.evaluation.similarity.densities import BITS, Convention
from metamers.evaluation.similarity.distances import Source
from metamers.evaluation.similarity.null_distribution import Null
from metamers.images import crops

RANKED = 4096  # features that rank correlations are taken of, at most
POWER_SIZES = (5, 10, 20, 40, 80, 160, 320)
POWER_REPEATS = 200


@dataclass(frozen=True)
class ReferenceDistances:
    """What the references alone give: shared by all conditions of a stage.

    Attributes
    ----------
    source
        Their activations.
    pairs
        Distances of all pairs, ``(n, n)``.
    norms
        Norm of each, ``(n,)``.
    ranked
        Activations of the features that are ranked, ``(n, <= RANKED)``.
    null
        How alike unrelated references are.
    """

    source: Source
    pairs: NDArray[np.float64]
    norms: NDArray[np.float64]
    ranked: NDArray[np.float64]
    null: Null

    @classmethod
    def measure(cls, source: Source, image_ids: Sequence[str]) -> ReferenceDistances:
        """Measure the references of a draw; crops of one photograph are not unrelated."""
        n, photographs = len(image_ids), crops.photographs(image_ids)
        pairs = distances.pair_distances(source, n)
        norms, ranked = _norms(source, n), ranked_features(source, n)
        different = photographs[:, None] != photographs
        relative = np.sort((pairs / norms[:, None])[different])
        correlations = _correlations(ranked)[different]
        correlations = np.sort(correlations[np.isfinite(correlations)])
        noise = np.sort(-_decibels(relative))
        return cls(source, pairs, norms, ranked, Null(relative, correlations, noise))


def compare(
    references: ReferenceDistances,
    metamers: Source,
    image_ids: Sequence[str],
    seed: int,
    *,
    with_power: bool = False,
    with_geometry: bool = False,
    convention: Convention = BITS,
) -> dict[str, pd.DataFrame]:
    """Return the tables ``similarity``, ``likeness`` and ``power``, without condition columns.

    And ``geometry``, if it is asked for.

    The power table, which takes as long as a network's look at some thousand images, is empty
    unless asked for. It has the numbers of images of `POWER_SIZES` that are at most half of all.
    Divergences are by the convention.
    """
    n, photographs = len(image_ids), crops.photographs(image_ids)
    matched = distances.matched_distances(references.source, metamers, n)
    pairs = distances.pair_distances(metamers, n)
    every = (references.pairs, pairs, matched)
    how: Any = {"seed": seed, "photographs": photographs, "convention": convention}
    rows = divergence.divergences(*every, **how)
    sizes = [size for size in POWER_SIZES if 2 * size <= n] if with_power else []
    powers = sample_size.power(*every, sizes, repeats=POWER_REPEATS, **how)
    wanted = {"geometry": geometry(references, pairs, photographs, seed)} if with_geometry else {}
    total = {"n_total": n, "n_photographs": int(photographs.max()) + 1}
    return wanted | {
        "similarity": pd.DataFrame(
            [asdict(row) | {"median_ratio": _finite(row.median_ratio)} for row in rows]
        ),
        "likeness": likeness(references, matched, ranked_features(metamers, n), image_ids),
        "power": pd.DataFrame([asdict(row) | total for row in powers], columns=POWER_COLUMNS),
    }


POWER_COLUMNS = [*(field.name for field in fields(sample_size.Power)), "n_total", "n_photographs"]


def likeness(
    references: ReferenceDistances,
    matched: NDArray[np.float64],
    ranked: NDArray[np.float64],
    image_ids: Sequence[str],
) -> pd.DataFrame:
    """Return how alike each metamer and its reference are, and where that lies in the null."""
    relative = matched / references.norms
    correlations = null_distribution.spearman(references.ranked, ranked)
    noise = np.where(relative > 0, -_decibels(relative), np.nan)
    return pd.DataFrame(
        {
            "image_id": list(image_ids),
            "relative_l2": relative,
            "spearman": correlations,
            "snr": noise,
            "percentile_l2": references.null.percentile("relative_l2", relative),
            "percentile_spearman": references.null.percentile("spearman", correlations),
        }
    )


def geometry(
    references: ReferenceDistances,
    pairs: NDArray[np.float64],
    photographs: NDArray[np.intp],
    seed: int,
) -> pd.DataFrame:
    """Return the distances of all pairs of metamers, and how similar they are to references'."""
    found = shared_invariance.similarity(references.pairs, [pairs], seed, photographs)
    row = {
        "photographs": photographs.astype(np.int32),
        "pairs": pairs[np.triu_indices(len(pairs), k=1)].astype(np.float32),
    }
    return pd.DataFrame([row | shared_invariance.columns("stir", found)])


def at_another_stage(
    references: ReferenceDistances, metamers: Source, image_ids: Sequence[str], seed: int
) -> dict[str, Any]:
    """Return the cells of the table `cross_stage` on one stage, without condition columns."""
    n, photographs = len(image_ids), crops.photographs(image_ids)
    relative = distances.matched_distances(references.source, metamers, n) / references.norms
    means = np.bincount(photographs, weights=relative) / np.bincount(photographs)
    low, high = bootstrap.bootstrap_interval(means, np.random.default_rng(seed))
    pairs = distances.pair_distances(metamers, n)
    found = shared_invariance.similarity(references.pairs, [pairs], seed, photographs)
    similarity = shared_invariance.columns("similarity", found)
    del similarity["similarity_floor"]
    return {
        "n_images": n,
        "relative_l2": float(means.mean()),
        "low": float(low),
        "high": float(high),
        "percentile_l2": float(np.median(references.null.percentile("relative_l2", relative))),
        **similarity,
    }


def ranked_features(source: Source, n: int) -> NDArray[np.float64]:
    """Return the activations of at most `RANKED` features, the same for each layer's size."""
    width = source(0, 1).shape[1]
    chosen = np.arange(width)
    if width > RANKED:
        chosen = np.sort(np.random.default_rng(width).choice(width, RANKED, replace=False))
    columns = torch.from_numpy(chosen)
    rows = [source(start, min(start + 16, n)) for start in range(0, n, 16)]
    return torch.cat([r[:, columns.to(r.device)].cpu() for r in rows]).double().numpy()


def _norms(source: Source, n: int) -> NDArray[np.float64]:
    rows = [source(start, min(start + 16, n)) for start in range(0, n, 16)]
    norms = torch.cat([torch.linalg.vector_norm(r.double(), dim=1).cpu() for r in rows]).numpy()
    if not norms.all():
        raise ValueError(f"the activations of {(norms == 0).sum()} references are wholly zero")
    return norms


def _correlations(ranked: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rank correlations of all pairs; NaN for images of equal activations."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.corrcoef(rankdata(ranked, axis=1))


def _decibels(relative: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore"):  # minus infinity for equal activations
        return 20 * np.log10(relative)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
