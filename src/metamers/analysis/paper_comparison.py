"""The numbers that the paper prints, beside the run's own."""

from __future__ import annotations

from collections.abc import Mapping
from math import isclose
from typing import Any

import numpy as np
import pandas as pd

from metamers import bootstrap
from metamers.analysis.paper_settings import Setting, differing, numbers, settings
from metamers.models.zoo import ModelSpec
from metamers.storage import result_tables, tables
from metamers.storage.columns import PRIMARY_RULE


def comparison(
    by_stage: pd.DataFrame,
    mixed: pd.DataFrame,
    differences: pd.DataFrame,
    zoo: Mapping[str, ModelSpec],
    run: Mapping[str, Setting],
    seed: int = 0,
    facts: Mapping[tuple[str, str], Mapping[str, Any]] | None = None,
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
    facts
        What `paper_facts.facts` returned.

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
        | dict(facts or {})
    )
    rows = [_row(row, found, run) for _, row in numbers().iterrows()]
    return pd.DataFrame(rows, columns=result_tables.PAPER_COMPARISON.schema.names)


def _row(
    entry: pd.Series,
    found: Mapping[tuple[str, str], Mapping[str, Any]],
    run: Mapping[str, Setting],
) -> dict[str, Any]:
    nothing = {"run": None, "run_sd": None, "low": None, "high": None}
    own = found.get((entry["quantity"], entry["subject"]))
    if own and not own["differs"]:
        same = isclose(own["run"], entry["value"], rel_tol=1e-6)
        own = dict(own) | {"differs": "nothing" if same else "the value"}
    return {
        "place": entry["place"],
        "quantity": entry["quantity"],
        "subject": entry["subject"],
        "paper": float(entry["value"]),
        "paper_sd": entry["sd"],
    } | dict(own or nothing | {"differs": _absence(entry, run)})


def _absence(entry: pd.Series, run: Mapping[str, Setting]) -> str:
    """Return why the run has no such number."""
    if entry["quantity"] == "setting":
        return "not in this run: it has no such experiment"
    experiment = "main" if entry["place"] == "section 4.5" else "mixed"
    if experiment not in run and entry["place"] != "Table 4":
        return f"not in this run: it has no experiment like the paper's {experiment!r}"
    if entry["place"] in ("Table 4", "Table 5"):
        return "not in this run: it does not have the model"
    return "not in this run: it has no metamers of this stage"


def _stages(by_stage: pd.DataFrame, changes: str) -> dict[tuple[str, str], dict[str, Any]]:
    chosen = tables.matching(by_stage, group="held_out", **PRIMARY_RULE)
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
