"""Effects on how much is recognised, against a level that the paper names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from metamers import bootstrap
from metamers.analysis.claim_effects import FAMILIES, bounded
from metamers.analysis.recognition_matrix import RecognitionMatrix, contrast
from metamers.analysis.run_results import (
    FEWEST_IMAGES,
    Effect,
    RunResults,
    TooFewImages,
    generator,
    least,
    pooled,
)

RECOGNISABLE = 0.2
"""Section 4.5: recognizability of late metamers "was usually below 0.2" before."""


def level(
    evidence: RunResults, chosen: Sequence[RecognitionMatrix], what: str, absent: str
) -> Effect | str:
    """Return the recognizability of some cells by the evaluators that count."""
    parts = [cell.part(evidence.group) for cell in chosen if cell.of(evidence.group).any()]
    return pooled(parts, evidence, what, absent, differences=False)


def single_late(evidence: RunResults) -> Effect | str:
    """Return the recognizability of single models' metamers at the latest stage."""
    chosen = [cell for cell in at_stage(evidence, 1) if len(_members(evidence, cell)) == 1]
    return level(evidence, chosen, "single models", "no single model at the latest of two stages")


def least_early(evidence: RunResults) -> Effect | str:
    """Return the recognizability of the set that is recognised least at the earliest stage."""
    found = [_of(evidence, cell) for cell in at_stage(evidence, 0)]
    return least(found, "no model set at the earliest of two stages")


def divide_late(evidence: RunResults) -> Effect | str:
    """Return how far sets lie on their side of `RECOGNISABLE` late: the one that lies least far.

    CNN ensembles and robust ones above, single models and ensembles of standard transformers
    below. Both kinds are needed.
    """
    sides: dict[bool, list[Effect | str]] = {True: [], False: []}
    for cell in at_stage(evidence, 1):
        name = cell.condition.model_set
        robust = evidence.is_ensemble(name, training="robust")
        above = robust or evidence.is_ensemble(name, family="cnn")
        standard = evidence.is_ensemble(name, family="transformer", training="standard")
        if above or standard or len(_members(evidence, cell)) == 1:
            sides[above].append(_margin(_of(evidence, cell), above))
    if not all(sides.values()):
        return "no ensemble of CNNs or robust models beside single models or transformers, late"
    return least([*sides[True], *sides[False]], "")


def best_of_sets(evidence: RunResults) -> Effect | str:
    """Return how much more CNN ensembles are recognised than the best other set."""
    found: dict[str, list[tuple[tuple[str, ...], np.ndarray]]] = {}
    for similar in evidence.similar("model_sets"):
        cnn = [c for c in similar if _is_cnn_ensemble(evidence, c)]
        for other in similar:
            if cnn and not _is_cnn_ensemble(evidence, other):
                name = other.condition.model_set
                found.setdefault(name, []).extend(
                    contrast(cell, [other], evidence.group) for cell in cnn
                )
    effects = [
        pooled(parts, evidence, f"contrasts with {name}", "") for name, parts in found.items()
    ]
    return least(effects, "no CNN ensemble beside other sets")


def mixed_level(evidence: RunResults) -> Effect | str:
    """Return the mean recognizability of mixed sets; the interval resamples sets."""
    rows = evidence.mixed_sets
    if rows.empty:
        return "no experiment of kind 'mixed_sets' with sets that a model is held out from"
    rows = rows[rows["experiment"] == min(rows["experiment"])]  # the first of the kind
    values = rows["mean"].to_numpy(dtype=np.float64)
    low, high = bootstrap.bootstrap_interval(values, generator(evidence))
    return Effect(float(values.mean()), float(low), float(high), f"{len(values)} mixed sets")


def judges_under_bound(evidence: RunResults) -> Effect | str:
    """Return how much more CNNs than transformers recognise within 8/255 of the start."""
    parts = [cell.part(evidence.group) for cell, _ in bounded(evidence, "8/255")]
    tables = []
    for family in FAMILIES:
        rows = [
            row
            for names, values in parts
            for name, row in zip(names, values, strict=True)
            if evidence.zoo[name].family == family
        ]
        if not rows:
            return f"no bound of 8/255 that a {family} judges"
        tables.append(np.stack(rows))
    return _difference_of_judges(evidence, *tables)


def at_stage(evidence: RunResults, which: int) -> list[RecognitionMatrix]:
    """Return the cells of model sets at the earliest (0) or the latest (1) of several stages."""
    early, late = evidence.stages()
    stage = (early, late)[which]
    cells = evidence.recognised.get("model_sets", ())
    return [c for c in cells if c.condition.stage == stage and early != late]


def _of(evidence: RunResults, cell: RecognitionMatrix) -> Effect | str:
    name = cell.condition.model_set
    return level(evidence, [cell], f"model set ({name})", f"nobody held out judges {name}")


def _margin(found: Effect | str, above: bool) -> Effect | str:
    if isinstance(found, str):
        return found
    ends = [end - RECOGNISABLE for end in (found.value, found.low, found.high)]
    if not above:
        ends = [-ends[0], -ends[2], -ends[1]]
    return replace(found, value=ends[0], low=ends[1], high=ends[2])


def _is_cnn_ensemble(evidence: RunResults, cell: RecognitionMatrix) -> bool:
    return evidence.is_ensemble(cell.condition.model_set, family="cnn", training="standard")


def _members(evidence: RunResults, cell: RecognitionMatrix) -> tuple[str, ...]:
    return evidence.plan.model_sets[cell.condition.model_set]


def _difference_of_judges(evidence: RunResults, one: np.ndarray, other: np.ndarray) -> Effect | str:
    """Return the difference between the means of two groups of judges of the same images.

    Entries of judges that do not count for an image are NaN; an image counts that both judge.
    """
    both = ~np.isnan(one).all(axis=0) & ~np.isnan(other).all(axis=0)
    if both.sum() < FEWEST_IMAGES:
        return TooFewImages.of(int(both.sum()), evidence)
    one, other = one[:, both], other[:, both]
    source = generator(evidence)
    images = bootstrap.resample_counts(one.shape[1], bootstrap.RESAMPLES, source)
    means = []
    for table in (one, other):
        drawn = bootstrap.resample_counts(len(table), bootstrap.RESAMPLES, source)
        sums, counts = (
            ((drawn @ part) * images).sum(axis=1)
            for part in (np.nan_to_num(table), (~np.isnan(table)).astype(np.float64))
        )
        means.append(np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0))
    low, high = np.nanquantile(means[0] - means[1], bootstrap.TAILS)
    n = f"{len(one)} CNN and {len(other)} transformer judges, {one.shape[1]} {evidence.unit}"
    value = float(np.nanmean(one) - np.nanmean(other))
    return Effect(value, float(low), float(high), n, min(len(one), len(other)))
