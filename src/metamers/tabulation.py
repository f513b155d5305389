"""The tables of a run, from the raw ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from metamers import analysis, metamer_files, mixed, provenance, tables
from metamers.plan import Plan

WIDE_RULE = {"rule": "self", "ways": "1000"}


def recognizability(
    predictions: pd.DataFrame,
    reference_predictions: pd.DataFrame,
    references: pd.DataFrame,
    config: Mapping[str, Any],
    zoo: Mapping[str, Mapping[str, Any]],
) -> dict[str, pd.DataFrame]:
    """Return the tables on recognizability by name.

    Parameters
    ----------
    predictions, reference_predictions, references
        The raw tables.
    config, zoo
        The configuration, and the rows of the zoo.
    """
    plan = Plan.from_config(config, zoo)
    recognition = analysis.recognition(
        predictions,
        reference_predictions,
        references,
        plan.model_sets,
        {name: weights_identity(zoo[name]) for name in config["evaluators"]},
    )
    seed = config["seed"]
    found = {
        "predictions": predictions,
        "reference_predictions": reference_predictions,
        "references": references,
        "recognition": recognition,
        "recognizability": analysis.recognizability(recognition, plan.experiments, seed),
        "recognizability_by_set": analysis.by_set(recognition, plan.experiments, seed),
        "recognizability_by_stage": analysis.by_stage(recognition, plan.experiments, seed),
        "ensemble_gain": analysis.ensemble_gain(
            recognition, plan.experiments, plan.model_sets, seed
        ),
    }
    conditions = plan.experiments.get("mixed", ())
    if conditions:
        sets = mixed.mixed_sets(recognition, conditions, plan.model_sets, seed=seed)
        found["mixed_sets"] = sets
        found["difference_in_means"] = mixed.difference_in_means(sets, seed)
    return found


def losses(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Return the table ``optimisation`` of the metamers in some files."""
    rows: list[dict[str, Any]] = []
    for path in paths:
        metamers = metamer_files.load(path)
        rows.extend(metamer_files.loss_rows(metamers, metamers.notes["condition"]))
    return pd.DataFrame(rows)


def weights_identity(row: Mapping[str, Any]) -> str:
    """Return what two models with the same weights have in common."""
    weights = row["weights"]
    return weights.get("sha256") or provenance.digest([row["architecture"], dict(weights)])


def write_all(
    found: Mapping[str, pd.DataFrame], paths: Iterable[str], stamp: Mapping[str, str]
) -> None:
    """Write each table to the path whose name is the table's."""
    for path in paths:
        name = Path(path).stem
        tables.write(tables.TABLES[name], found[name], path, stamp)
