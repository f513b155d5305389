"""A run's results, as far as claims rest on them, and effects with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metamers import bootstrap
from metamers.analysis.recognition_matrix import RecognitionMatrix, alike, cells, select
from metamers.config.plan import Plan
from metamers.models.zoo import ModelSpec
from metamers.storage import tables
from metamers.storage.columns import CONDITION_KEY, PRIMARY_RULE

Part = tuple[tuple[str, ...], NDArray[np.float64]]

EVIDENCE = ("image_metrics", "mixed_regression", "power", "similarity", "mixed_sets")
"""Tables beside `recognition` that claims rest on."""
FEWEST_IMAGES = 5
"""Images, or photographs, that an effect on recognition needs: fewer hardly differ in resamples."""


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


class TooFewImages(str):
    """Says why an effect has no interval: fewer than `FEWEST_IMAGES` images or photographs."""

    @classmethod
    def of(cls, number: int, evidence: RunResults) -> TooFewImages:
        """Return what is said of a number of images."""
        return cls(f"{number} {evidence.unit} to compare; an interval needs {FEWEST_IMAGES}")


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
        Cells of the first experiment of each kind, by the primary rule and of trained evaluators:
        a network with random weights that answers one class to all images would recognise them
        all. Controls (`Plan.controls`) are left out. Of kind ``equal_loss``, images that a set
        did not bring to the target are empty; there are no cells without the table
        ``optimisation``.
    group
        Evaluators that judge contrasts: a group of `GROUPS`.
    image_metrics, mixed_regression, power, similarity, mixed_sets
        Tables of these names; empty where the run has none.
    """

    plan: Plan
    zoo: Mapping[str, ModelSpec]
    recognised: Mapping[str, Sequence[RecognitionMatrix]]
    group: str
    image_metrics: pd.DataFrame
    mixed_regression: pd.DataFrame
    power: pd.DataFrame
    similarity: pd.DataFrame
    mixed_sets: pd.DataFrame

    @classmethod
    def of(
        cls,
        plan: Plan,
        zoo: Mapping[str, ModelSpec],
        found: Mapping[str, pd.DataFrame],
        rule: Mapping[str, str] = PRIMARY_RULE,
        judges: str = "trained",
        images: str = "all",
    ) -> RunResults:
        """Gather what a plan and its tables, by name, say.

        Parameters
        ----------
        plan, zoo, found
            The plan, rows of its models, and tables by name.
        rule
            The judgement that counts: columns of the table `recognition`, and their values.
        judges
            One of `JUDGES`: ``trained``, ``unrelated`` (of these, those that share no lineage
            with a member), or ``all``: networks with random weights too.
        images
            ``all``; ``right``: for each judge those whose reference it gets right; or
            ``metamers``: those that are metamers for each member of their set, by the table
            ``image_success``, in all conditions that are compared.
        """
        judged = tables.matching(found["recognition"], **rule)
        if judges != "all":
            judged = judged[judged["trained"]]
        if images == "right":
            judged = got_right(judged)
        if images == "metamers":
            judged = of_metamers(judged, found["image_success"])
        chosen = cells(judged, selected=images == "right")
        conditions = {kind: plan.contrasted[n] for kind, n in plan.first_of_kinds.items()}
        recognised = dict(select(chosen, conditions)) if chosen else {}
        if matched := recognised.pop("equal_loss", None):
            recognised |= _at_target(judged, matched, found.get("optimisation"), images)
        return cls(
            plan,
            zoo,
            recognised,
            "unrelated" if judges == "unrelated" else "held_out",
            *(found.get(name, pd.DataFrame()) for name in EVIDENCE),
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


def got_right(recognition: pd.DataFrame) -> pd.DataFrame:
    """Return the judgements of evaluators who give the reference its label."""
    return recognition[recognition["right"].fillna(False).astype(bool)]


def of_metamers(recognition: pd.DataFrame, image_success: pd.DataFrame) -> pd.DataFrame:
    """Return the judgements, with those of images that are no metamers for a member empty.

    An image that no member judged is not known to be one.
    """
    image = [*CONDITION_KEY, "image_id"]
    succeeded = image_success.groupby(image, observed=True)["success"].all()
    are = pd.MultiIndex.from_frame(recognition[image]).isin(succeeded.index[succeeded])
    recognised = recognition["recognised"].astype(np.float32)
    return recognition.assign(recognised=recognised.where(are))


def _at_target(
    judged: pd.DataFrame,
    matched: Sequence[RecognitionMatrix],
    optimisation: pd.DataFrame | None,
    images: str,
) -> dict[str, list[RecognitionMatrix]]:
    """Return the cells of kind ``equal_loss``, empty where an image did not reach the target."""
    if optimisation is None:
        return {}
    image = [*CONDITION_KEY, "image_id"]
    of_member = optimisation["reached"].astype("boolean").fillna(False).astype(bool)
    reached = optimisation.assign(reached=of_member).groupby(image, observed=True)["reached"].all()
    known = pd.MultiIndex.from_frame(judged[image]).isin(reached.index[reached])
    recognised = judged["recognised"].astype(np.float32)
    wanted = {cell.condition: cell for cell in matched}
    found = cells(judged.assign(recognised=recognised.where(known)), selected=images == "right")
    return {"equal_loss": [cell for cell in found if cell.condition in wanted]}


def pooled(
    parts: Sequence[Part],
    evidence: RunResults,
    what: str,
    absent: str,
    *,
    differences: bool = True,
) -> Effect | str:
    """Return the mean of parts with its interval, or ``absent`` where nobody judged any.

    Families of evaluators count alike, and are resampled; ``what`` says in words what parts are,
    ``differences`` whether they are differences of shares, or shares. Of fewer than
    `FEWEST_IMAGES` there is no interval.
    """
    judged = [part for part in parts if not np.isnan(part[1]).all()]
    if not judged:
        return TooFewImages.of(0, evidence) if any(names for names, _ in parts) else absent
    families = {name: spec.family for name, spec in evidence.zoo.items()}
    found = bootstrap.pooled(
        judged, generator(evidence), differences=differences, families=families
    )
    if found.n_images < FEWEST_IMAGES:
        return TooFewImages.of(found.n_images, evidence)
    n_families = len({families[name] for name in found.evaluators})
    fewest, most = found.fewest_evaluators, found.n_evaluators
    evaluators = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    of = "1 family" if n_families == 1 else f"{n_families} families"
    judges = f"{evaluators} evaluators of {of}"
    n = f"{found.n_tables} {what}, {judges}, {found.n_images} {evidence.unit}"
    return Effect(found.mean, found.low, found.high, n, fewest)


def least(found: Sequence[Effect | str], absent: str) -> Effect | str:
    """Return the smallest of several effects; its interval is that of an intersection-union test.

    From the least lower to the least upper end, so that it lies above a threshold only if all
    do.
    """
    effects = [effect for effect in found if isinstance(effect, Effect)]
    if not effects:
        return next((why for why in found if isinstance(why, TooFewImages)), absent)
    smallest = min(effects, key=lambda effect: effect.value)
    low, high = (min(getattr(effect, end) for effect in effects) for end in ("low", "high"))
    n = f"{smallest.n}; the least of {len(effects)}" if len(effects) > 1 else smallest.n
    return replace(smallest, low=low, high=high, n=n)


def generator(evidence: RunResults) -> np.random.Generator:
    """Return the source of an effect's resamples, the same for each."""
    return np.random.default_rng(evidence.plan.config["seed"])
