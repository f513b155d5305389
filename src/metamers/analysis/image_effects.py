"""Effects on images and activations behind the paper's claims, each with its interval."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from metamers import bootstrap
from metamers.analysis.run_results import Effect, RunResults, generator, least
from metamers.evaluation.metrics.registry import MEASURES
from metamers.evaluation.similarity import sample_size as power
from metamers.evaluation.similarity.densities import Convention
from metamers.images.crops import photograph_of

Traits = Mapping[str, str]

ENOUGH_IMAGES = 80
ROBUST = {"training": "robust"}
STANDARD = {"training": "standard"}
ROBUST_CNN = {"training": "robust", "family": "cnn"}
PROMPTS = ("clip_iqa", "clip_iqa_natural", "clip_iqa_real")
"""Image metrics that a claim of natural looks rests on: all have to show it."""


def naturalness(
    evidence: RunResults, one: Traits = ROBUST, other: Traits = STANDARD
) -> Effect | str:
    """Return how much higher some ensembles' CLIP-IQA is than that of others, late.

    By the pair of prompts, of those of `PROMPTS` that were measured, that shows it least.
    """
    found = [image_contrast(evidence, name, one, other) for name in PROMPTS]
    return least(found, str(found[0]))


def image_contrast(evidence: RunResults, measure: str, one: Traits, other: Traits) -> Effect | str:
    """Return how much higher an image metric is of some ensembles than of others, late.

    Parameters
    ----------
    measure
        Name of the metric, one value per image.
    one, other
        Traits of the zoo that all members of an ensemble have.
    """
    rows = evidence.image_metrics
    main = {cell.condition.model_set for cell in evidence.recognised.get("model_sets", ())}
    ones, others = ([s for s in sorted(main) if evidence.is_ensemble(s, **t)] for t in (one, other))
    if not ones or not others or rows.empty:
        kinds = [" ".join(traits.values()) for traits in (one, other)]
        return f"no ensemble of {kinds[0]} models beside one of {kinds[1]} models"
    conditions = {
        (c.references, c.recipe, c.stage, c.bound)
        for c in (cell.condition for cell in evidence.recognised["model_sets"])
    }
    rows = rows[(rows["measure"] == measure) & (rows["stage"] == evidence.stages()[1])]
    where = pd.MultiIndex.from_frame(rows[["references", "recipe", "stage", "bound"]])
    rows = rows[where.isin(list(conditions))]
    missing, label = rows[rows["value"].isna()], MEASURES[measure].label
    if rows.empty or len(missing):
        return f"{label}: {missing['status'].iloc[0] if len(missing) else 'not measured'}"
    means = [
        rows[rows["model_set"].isin(names)].groupby("image_id")["value"].mean()
        for names in (ones, others)
    ]
    difference = means[0] - means[1]
    values = difference.groupby(photograph_of).mean().to_numpy(dtype=np.float64)
    low, high = bootstrap.bootstrap_interval(values, generator(evidence))
    n = f"{len(values)} {evidence.unit}, {label}"
    return Effect(float(values.mean()), float(low), float(high), n)


def spread(evidence: RunResults) -> Effect | str:
    """Return the standard deviation of a divergence of 80 images, over evaluators and sets.

    Divergences without room to spread are left out (`power.has_room`). All share their
    photographs, so that the ends of their intervals are averaged as they stand; evaluators are
    resampled beside that.
    """
    table = evidence.power
    if table.empty:
        return "no experiment of kind 'power'; config/power.yaml has one"
    table = table[table["n_images"] == ENOUGH_IMAGES]
    if table.empty:
        return f"fewer than {2 * ENOUGH_IMAGES} images, which subsets of {ENOUGH_IMAGES} need"
    rows = table[power.has_room(table, Convention(**evidence.plan.divergence))]
    if rows.empty:
        return "every divergence is near 0 or 1, where none spreads"
    by_evaluator = rows.groupby("evaluator", observed=True)[["sd", "sd_low", "sd_high"]]
    means, weights = by_evaluator.mean(), by_evaluator.size()
    (low, _), (_, high) = (
        bootstrap.crossed_interval(means[[end]], generator(evidence), weights=weights)
        for end in ("sd_low", "sd_high")
    )
    total, photographs = rows["n_total"].min(), rows["n_photographs"].min()
    images = f"{total} images" + (f" of {photographs} photographs" if photographs < total else "")
    n = f"{len(rows)} of {len(table)} divergences, {len(means)} evaluators, {images}"
    return Effect(float(rows["sd"].mean()), low, high, n, len(means))


def of_members(evidence: RunResults, term: str) -> Effect | str:
    """Return the coefficient of a share of the members of mixed sets, all else held fixed.

    Parameters
    ----------
    term
        Of the regression ``composition``: ``robust``, or a family.
    """
    rows = evidence.mixed_regression
    if rows.empty:
        return "no experiment of kind 'mixed_sets' with sets that a model is held out from"
    rows = rows[rows["experiment"] == min(rows["experiment"])]  # the first of the kind
    found = rows[(rows["regression"] == "composition") & (rows["term"] == term)]
    if found.empty:
        return f"share of {term} members: not among the terms"
    row = found.iloc[0]
    if row["status"] != "estimated":
        return f"share of {term} members: {row['status']}"
    return Effect(row["coefficient"], row["low"], row["high"], f"{row['n']} mixed sets")
