"""Effects on what goes with recognition: naturalness, image metrics, activations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from metamers import bootstrap
from metamers.analysis.run_results import Effect, RunResults, generator
from metamers.evaluation.metrics.registry import MEASURES
from metamers.storage.columns import CONDITION_KEY

FEWEST = 5  # conditions that a correlation needs
UNLEARNED = ("ssim", "psnr", "vif", "rase", "scc")  # total variation has no better side
ACTIVATIONS = "reference-reference | reference-metamer"

Array = NDArray[np.float64]


def natural_transfer(evidence: RunResults) -> Effect | str:
    """Return the rank correlation of CLIP-IQA and recognizability over conditions."""
    values = metric(evidence, "clip_iqa")
    if isinstance(values, str):
        return values
    return correlated(evidence, [values])


def metrics_find_best(evidence: RunResults) -> Effect | str:
    """Return the rank correlation of recognizability with the mean rank by unlearned metrics."""
    found = [metric(evidence, name) for name in UNLEARNED]
    known = [values for values in found if not isinstance(values, str)]
    return correlated(evidence, known) if known else "no image metric without learning"


def activations_go_with_class(evidence: RunResults) -> Effect | str:
    """Return the rank correlation of divergence and recognizability, over sets and judges.

    Of judges that are held out, at each stage; the interval resamples conditions.
    """
    rows = evidence.similarity
    cells = {cell.condition: cell for cell in evidence.recognised.get("model_sets", ())}
    if rows.empty:
        return "no table 'similarity'"
    rows = rows[rows["comparison"] == ACTIVATIONS]
    known = rows.set_index([*CONDITION_KEY, "evaluator"])["divergence"]
    pairs = []
    for condition, cell in cells.items():
        names, values = cell.part("trained")
        keys = [(*condition.columns().values(), name) for name in names]
        kept = [i for i, key in enumerate(keys) if key in known.index]
        if kept:
            divergence = [float(known[keys[i]]) for i in kept]
            pairs.append(np.array([divergence, np.nanmean(values[kept], axis=1)]))
    if len(pairs) < FEWEST:
        return f"{len(pairs)} conditions; a correlation needs {FEWEST}"
    return _resampled(
        evidence, pairs, f"{len(pairs)} conditions, {sum(p.shape[1] for p in pairs)} pairs"
    )


def metric(evidence: RunResults, name: str) -> pd.Series | str:
    """Return the mean of a metric by condition, larger where the image is better, or a reason."""
    rows = evidence.image_metrics
    rows = rows[rows["measure"] == name] if not rows.empty else rows
    if rows.empty:
        return f"{name}: not measured"
    missing = rows[rows["value"].isna()]
    if len(missing):
        return f"{name}: {missing['status'].iloc[0]}"
    finite = rows[np.isfinite(rows["value"].astype(float))]
    sign = -1 if MEASURES[name].better == "down" else 1
    return sign * finite.groupby(list(CONDITION_KEY), observed=True)["value"].mean()


def correlated(evidence: RunResults, metrics: Sequence[pd.Series]) -> Effect | str:
    """Return the rank correlation of recognizability with the mean rank by some metrics."""
    cells = [cell for cell in evidence.recognised.get("model_sets", ()) if cell.of("trained").any()]
    keys = [tuple(cell.condition.columns().values()) for cell in cells]
    kept = [i for i, key in enumerate(keys) if all(key in values.index for values in metrics)]
    if len(kept) < FEWEST:
        return f"{len(kept)} conditions with the metric; a correlation needs {FEWEST}"
    shares = [float(np.nanmean(cells[i].part("trained")[1])) for i in kept]
    ranks = [rankdata([float(values[keys[i]]) for i in kept]) for values in metrics]
    pairs = [np.array([[a], [b]]) for a, b in zip(np.mean(ranks, axis=0), shares, strict=True)]
    return _resampled(evidence, pairs, f"{len(pairs)} conditions, {len(metrics)} metrics")


def _resampled(evidence: RunResults, pairs: Sequence[Array], n: str) -> Effect | str:
    """Return the rank correlation of pairs with its interval, which resamples their groups."""
    source = generator(evidence)
    found = _spearman(np.concatenate(pairs, axis=1))
    if np.isnan(found):
        return "one of the two does not vary"
    resampled = [
        _spearman(
            np.concatenate([pairs[i] for i in source.integers(len(pairs), size=len(pairs))], 1)
        )
        for _ in range(bootstrap.RESAMPLES)
    ]
    low, high = np.nanquantile(resampled, bootstrap.TAILS)
    return Effect(found, float(low), float(high), n)


def _spearman(values: Array) -> float:
    ranks = rankdata(values, axis=1)
    if (ranks == ranks[:, :1]).all(axis=1).any():
        return np.nan
    return float(np.corrcoef(ranks)[0, 1])
