"""Settings and counts that the paper states, as this run has them."""

from __future__ import annotations

from collections.abc import Mapping
from math import comb
from typing import Any

from metamers.analysis.paper_settings import Setting
from metamers.config.plan import Plan
from metamers.evaluation.similarity.densities import GRID_POINTS
from metamers.images.classes import CATEGORIES, category_of
from metamers.synthesis import settings as recipes
from metamers.synthesis.settings import parse_radius

NO_SETTING = {
    "late recognizability before": "not in this run: the paper says it of earlier experiments",
    "images that suffice": "not in this run: a claim, with an interval among the claims",
    "radius of robust training": "not in this run: a property of weights that were fetched",
    "radius of AlexNet's robust training": "not in this run: a property of fetched weights",
}
N_CLASSES = 1000
REMARKS = {
    "categories listed": "the paper's footnote leaves out the oven",
    "classes with a category": "the published mapping has 207 of the 1000 classes",
}


def facts(plan: Plan, run: Mapping[str, Setting]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the run's own value of each setting that the paper states, where it has one.

    Parameters
    ----------
    plan
        The run's plan.
    run
        Setting of the experiments like the paper's ``main`` and ``mixed``.

    Returns
    -------
    By quantity, which is ``setting``, and subject: columns run to differs of `paper_comparison`;
    differs is empty where the two values say it.
    """
    known = _always(plan) | _of_main(plan, run) | _of_bounds(plan) | _of_mixed(plan, run)
    nothing: dict[str, Any] = {"run_sd": None, "low": None, "high": None}
    found = {
        ("setting", subject): nothing | {"run": float(value), "differs": REMARKS.get(subject, "")}
        for subject, value in known.items()
    }
    absent = {
        ("setting", subject): nothing | {"run": None, "differs": reason}
        for subject, reason in NO_SETTING.items()
    }
    return found | absent


def _always(plan: Plan) -> dict[str, float]:
    n = len(plan.config["evaluators"])
    mapped = sum(category_of(label) is not None for label in range(N_CLASSES))
    return {
        "models": n,
        "categories": len(CATEGORIES),
        "categories listed": len(CATEGORIES),
        "classes with a category": mapped,
        "sets of five models": comb(n, 5),
        "points of a density": GRID_POINTS,
        "pixels a side": plan.config["preprocessing"]["size"],
    }


def _of_main(plan: Plan, run: Mapping[str, Setting]) -> dict[str, float]:
    name = plan.first_of_kinds.get("model_sets")
    if name is None or "main" not in run:
        return {}
    condition = plan.contrasted[name][0]
    recipe = recipes.complete(plan.config["recipes"][condition.recipe])
    steps, turn = run["main"].steps, recipe["budget"]["steps_per_turn"]
    judges, start = plan.config["evaluators"], recipe["initializer"]
    sets = {c.model_set for c in plan.contrasted[name]}
    held_out = [len(set(judges) - set(plan.model_sets[s])) for s in sets]
    found = {
        "held-out evaluators": sum(held_out) / len(held_out),
        "steps": steps,
        "steps of the example": steps,
        "steps per turn": turn,
        "repetitions": steps // turn,
        "bound": parse_radius(plan.config["bounds"][condition.bound]["radius"]),
        "first rate": recipe["schedule"]["start"],
        "last rate": recipe["schedule"].get("stop"),
        "radius of the start": start.get("radius"),
        "centre of the start": start.get("center"),
    }
    stages = {f"{stage} depth": depth for stage, depth in (run["main"].stages or {}).items()}
    return {k: v for k, v in (found | stages).items() if v is not None}


def _of_bounds(plan: Plan) -> dict[str, float]:
    name = plan.first_of_kinds.get("bounds")
    if name is None:
        return {}
    used = {condition.bound for condition in plan.experiments[name]}
    radii = sorted({float(parse_radius(plan.config["bounds"][b]["radius"])) for b in used})
    return dict(zip(("narrow bound", "wide bound"), radii, strict=False))


def _of_mixed(plan: Plan, run: Mapping[str, Setting]) -> dict[str, float]:
    name = plan.first_of_kinds.get("mixed_sets")
    if name is None or "mixed" not in run:
        return {}
    sizes = [len(plan.model_sets[c.model_set]) for c in plan.experiments[name]]
    setting = run["mixed"]
    return {
        "mixed sets": setting.sets,
        "smallest mixed set": min(sizes),
        "largest mixed set": max(sizes),
        "steps of mixed sets": setting.steps,
        "images of mixed sets": setting.images or 0,
    }
