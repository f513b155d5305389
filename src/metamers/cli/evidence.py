"""The command ``metamers evidence``: a finished run as a page of its tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from metamers.storage import tables

app = typer.Typer()

_PRIMARY = {"rule": "self", "label_space": "1000"}


@app.command()
def evidence(
    run: Annotated[Path, typer.Argument(help="A finished run's folder, results/<run>.")],
) -> None:
    """Print a page in Markdown of what a run found, each number with its n and interval."""
    try:
        typer.echo("\n".join(page(run / "tables")), nl=False)
    except FileNotFoundError as error:
        raise typer.BadParameter(f"{run} has not finished: {error}") from error


def page(folder: Path) -> list[str]:
    """Return the lines of the page.

    Parameters
    ----------
    folder
        The run's tables. What a run has not measured is left out.

    Raises
    ------
    FileNotFoundError
        If there is no table of claims or of recognizability.
    """
    claims = tables.read(tables.CLAIMS, folder / "claims.parquet")
    made = tables.provenance_of(folder / "claims.parquet")
    stamp = ", ".join(f"{key} `{made[key]}`" for key in ("run", "version", "commit") if key in made)
    return [
        "# What a run shows",
        "",
        f"Made by `metamers evidence` from the tables of one run ({stamp}); do not edit. Intervals",
        "are of 95 %.",
        "",
        *_section("Claims", _claims(claims)),
        *_section("Are they metamers?", _success(folder)),
        *_section("Recognizability by held-out models", _recognizability(folder)),
        *_section("At equal loss", _equal_loss(folder)),
        *_section("Shared invariances", _shared(folder)),
        *_section("What it cost", _cost(folder)),
    ]


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return [f"## {title}", "", *lines, ""] if lines else []


def _claims(claims: pd.DataFrame) -> list[str]:
    cells = (
        (row.claim, _number(row.effect), _interval(row.low, row.high), row.n, row.verdict)
        for row in _rows(claims)
    )
    return _table(("claim", "effect", "interval", "n", "verdict"), cells)


def _success(folder: Path) -> list[str]:
    found = _read(tables.SUCCESS, folder)
    groups: Any = found.groupby(["recipe", "model_set", "stage"], sort=False)
    cells = (
        (*name, f"{rows['share'].min():.2f}", int(rows["n_images"].max())) for name, rows in groups
    )
    head = ("recipe", "set", "stage", "share of images, worst member", "n")
    return [
        "Share of images that lie closer to their reference than 99 % of unrelated pairs do.",
        "",
        *_table(head, cells),
    ]


def _recognizability(folder: Path) -> list[str]:
    found = _primary(_read(tables.RECOGNIZABILITY_BY_SET, folder))
    found = found[found["group"] == "held_out"]
    cells = (
        (
            row.experiment,
            row.model_set,
            row.stage,
            row.bound,
            f"{row.mean:.2f}",
            _interval(row.low, row.high),
            f"{row.n_images} images, {row.n_evaluators} models",
        )
        for row in _rows(found)
    )
    return _table(("experiment", "set", "stage", "bound", "share", "interval", "n"), cells)


def _equal_loss(folder: Path) -> list[str]:
    found = _primary(_read(tables.EQUAL_LOSS, folder))
    cells = (
        (
            row.model_set,
            row.stage,
            _number(row.recognizability),
            _interval(row.low, row.high),
            _number(row.difference),
            _interval(row.difference_low, row.difference_high),
            f"{row.n_images} of {row.n_references} images, {row.n_evaluators} models",
        )
        for row in _rows(found)
    )
    return _table(("set", "stage", "share", "interval", "to first set", "interval", "n"), cells)


def _shared(folder: Path) -> list[str]:
    found = _read(tables.SHARED_INVARIANCE, folder)
    cells = (
        (
            row.model_set,
            row.stage,
            row.evaluator + (" (member)" if row.member else ""),
            _number(row.stir),
            _interval(row.stir_low, row.stir_high),
            _number(row.inverted_cka),
            _interval(row.inverted_cka_low, row.inverted_cka_high),
        )
        for row in _rows(found)
    )
    return _table(("set", "stage", "judge", "STIR", "interval", "inverted CKA", "interval"), cells)


def _cost(folder: Path) -> list[str]:
    found = _read(tables.OPTIMISATION, folder)
    if found.empty:
        return []
    each = found.drop_duplicates([*tables.CONDITION_KEY, "image_id"])
    return [f"{len(each):,} metamers, {int(each['evaluations'].sum()):,} gradients of a network."]


def _rows(frame: pd.DataFrame) -> list[Any]:
    return list(frame.itertuples())


def _read(table: tables.Table, folder: Path) -> pd.DataFrame:
    path = folder / f"{table.name}.parquet"
    if not path.exists():
        return pd.DataFrame(columns=table.schema.names)
    return tables.read(table, path)


def _primary(found: pd.DataFrame) -> pd.DataFrame:
    for name, value in _PRIMARY.items():
        found = found[found[name] == value]
    return found


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = [f"| {' | '.join(map(str, row))} |" for row in rows]
    return [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *lines] if lines else []


def _number(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:.2f}"


def _interval(low: float, high: float) -> str:
    return "–" if pd.isna(low) else f"{low:.2f} to {high:.2f}"
