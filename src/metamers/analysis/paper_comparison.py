"""The numbers that the paper prints, beside the run's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd

from metamers import bootstrap
from metamers.config.plan import Plan
from metamers.models.zoo import ModelSpec
from metamers.storage import tables
from metamers.synthesis import settings as recipes

HELD_OUT = {"group": "held_out", "rule": "self", "label_space": "1000"}


@dataclass(frozen=True)
class Setting:
    """What an experiment was run on.

    Attributes
    ----------
    models
        Names of the evaluators.
    sets
        Number of model sets.
    images
        Number of reference images.
    steps
        Gradient steps per metamer, of all members together.
    size
        Side of the images in pixels.
    weights
        ``trained`` or ``random``.
    """

    models: tuple[str, ...]
    sets: int
    images: int
    steps: int
    size: int
    weights: str = "trained"


def numbers() -> pd.DataFrame:
    """Return the numbers: columns place, quantity, subject, printed, value, sd.

    `subject` is a stage or a row of the zoo, `printed` its name in the paper.
    """
    path = resources.files("metamers").joinpath("data/paper_numbers.csv")
    with path.open() as file:
        return pd.read_csv(file)


def settings() -> dict[str, Setting]:
    """Return what the paper's experiments were run on (section 4, Table 3, Appendix B)."""
    table = numbers()
    models = tuple(table.loc[table["quantity"] == "appearances", "subject"])
    return {
        "main": Setting(models, sets=6, images=400, steps=40_000, size=224),
        "mixed": Setting(models, sets=100, images=80, steps=10_000, size=224),
    }


def setting_of(plan: Plan, experiment: str, images: int) -> Setting:
    """Return what an experiment of the configuration is run on.

    Where sets or recipes differ in their steps, the most are meant.
    """
    conditions = plan.experiments[experiment]
    steps = [
        budget.get("total_steps") or budget["per_model"] * len(plan.model_sets[c.model_set])
        for c in conditions
        for budget in [recipes.complete(plan.config["recipes"][c.recipe])["budget"]]
    ]
    return Setting(
        models=tuple(plan.config["evaluators"]),
        sets=len({condition.model_set for condition in conditions}),
        images=images,
        steps=max(steps),
        size=plan.config["preprocessing"]["size"],
        weights="random" if plan.config["random_weights"] else "trained",
    )


def comparison(
    by_stage: pd.DataFrame,
    mixed: pd.DataFrame,
    differences: pd.DataFrame,
    zoo: Mapping[str, ModelSpec],
    run: Mapping[str, Setting],
    seed: int = 0,
) -> pd.DataFrame:
    """Return each number of the paper beside the run's, and what differs.

    Parameters
    ----------
    by_stage
        Frame with the columns of `recognizability_by_stage`, of the experiment like the
        paper's main one, with one recipe and one bound.
    mixed, differences
        Frames with the columns of `mixed_sets` and `difference_in_means`.
    zoo
        The rows of the models.
    run
        Setting of the experiments ``main`` and ``mixed``; one that was not run is left out.

    Returns
    -------
    pandas.DataFrame
        The columns of the table `paper_comparison`.
    """
    theirs = settings()
    changes = {name: differing(theirs[name], own) for name, own in run.items()}
    found = (
        _stages(by_stage, changes.get("main", ""))
        | _mixed(mixed, changes.get("mixed", ""), seed)
        | _models(differences, changes.get("mixed", ""))
        | _parameters(zoo, run)
    )
    rows = [_row(row, found, run) for _, row in numbers().iterrows()]
    return pd.DataFrame(rows, columns=tables.PAPER_COMPARISON.schema.names)


