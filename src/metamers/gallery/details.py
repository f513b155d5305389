"""What the large view of a gallery tells of a photograph's metamers: answers and losses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from metamers.config.plan import Condition
from metamers.gallery.run_tables import RunTables, number_of
from metamers.storage.columns import CONDITION_KEY

Rows = Sequence[Mapping[str, Any]]


def details(run: RunTables) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield, for each photograph, its place and what evaluators and losses say of it."""
    names = ("reference_predictions", "predictions", "optimisation", "traces")
    of = {name: _by_photograph(run.tables[name]) for name in names}
    of["recognition"] = _by_photograph(run.primary)
    for key, place in run.photograph_places.items():
        yield place, _photograph(run, {name: groups.get(key) for name, groups in of.items()})


def _by_photograph(table: pd.DataFrame) -> dict[tuple[str, str], pd.DataFrame]:
    groups = table.groupby(["references", "image_id"], observed=True)
    return {(str(draw), str(image)): rows for (draw, image), rows in groups}


def _by_condition(table: pd.DataFrame | None) -> dict[Condition, list[dict[str, Any]]]:
    found: dict[Condition, list[dict[str, Any]]] = {}
    for row in _records(table):
        key = Condition(*(row[name] for name in CONDITION_KEY))
        found.setdefault(key, []).append(row)
    return found


def _records(table: pd.DataFrame | None) -> list[dict[str, Any]]:
    rows = [] if table is None else table.to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def _photograph(run: RunTables, own: Mapping[str, pd.DataFrame | None]) -> dict[str, Any]:
    references = {row["evaluator"]: _answer(row) for row in _records(own["reference_predictions"])}
    names = ("predictions", "recognition", "optimisation", "traces")
    rows = {name: _by_condition(own[name]) for name in names}
    return {
        "answers": [references.get(name) for name in run.evaluators],
        "metamers": {
            place: {
                "answers": _answers(
                    run, rows["predictions"].get(key, []), rows["recognition"].get(key, [])
                ),
                "traces": _traces(run, rows["optimisation"][key], rows["traces"].get(key, [])),
            }
            for place, key in enumerate(run.conditions)
            if key in rows["optimisation"]
        },
    }


def _answers(run: RunTables, predictions: Rows, recognition: Rows) -> list[dict[str, Any]]:
    recognised = {row["evaluator"]: bool(row["recognised"]) for row in recognition}
    found = [
        _answer(row)
        | {
            "evaluator": run.evaluators.index(row["evaluator"]),
            "recognised": recognised.get(row["evaluator"]),
        }
        for row in predictions
        if row["evaluator"] in run.evaluators
    ]
    return sorted(found, key=lambda one: one["evaluator"])


def _answer(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "classes": [int(index) for index in row["top5"]],
        "probabilities": [number_of(value) for value in row["top5_probability"]],
    }


def _traces(run: RunTables, losses: Rows, traces: Rows) -> list[dict[str, Any]]:
    return [
        {
            "model": run.label(row["model"]),
            "before": number_of(row["loss_before"]),
            "stored": number_of(row["loss_stored"]),
            "steps": [int(one["step"]) for one in traces if one["model"] == row["model"]],
            "losses": [number_of(one["loss"]) for one in traces if one["model"] == row["model"]],
        }
        for row in losses
    ]
