"""What the page of a gallery knows before it shows a metamer: axes, conditions, photographs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from metamers.config.plan import Condition
from metamers.gallery.run_tables import HELD_OUT, MEMBER, RunTables
from metamers.images.classes import class_name, class_names
from metamers.storage import provenance
from metamers.storage.columns import CONDITION_KEY

AXES = {
    "references": "Draw",
    "model_set": "Model set",
    "stage": "Stage",
    "bound": "Bound",
    "recipe": "Recipe",
}
TWIN = "has a member's weights"
RECOGNISED = "Recognised: the evaluator's own answer to the reference, of 1000 classes."
FAILURE = (
    "a member answers otherwise than to the reference, or its activations are no nearer to the "
    "reference's than those of unrelated images (table image_success); or the recipe's target "
    "was missed."
)


def description(run: RunTables, chunks: int) -> dict[str, Any]:
    """Return the words of a gallery whose metamers come in so many chunks."""
    values = _values(run)
    members = _members(run)
    return {
        "title": run.config["run"],
        "notice": provenance.RANDOM_WEIGHTS if run.config["random_weights"] else "",
        "recognised": RECOGNISED,
        "failure": FAILURE,
        "side": run.config["preprocessing"]["size"],
        "chunks": chunks,
        "axes": [
            {
                "name": axis,
                "label": title,
                "values": [{"label": run.label(name)} for name in values[axis]],
            }
            for axis, title in AXES.items()
        ],
        "conditions": [
            {
                "cell": [values[axis].index(getattr(condition, axis)) for axis in AXES],
                "members": [run.label(name) for name in members[condition]],
                "roles": _roles(run, condition, members[condition]),
                "settings": _settings(run, condition, members[condition]),
            }
            for condition in run.conditions
        ],
        "photographs": [_photograph(row) for row in run.photographs.to_dict("records")],
        "evaluators": [run.label(name) for name in run.evaluators],
        "measures": [
            {key: words for key, words in one.items() if key != "name"} for one in run.measures
        ],
        "headline": [1, 0],  # measures beneath each metamer
        "classes": class_names(),
    }


def _values(run: RunTables) -> dict[str, list[str]]:
    """Return the values of each axis that occur, in the configuration's order."""
    config = run.config
    order = {
        "references": [],
        "model_set": list(config["model_sets"]),
        "stage": sorted(config["stages"], key=config["stages"].__getitem__),
        "bound": list(config["bounds"]),
        "recipe": list(config["recipes"]),
    }
    used = {axis: {getattr(c, axis) for c in run.conditions} for axis in AXES}
    known = {axis: [name for name in order[axis] if name in used[axis]] for axis in AXES}
    return {axis: known[axis] + sorted(used[axis] - set(known[axis])) for axis in AXES}


def _members(run: RunTables) -> dict[Condition, list[str]]:
    rows = run.tables["optimisation"][[*CONDITION_KEY, "model"]].drop_duplicates()
    keys = zip(*(rows[name] for name in CONDITION_KEY), strict=True)
    found: dict[Condition, list[str]] = {condition: [] for condition in run.conditions}
    for key, model in zip(keys, rows["model"], strict=True):
        found[Condition(*key)].append(model)
    return found


def _roles(run: RunTables, condition: Condition, members: list[str]) -> list[str]:
    twins = {name for key, name in run.twins if key == condition}
    return [
        MEMBER if name in members else TWIN if name in twins else HELD_OUT
        for name in run.evaluators
    ]


def _settings(run: RunTables, condition: Condition, members: list[str]) -> dict[str, str]:
    notes = run.conditions[condition]
    return {
        "model set": f"{condition.model_set}: {', '.join(map(run.label, members))}",
        "stage": f"{condition.stage} ({notes['depth']:g} of the depth)",
        "bound": f"{condition.bound}: {_flat(notes['bound'])}",
        "recipe": f"{condition.recipe}: {_flat(notes['settings'])}",
        "seed": str(notes["seed"]),
        "made by": f"metamers {notes['version']} ({notes['commit']}), torch {notes['torch']}, "
        f"{notes['device']}",
    }


def _photograph(row: Mapping[Any, Any]) -> dict[str, Any]:
    index = None if pd.isna(row["label"]) else int(row["label"])
    return {
        "id": row["image_id"],
        "label": row["image_id"] if index is None else class_name(index),
        "category": "" if pd.isna(row["category"]) else row["category"],
        "index": index,
    }


def _flat(settings: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {'(' + _flat(value) + ')' if isinstance(value, Mapping) else value}"
        for name, value in settings.items()
    )