def differing(theirs: Setting, own: Setting) -> str:
    """Return in words what differs between the paper's setting and another."""
    said = []
    if set(own.models) != set(theirs.models):
        shared = len(set(theirs.models) & set(own.models))
        said.append(f"zoo: {len(own.models)} models, {shared} of the paper's {len(theirs.models)}")
    names = {"sets": "model sets", "images": "images", "steps": "steps", "size": "pixels a side"}
    for field, label in names.items():
        one, other = getattr(own, field), getattr(theirs, field)
        if one != other:
            said.append(f"{label}: {one} for {other}")
    if own.weights != theirs.weights:
        said.insert(0, f"{own.weights} weights for {theirs.weights} ones")
    return "; ".join(said) or "nothing"


def _row(
    entry: pd.Series,
    found: Mapping[tuple[str, str], Mapping[str, Any]],
    run: Mapping[str, Setting],
) -> dict[str, Any]:
    nothing = {"run": None, "run_sd": None, "low": None, "high": None}
    own = found.get((entry["quantity"], entry["subject"]))
    return {
        "place": entry["place"],
        "quantity": entry["quantity"],
        "subject": entry["subject"],
        "paper": float(entry["value"]),
        "paper_sd": entry["sd"],
    } | dict(own or nothing | {"differs": _absence(entry, run)})


def _absence(entry: pd.Series, run: Mapping[str, Setting]) -> str:
    """Return why the run has no such number."""
    experiment = "main" if entry["place"] == "section 4.5" else "mixed"
    if experiment not in run and entry["place"] != "Table 4":
        return f"not in this run: it has no experiment like the paper's {experiment!r}"
    if entry["place"] in ("Table 4", "Table 5"):
        return "not in this run: it does not have the model"
    return "not in this run: it has no metamers of this stage"


def _stages(by_stage: pd.DataFrame, changes: str) -> dict[tuple[str, str], dict[str, Any]]:
    chosen = by_stage
    for name, value in HELD_OUT.items():
        chosen = chosen[chosen[name] == value]
    if chosen["stage"].duplicated().any():
        settings = chosen[["experiment", "references", "recipe", "bound"]].drop_duplicates()
        raise ValueError(
            "the paper's means belong to one experiment, recipe and bound; met were "
            f"{settings.to_dict('records')!r}"
        )
    return {
        ("recognizability", row["stage"]): {
            "run": row["mean"],
            "run_sd": row["sd"],
            "low": row["low"],
            "high": row["high"],
            "differs": changes,
        }
        for row in chosen.to_dict("records")
    }


def _mixed(mixed: pd.DataFrame, changes: str, seed: int) -> dict[tuple[str, str], dict[str, Any]]:
    if mixed.empty:
        return {}
    values = mixed["mean"].to_numpy(dtype=np.float64)
    low, high = bootstrap.bootstrap_interval(values, np.random.default_rng(seed))
    (stage,) = mixed["stage"].unique()
    return {
        ("recognizability of mixed sets", stage): {
            "run": values.mean(),
            "run_sd": values.std(ddof=1) if len(values) > 1 else None,
            "low": float(low),
            "high": float(high),
            "differs": changes,
        }
    }


def _models(differences: pd.DataFrame, changes: str) -> dict[tuple[str, str], dict[str, Any]]:
    found = {}
    for row in differences.to_dict("records"):
        nothing = {"run_sd": None, "low": None, "high": None, "differs": changes}
        found["appearances", row["model"]] = nothing | {"run": row["appearances"]}
        found["difference in means", row["model"]] = nothing | {
            "run": row["difference"],
            "low": row["low"],
            "high": row["high"],
        }
    return found


def _parameters(
    zoo: Mapping[str, ModelSpec], run: Mapping[str, Setting]
) -> dict[tuple[str, str], dict[str, Any]]:
    used = {model for setting in run.values() for model in setting.models}
    return {
        ("parameters", name): {
            "run": spec.parameters,
            "run_sd": None,
            "low": None,
            "high": None,
            "differs": "nothing: the count is checked whenever the model is built",
        }
        for name, spec in zoo.items()
        if name in used and spec.parameters
    }
