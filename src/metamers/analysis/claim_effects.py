"""Effects on recognition behind the paper's claims, each with its interval, or why it has none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from metamers.analysis.recognition_matrix import RecognitionMatrix, contrast
from metamers.analysis.run_results import Effect, Part, RunResults, least, pooled
from metamers.synthesis.settings import parse_radius

FAMILIES = ("cnn", "transformer")


def ensemble_gain(evidence: RunResults) -> Effect | str:
    """Return how much better ensembles transfer than single models, in the family that gains least.

    Families count one by one: where one gains and another does not, ensembles do not transfer
    better as such.
    """
    return least(
        [gain_within(evidence, family) for family in FAMILIES],
        "no model is held out for an ensemble and single models of its family and training",
    )


def gain_at_equal_loss(evidence: RunResults) -> Effect | str:
    """Return `ensemble_gain` of images that all sets compared brought to one loss."""
    if not evidence.recognised.get("equal_loss"):
        return "no experiment of kind 'equal_loss'; config/equal_loss.yaml has one"
    return least(
        [gain_within(evidence, family, "equal_loss") for family in FAMILIES],
        "no ensemble beside single models of its family and training at equal loss",
    )


def gain_within(evidence: RunResults, family: str, kind: str = "model_sets") -> Effect | str:
    """Return how much better a family's ensembles transfer than its single models."""
    return pooled(
        _gains(evidence, family, kind),
        evidence,
        "contrasts of an ensemble with single models",
        f"no {family} ensemble beside single models of its family and training",
    )


def gain_difference(evidence: RunResults) -> Effect | str:
    """Return how much more CNN ensembles gain over single CNNs than transformers do."""
    parts = []
    for similar in evidence.similar("model_sets"):
        cnn, transformer = (_mean_part(_gains_of(evidence, similar, f)) for f in FAMILIES)
        shared = [name for name in cnn if name in transformer]
        if shared:
            parts.append((tuple(shared), np.stack([cnn[n] - transformer[n] for n in shared])))
    return pooled(parts, evidence, "pairs of gains", "no gain of CNNs beside one of transformers")


def _gains(evidence: RunResults, family: str, kind: str) -> list[Part]:
    return [p for similar in evidence.similar(kind) for p in _gains_of(evidence, similar, family)]


def _gains_of(
    evidence: RunResults, similar: Sequence[RecognitionMatrix], family: str
) -> list[Part]:
    """Return each ensemble's contrast with its members alone, or with single models like them.

    Single models of another family or training would credit the ensemble with what is theirs,
    so that an ensemble without any of its own has no contrast.
    """
    by_name = {cell.condition.model_set: cell for cell in similar}
    singles = {name: evidence.plan.model_sets[name] for name in by_name}
    alone = {name: members[0] for name, members in singles.items() if len(members) == 1}
    parts = []
    for name, cell in by_name.items():
        if not evidence.is_ensemble(name, family=family):
            continue
        members = evidence.plan.model_sets[name]
        traits = {(evidence.zoo[m].family, evidence.zoo[m].training) for m in members}
        own = [s for s, model in alone.items() if model in members]
        like = [
            s
            for s, model in alone.items()
            if (evidence.zoo[model].family, evidence.zoo[model].training) in traits
        ]
        if own or like:
            parts.append(contrast(cell, [by_name[s] for s in own or like], evidence.group))
    return parts


def _mean_part(parts: Sequence[Part]) -> dict[str, NDArray[np.float64]]:
    """Return the mean over parts, by evaluator."""
    rows: dict[str, list[NDArray[np.float64]]] = {}
    for names, values in parts:
        for name, row in zip(names, values, strict=True):
            rows.setdefault(name, []).append(row)
    return {name: np.mean(found, axis=0) for name, found in rows.items()}


def kept_late(evidence: RunResults) -> Effect | str:
    """Return late less early recognizability of ensembles of convolutional networks."""
    early, late = evidence.stages()
    by_condition = {cell.condition: cell for cell in evidence.recognised.get("model_sets", ())}
    parts = []
    for condition, cell in by_condition.items():
        before = by_condition.get(replace(condition, stage=early))
        is_late = condition.stage == late and early != late
        if (
            is_late
            and before is not None
            and evidence.is_ensemble(condition.model_set, family="cnn")
        ):
            parts.append(contrast(cell, [before], evidence.group))
    return pooled(parts, evidence, "CNN ensembles", "no CNN ensemble at two stages")


def transformer_deficit(
    evidence: RunResults, trainings: Sequence[str] = ("standard", "robust")
) -> Effect | str:
    """Return how much better CNN ensembles transfer than equally trained transformer ensembles."""
    parts = []
    for similar in evidence.similar("model_sets"):
        for training in trainings:
            cnn, transformer = (
                [
                    cell
                    for cell in similar
                    if evidence.is_ensemble(
                        cell.condition.model_set, family=family, training=training
                    )
                ]
                for family in FAMILIES
            )
            parts += [contrast(cell, transformer, evidence.group) for cell in cnn if transformer]
    return pooled(parts, evidence, "pairs of ensembles", "no transformer ensemble beside a CNN one")


def late_deficit(evidence: RunResults, training: str) -> Effect | str:
    """Return `transformer_deficit` of one training at the latest stage."""
    return transformer_deficit(evidence.at(evidence.stages()[1]), (training,))


def bound_loss(evidence: RunResults) -> Effect | str:
    """Return how much recognizability a bound of 8/255 around the start costs, of all models."""
    pairs = bounded(evidence, "8/255")
    parts = [contrast(free, [cell], "all") for cell, free in pairs if free is not None]
    return pooled(parts, evidence, "pairs of bounds", "no bound of 8/255 beside a wider one")


def bounded(
    evidence: RunResults, wanted: str
) -> list[tuple[RecognitionMatrix, RecognitionMatrix | None]]:
    """Return cells within a radius of their start, each with that of the widest bound."""
    bounds = evidence.plan.config["bounds"]
    radius = {
        name: parse_radius(row["radius"])
        for name, row in bounds.items()
        if row["norm"] == "linf" and row["center"] == "initial"
    }
    widest = max(radius, key=radius.__getitem__, default=None)
    by_condition = {cell.condition: cell for cell in evidence.recognised.get("bounds", ())}
    return [
        (cell, by_condition.get(replace(condition, bound=str(widest))))
        for condition, cell in by_condition.items()
        if radius.get(condition.bound) == parse_radius(wanted)
    ]
