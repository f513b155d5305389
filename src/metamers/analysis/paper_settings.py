"""What the paper's experiments were run on, and what differs in another run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib import resources
from typing import Any

import pandas as pd

from metamers.config.plan import Plan
from metamers.synthesis import settings as recipes

UNBOUNDED = {"norm": "linf", "center": "initial", "radius": 10000}  # section 4.1
TABLE_2 = frozenset(
    map(
        frozenset,
        [
            ["vgg19"],
            ["vit_base"],
            ["convnext_base", "alexnet", "resnet50", "resnet18"],
            ["convnext_base_robust", "alexnet_robust", "resnet18_robust"],
            ["deit_small", "vit_base", "swin_base", "xcit_small"],
            ["deit_small_robust", "vit_base_robust", "swin_base_robust", "xcit_small_robust"],
        ],
    )
)
NOT_STATED = "not stated"
SOLVER = {
    "gradient": "gradient",
    "schedule": "step sizes",
    "initializer": "start",
    "pixel_range": "range of pixels",
    "ensemble": "strategy",
    "target_relu": "gradient at the target ReLU",
}
"""Keys of a recipe that the paper states (Algorithm 1, Table 3), in words."""


@dataclass(frozen=True)
class Setting:
    """What an experiment was run on; a field that is None is not stated.

    Attributes
    ----------
    models
        Names of the evaluators.
    sets
        Number of model sets.
    members
        Members of each set, in any order.
    images
        Number of reference images.
    steps
        Gradient steps per metamer, of all members together.
    size
        Side of the images in pixels.
    stages
        Fraction of the depth by stage.
    bounds
        Norm, center and radius of each bound.
    solvers
        The keys `SOLVER` of each recipe, and ``steps_per_turn``.
    weights
        ``trained`` or ``random``.
    """

    models: tuple[str, ...]
    sets: int
    images: int | None
    steps: int
    size: int
    members: frozenset[frozenset[str]] | None = None
    stages: Mapping[str, float] | None = None
    bounds: Sequence[Mapping[str, Any]] | None = None
    solvers: Sequence[Mapping[str, Any]] | None = None
    weights: str = "trained"


def numbers() -> pd.DataFrame:
    """Return the numbers: columns place, quantity, subject, printed, value, sd.

    `subject` is a stage or a row of the zoo, `printed` its name in the paper.
    """
    path = resources.files("metamers").joinpath("data/paper_numbers.csv")
    with path.open() as file:
        return pd.read_csv(file)


def settings() -> dict[str, Setting]:
    """Return what the paper's experiments were run on (section 4, Tables 2 and 3, Appendix B).

    It does not state the number of images of the main experiment (400 is that of Feather et
    al.), nor which mixed sets were drawn.
    """
    table = numbers()
    models = tuple(table.loc[table["quantity"] == "appearances", "subject"])
    solver = _solver({"preset": "paper"})
    same: dict[str, Any] = {"size": 224, "bounds": [UNBOUNDED], "solvers": [solver]}
    stages = {"early": 0.2, "middle": 0.5, "late": 0.8}
    return {
        "main": Setting(
            models, 6, images=None, steps=40_000, members=TABLE_2, stages=stages, **same
        ),
        "mixed": Setting(
            models, 100, images=80, steps=10_000, stages={"middle": stages["middle"]}, **same
        ),
    }


def setting_of(plan: Plan, experiment: str, images: int) -> Setting:
    """Return what an experiment of the configuration is run on.

    Where sets or recipes differ in their steps, the most are meant.
    """
    conditions = plan.contrasted[experiment]
    steps = [
        budget.get("total_steps")
        or budget.get("at_most")
        or budget["per_model"] * len(plan.model_sets[c.model_set])
        for c in conditions
        for budget in [recipes.complete(plan.config["recipes"][c.recipe])["budget"]]
    ]
    config = plan.config
    return Setting(
        models=tuple(config["evaluators"]),
        sets=len({c.model_set for c in conditions}),
        images=images,
        steps=max(steps),
        size=config["preprocessing"]["size"],
        members=frozenset(frozenset(plan.model_sets[c.model_set]) for c in conditions),
        stages={c.stage: float(config["stages"][c.stage]) for c in conditions},
        bounds=[config["bounds"][name] for name in dict.fromkeys(c.bound for c in conditions)],
        solvers=[
            _solver(config["recipes"][name]) for name in dict.fromkeys(c.recipe for c in conditions)
        ],
        weights="random" if config["random_weights"] else "trained",
    )


def _solver(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the paper states of a recipe, but its number of steps."""
    values = recipes.complete(recipe)
    return {"steps_per_turn": values["budget"]["steps_per_turn"]} | {k: values[k] for k in SOLVER}


def differing(theirs: Setting, own: Setting) -> str:
    """Return in words what differs between the paper's setting and another.

    What the paper does not state is said to be so, since it cannot be called equal. Its weights
    are named by their network alone (Table 4).
    """
    said = []
    if own.weights != theirs.weights:
        said.append(f"{own.weights} weights for {theirs.weights} ones")
    if set(own.models) != set(theirs.models):
        shared = len(set(theirs.models) & set(own.models))
        said.append(
            f"zoo: {len(own.models)} model{'s' * (len(own.models) != 1)}, {shared} of the paper's "
            f"{len(theirs.models)}"
        )
    names = {"sets": "model sets", "images": "images", "steps": "steps", "size": "pixels a side"}
    for field, label in names.items():
        one, other = getattr(own, field), getattr(theirs, field)
        if one != other:
            said.append(f"{label}: {one} for {NOT_STATED if other is None else other}")
    said += _sets_and_stages(theirs, own)
    said += _solvers(theirs, own)
    return "; ".join(said) or "nothing"


def _sets_and_stages(theirs: Setting, own: Setting) -> list[str]:
    said = []
    if theirs.members is None:
        said.append(f"members of the sets: {NOT_STATED}")
    elif own.members != theirs.members and own.sets == theirs.sets:
        said.append("members of the sets: others than in Table 2")
    if own.stages != theirs.stages:
        said.append(f"stages: {_listed(own.stages)} for {_listed(theirs.stages)}")
    if not _alike(own.bounds, theirs.bounds):
        said.append(f"bounds: {_bounds(own)} for {_bounds(theirs)}")
    return said


def _solvers(theirs: Setting, own: Setting) -> list[str]:
    (paper,) = theirs.solvers or [{}]
    said = []
    for key, label in {"steps_per_turn": "steps per turn", **SOLVER}.items():
        met = [solver[key] for solver in own.solvers or [] if solver[key] != paper.get(key)]
        if met:
            values = " and ".join(dict.fromkeys(map(_value, met)))
            said.append(f"{label}: {values} for {_value(paper.get(key))}")
    return said


def _value(value: object) -> str:
    return _listed(value) if isinstance(value, Mapping) else str(value)


def _listed(values: Mapping[str, Any] | None) -> str:
    if values is None:
        return NOT_STATED
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _alike(
    bounds: Sequence[Mapping[str, Any]] | None, others: Sequence[Mapping[str, Any]] | None
) -> bool:
    """Return whether bounds keep pixels in the same sets."""
    return {_bound(b) for b in bounds or ()} == {_bound(b) for b in others or ()}


def _bound(row: Mapping[str, Any]) -> tuple[str, str, Fraction]:
    return row["norm"], row["center"], Fraction(str(row["radius"]))


def _bounds(setting: Setting) -> str:
    rows = [f"{b['norm']} {b['radius']} around {b['center']}" for b in setting.bounds or ()]
    return " and ".join(rows) or NOT_STATED
