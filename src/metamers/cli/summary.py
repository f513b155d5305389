"""A finished run in a screenful of text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from metamers.storage import baseline_tables, recognition_tables, tables
from metamers.storage.columns import CONDITION_KEY, PRIMARY_RULE, Table


def text(run: Path) -> str:
    """Return recognizability by set and stage, what is no metamer, and what ensembles gain.

    Parameters
    ----------
    run
        Folder of a finished run, ``results/<run>``.

    Raises
    ------
    FileNotFoundError
        If the run has no tables yet.
    """
    folder = run / "tables"
    if not (folder / "recognizability_by_set.parquet").exists():
        raise FileNotFoundError(f"{folder} has no tables: has the run finished? (snakemake -n)")
    by_set, gain = (
        _primary(table, folder)
        for table in (recognition_tables.RECOGNIZABILITY_BY_SET, recognition_tables.ENSEMBLE_GAIN)
    )
    failures = _failures(by_set, folder / f"{baseline_tables.SUCCESS.name}.parquet")
    return "\n".join([*_recognizability(by_set), "", *failures, *_gain(gain), ""])


def _primary(table: Table, folder: Path) -> pd.DataFrame:
    """Return the first experiment of model sets, by the primary rule."""
    path = folder / f"{table.name}.parquet"
    config = json.loads(tables.provenance_of(path).get("config", "{}"))
    kinds = {name: axes["kind"] for name, axes in config.get("experiments", {}).items() if axes}
    first = min((name for name, kind in kinds.items() if kind == "model_sets"), default="")
    frame = tables.matching(tables.read(table, path), experiment=first, **PRIMARY_RULE)
    ranks = {
        "model_set": list(config.get("model_sets", {})),
        "stage": sorted(config.get("stages", {}), key=config.get("stages", {}).get),
    }
    places = {
        name: frame[name].map(lambda value, order=order: _place(value, order))
        for name, order in ranks.items()
    }
    return frame.assign(**{f"_{name}": place for name, place in places.items()}).sort_values(
        ["_model_set", "_stage"], kind="stable"
    )


def _place(value: str, order: list[str]) -> int:
    return order.index(value) if value in order else len(order)


def _recognizability(frame: pd.DataFrame) -> list[str]:
    lines = [
        "Share of metamers that a model takes for the same of 1000 classes as their reference,",
        "mean over models and images [95 % bootstrap interval over both]:",
        "",
        f"{'model set':<24}{'stage':<9}{'own members':<22}held-out models",
    ]
    for (model_set, stage), rows in frame.groupby(["model_set", "stage"], sort=False):
        cells = {row.group: row for row in rows.itertuples()}
        own, held_out = (_cell(cells.get(group)) for group in ("members", "trained"))
        lines.append(f"{model_set:<24}{stage:<9}{own:<22}{held_out}")
    n_images = int(frame["n_images"].max()) if len(frame) else 0
    return [*lines, f"(n = {n_images} images)"]


def _failures(by_set: pd.DataFrame, path: Path) -> list[str]:
    """Return the members for whom the metamers of these conditions are none, a line each."""
    if not path.exists():
        return []
    success = tables.read(baseline_tables.SUCCESS, path)
    key = list(CONDITION_KEY)
    shown = success.merge(by_set[key].drop_duplicates(), on=key)
    failed = shown[~shown["are_metamers"]]
    if failed.empty:
        return []
    return [
        f"No metamers for {len(failed)} of {len(shown)} members by Feather et al. (2023); share of",
        "the images that are, which would have to be 0.9 (docs/evaluation.md):",
        "",
        *(
            f"{row.model_set:<24}{row.stage:<9}{row.model:<22}{row.share:.2f}"
            for row in failed.itertuples()
        ),
        "",
    ]


def _cell(row: Any) -> str:  # noqa: ANN401
    if row is None:
        return "none"
    interval = "" if pd.isna(row.low) else f" [{row.low:.2f}, {row.high:.2f}]"
    return f"{row.mean:.2f}{interval} ({row.n_evaluators})"


def _gain(frame: pd.DataFrame) -> list[str]:
    lines = ["Ensemble less the mean of its own single models, by models held out for all:", ""]
    for row in frame[frame["against"] == "members"].itertuples():
        interval = f"[{_signed(row.low)}, {_signed(row.high)}]"
        lines.append(
            f"{row.model_set:<24}{row.stage:<9}{_signed(row.difference)} {interval} "
            f"({row.n_images} images, {row.n_evaluators} model{'s' * (row.n_evaluators != 1)})"
        )
    return lines if len(lines) > 2 else []


def _signed(value: Any) -> str:  # noqa: ANN401
    """Return a number to two places with its sign; zero has a plus, however it came about."""
    text = f"{value:+.2f}"
    return "+0.00" if text == "-0.00" else text
