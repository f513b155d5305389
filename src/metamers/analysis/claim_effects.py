"""The effects behind the paper's claims, each with its interval, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metamers import bootstrap
from metamers.analysis.recognition_matrix import RecognitionMatrix, alike, cells, contrast, select
from metamers.config.plan import Plan
from metamers.evaluation.similarity import sample_size as power
from metamers.images.crops import photograph_of
from metamers.models.zoo import ModelSpec
from metamers.synthesis.settings import parse_radius

Part = tuple[tuple[str, ...], NDArray[np.float64]]

RULE = {"rule": "self", "label_space": "1000"}
ENOUGH_IMAGES = 80


@dataclass(frozen=True)
class Effect:
    """A number, the ends of its 95 % interval, and what it was computed from.

    Attributes
    ----------
    evaluators
        How many models judged, in the contrast that the fewest judged; 0 where none did.
    """

    value: float
    low: float
    high: float
    n: str
    evaluators: int = 0


@dataclass(frozen=True)
class RunResults:
    """A run's results, as far as claims rest on them.

    Attributes
    ----------
    plan
        The configuration, for its experiments, sets, stages and bounds.
    zoo
        The rows of the models that are members or evaluators.
    recognised
        Cells of the first experiment of each kind, by the rule `RULE` and of trained evaluators:
        a network with random weights that answers one class to all images would recognise them
        all.
    image_metrics, regression, power
        Tables of these names; empty where the run has none.
    """

    plan: Plan
    zoo: Mapping[str, ModelSpec]
    recognised: Mapping[str, Sequence[RecognitionMatrix]]
    image_metrics: pd.DataFrame
    regression: pd.DataFrame
    power: pd.DataFrame

    @classmethod
    def of(
        cls,
        plan: Plan,
        zoo: Mapping[str, ModelSpec],
        found: Mapping[str, pd.DataFrame],
        rule: Mapping[str, str] = RULE,
        judges: str = "trained",
    ) -> RunResults:
        """Gather what a plan and its tables, by name, say.

        Parameters
        ----------
        plan, zoo, found
            The plan, rows of its models, and tables by name.
        rule
            The judgement that counts: columns of the table `recognition`, and their values.
        judges
            ``trained``, or ``all``: networks with random weights too.
        """
        judged = found["recognition"]
        for name, value in rule.items():
            judged = judged[judged[name] == value]
        if judges == "trained":
            untrained = [name for name, spec in zoo.items() if spec.training == "random"]
            judged = judged[~judged["evaluator"].isin(untrained)]
        conditions = {kind: plan.experiments[n] for kind, n in plan.first_of_kinds.items()}
        return cls(
            plan,
            zoo,
            dict(select(cells(judged), conditions)) if len(judged) else {},
            *(found.get(n, pd.DataFrame()) for n in ("image_metrics", "mixed_regression", "power")),
        )

    @property
    def unit(self) -> str:
        """Return what is resampled, in words: images, or photographs where images are crops."""
        cells = [cell for found in self.recognised.values() for cell in found]
        cropped = any(len(cell.photographs) < cell.n_images for cell in cells)
        return "photographs" if cropped else "images"

    def at(self, stage: str) -> RunResults:
        """Return the results at one stage."""
        recognised = {
            name: [cell for cell in found if cell.condition.stage == stage]
            for name, found in self.recognised.items()
        }
        return replace(self, recognised=recognised)

    def similar(self, kind: str) -> list[list[RecognitionMatrix]]:
        """Return the cells of a kind, those together that differ in their set alone."""
        return list(alike(self.recognised.get(kind, ())).values())

    def is_ensemble(self, model_set: str, **traits: str) -> bool:
        """Return whether a set has several models, all with these traits of the zoo."""
        members = self.plan.model_sets[model_set]
        return len(members) > 1 and all(
            getattr(self.zoo[model], name) == value
            for model in members
            for name, value in traits.items()
        )

    def stages(self) -> tuple[str, str]:
        """Return the earliest and the latest stage."""
        fractions = self.plan.config["stages"]
        return min(fractions, key=fractions.__getitem__), max(fractions, key=fractions.__getitem__)


FAMILIES = ("cnn", "transformer")


def ensemble_gain(evidence: RunResults) -> Effect | str:
    """Return how much better ensembles transfer than single models, in the family that gains least.

    Families count one by one: where one gains and another does not, ensembles do not transfer
    better as such. The interval is from the least lower end to the least upper end, which is
    right for the smallest of several gains (an intersection-union test).
    """
    gains = [gain_within(evidence, family) for family in FAMILIES]
    found = [gain for gain in gains if isinstance(gain, Effect)]
    if not found:
        return "no model is held out for an ensemble and single models of its family and training"
    least = min(found, key=lambda gain: gain.value)
    low, high = min(gain.low for gain in found), min(gain.high for gain in found)
    n = f"{least.n}; the least of {len(found)} families" if len(found) > 1 else least.n
    return replace(least, low=low, high=high, n=n)


def gain_within(evidence: RunResults, family: str) -> Effect | str:
    """Return how much better a family's ensembles transfer than its single models."""
    return _pooled(
        _gains(evidence, family),
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
    return _pooled(parts, evidence, "pairs of gains", "no gain of CNNs beside one of transformers")


def _gains(evidence: RunResults, family: str) -> list[Part]:
    return [
        p
        for similar in evidence.similar("model_sets")
        for p in _gains_of(evidence, similar, family)
    ]


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
            parts.append(contrast(cell, [by_name[s] for s in own or like]))
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
            parts.append(contrast(cell, [before]))
    return _pooled(parts, evidence, "CNN ensembles", "no CNN ensemble at two stages")


def transformer_deficit(evidence: RunResults) -> Effect | str:
    """Return how much better CNN ensembles transfer than equally trained transformer ensembles."""
    parts = []
    for similar in evidence.similar("model_sets"):
        for training in ("standard", "robust"):
            cnn, transformer = (
                [
                    cell
                    for cell in similar
                    if evidence.is_ensemble(
                        cell.condition.model_set, family=family, training=training
                    )
                ]
                for family in ("cnn", "transformer")
            )
            parts += [contrast(cell, transformer) for cell in cnn if transformer]
    return _pooled(
        parts, evidence, "pairs of ensembles", "no transformer ensemble beside a CNN one"
    )


def bound_loss(evidence: RunResults) -> Effect | str:
    """Return how much recognizability a bound of 8/255 around the start costs, of all models."""
    bounds = evidence.plan.config["bounds"]
    radius = {
        name: parse_radius(row["radius"])
        for name, row in bounds.items()
        if row["norm"] == "linf" and row["center"] == "initial"
    }
    widest = max(radius, key=radius.__getitem__, default=None)
    by_condition = {cell.condition: cell for cell in evidence.recognised.get("bounds", ())}
    parts = []
    for condition, cell in by_condition.items():
        free = by_condition.get(replace(condition, bound=str(widest)))
        if radius.get(condition.bound) == parse_radius("8/255") and free is not None:
            parts.append(contrast(free, [cell], "all"))
    return _pooled(parts, evidence, "pairs of bounds", "no bound of 8/255 beside a wider one")


def naturalness(evidence: RunResults) -> Effect | str:
    """Return how much higher robust ensembles' CLIP-IQA is than that of standard ones, late."""
    rows = evidence.image_metrics
    main = {cell.condition.model_set for cell in evidence.recognised.get("model_sets", ())}
    sets = {
        training: [s for s in sorted(main) if evidence.is_ensemble(s, training=training)]
        for training in ("robust", "standard")
    }
    if not all(sets.values()) or rows.empty:
        return "no ensemble of robust models beside one of standard models"
    conditions = {
        (c.references, c.recipe, c.stage, c.bound)
        for c in (cell.condition for cell in evidence.recognised["model_sets"])
    }
    rows = rows[(rows["measure"] == "clip_iqa") & (rows["stage"] == evidence.stages()[1])]
    where = pd.MultiIndex.from_frame(rows[["references", "recipe", "stage", "bound"]])
    rows = rows[where.isin(list(conditions))]
    missing = rows[rows["value"].isna()]
    if rows.empty or len(missing):
        return f"CLIP-IQA: {missing['status'].iloc[0] if len(missing) else 'not measured'}"
    means = {
        training: rows[rows["model_set"].isin(names)].groupby("image_id")["value"].mean()
        for training, names in sets.items()
    }
    difference = means["robust"] - means["standard"]
    values = difference.groupby(photograph_of).mean().to_numpy(dtype=np.float64)
    low, high = bootstrap.bootstrap_interval(values, _generator(evidence))
    n = f"{len(values)} {evidence.unit}"
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
    rows = table[power.has_room(table)]
    if rows.empty:
        return "every divergence is near 0 or 1, where none spreads"
    by_evaluator = rows.groupby("evaluator", observed=True)[["sd", "sd_low", "sd_high"]]
    means, weights = by_evaluator.mean(), by_evaluator.size()
    (low, _), (_, high) = (
        bootstrap.crossed_interval(means[[end]], _generator(evidence), weights=weights)
        for end in ("sd_low", "sd_high")
    )
    total, photographs = rows["n_total"].min(), rows["n_photographs"].min()
    images = f"{total} images" + (f" of {photographs} photographs" if photographs < total else "")
    n = f"{len(rows)} of {len(table)} divergences, {len(means)} evaluators, {images}"
    return Effect(float(rows["sd"].mean()), low, high, n, len(means))


def robust_members(evidence: RunResults) -> Effect | str:
    """Return the coefficient of the share of robust members, size and family held fixed."""
    rows = evidence.regression
    if rows.empty:
        return "no experiment of kind 'mixed_sets' with sets that a model is held out from"
    rows = rows[rows["experiment"] == min(rows["experiment"])]  # the first of the kind
    row = rows[(rows["regression"] == "composition") & (rows["term"] == "robust")].iloc[0]
    if row["status"] != "estimated":
        return f"share of robust members: {row['status']}"
    return Effect(row["coefficient"], row["low"], row["high"], f"{row['n']} mixed sets")


def _pooled(parts: Sequence[Part], evidence: RunResults, what: str, absent: str) -> Effect | str:
    judged = [part for part in parts if part[0]]
    if not judged:
        return absent
    families = {name: spec.family for name, spec in evidence.zoo.items()}
    found = bootstrap.pooled(judged, _generator(evidence), differences=True, families=families)
    n_families = len({families[name] for names, _ in judged for name in names})
    fewest, most = found.fewest_evaluators, found.n_evaluators
    evaluators = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    of = "1 family" if n_families == 1 else f"{n_families} families"
    judges = f"{evaluators} evaluators of {of}"
    n = f"{found.n_tables} {what}, {judges}, {found.n_images} {evidence.unit}"
    return Effect(found.mean, found.low, found.high, n, fewest)


def _generator(evidence: RunResults) -> np.random.Generator:
    return np.random.default_rng(evidence.plan.config["seed"])
