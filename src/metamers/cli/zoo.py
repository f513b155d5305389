"""The commands ``metamers stages`` and ``metamers catalog``."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer
import yaml

from metamers.config.plain_data import read_mapping
from metamers.models import zoo
from metamers.models.zoo import ModelSpec

if TYPE_CHECKING:
    from metamers.preflight.flops import StageCard

app = typer.Typer(help="Look at the zoo.", no_args_is_help=True)

CARD_FIELDS = ("model", "stage", "module", "shape", "flops_share")

Names = Annotated[list[str] | None, typer.Argument(help="Models; all of the zoo if none is named.")]
Rows = Annotated[Path, typer.Option("--models", help="The zoo, a row per model.")]


@app.command()
def stages(
    names: Names = None,
    models: Rows = Path("config/models.yaml"),
    config: Annotated[Path, typer.Option(help="The configuration; its `stages` are shown.")] = Path(
        "config/config.yaml"
    ),
    side: Annotated[int, typer.Option(help="Side of the images; 0: each model's own.")] = 0,
    output: Annotated[Path | None, typer.Option(help="A CSV file, instead of a table.")] = None,
) -> None:
    """Print each model's stages: module, shape of its output, share of the forward's FLOPs."""
    depths = _mapping(config).get("stages")
    if not isinstance(depths, dict):
        raise typer.BadParameter(f"{str(config)!r} has no section 'stages'")
    chosen = chosen_specs(models, names)
    if output is not None:
        with output.open("w", newline="") as file:
            write_csv(_cards(chosen, depths, side), file)
        return
    typer.echo(_line(CARD_FIELDS))
    for card in _cards(chosen, depths, side):
        typer.echo(_line([str(value) for value in asdict(card).values()]))
        sys.stdout.flush()


@app.command()
def catalog(
    identifier: Annotated[str, typer.Argument(help="As robustbench:Linf/Salman2020Do_R50.")],
) -> None:
    """Print what a catalog knows of a model as a row of the zoo, to be completed."""
    from metamers.models import robustbench_catalog

    library, _, name = identifier.partition(":")
    if library != "robustbench":
        raise typer.BadParameter(f"{library!r} is not a catalog; the only one is 'robustbench'")
    try:
        row = robustbench_catalog.row(name)
    except (ImportError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
    key = re.sub(r"\W+", "_", name.partition("/")[2]).lower()
    ours = {"label": name.partition("/")[2], "family": "cnn", "training": "robust", "blocks": []}
    typer.echo(yaml.safe_dump({key: ours | row}, sort_keys=False, allow_unicode=True), nl=False)


def chosen_specs(models: Path, names: Iterable[str] | None) -> list[ModelSpec]:
    """Return the named rows of a zoo file, or all.

    Raises
    ------
    typer.BadParameter
        If a name is not in the zoo, or its row cannot be read.
    """
    rows = _mapping(models)
    wanted = list(names or rows)
    unknown = [name for name in wanted if name not in rows]
    if unknown:
        raise typer.BadParameter(f"{models} has no {unknown}; it has {list(rows)}")
    try:
        return list(zoo.specs({name: rows[name] for name in wanted}).values())
    except ValueError as error:
        raise typer.BadParameter(f"{models}: {error}") from error


def _mapping(path: Path) -> dict[str, Any]:
    try:
        return read_mapping(path)
    except ValueError as error:
        raise typer.BadParameter(f"{error}; is this the project's folder?") from error


def write_csv(cards: Iterable[StageCard], file: IO[str]) -> None:
    """Write cards as CSV, one line per model and stage."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(CARD_FIELDS)
    writer.writerows(asdict(card).values() for card in cards)


def _cards(chosen: Iterable[ModelSpec], depths: dict[str, float], side: int) -> Iterable[StageCard]:
    from metamers.preflight.flops import stage_cards

    for spec in chosen:
        yield from stage_cards(spec, depths, side)


def _line(values: Iterable[str]) -> str:
    widths = (26, 8, 34, 14, 11)
    return " ".join(
        f"{value:{width}}" for value, width in zip(values, widths, strict=True)
    ).rstrip()
