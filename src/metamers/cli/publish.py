"""The command ``metamers publish``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from metamers.config.finished_run import FinishedRun

app = typer.Typer()


@app.command()
def publish(
    run: Annotated[Path, typer.Argument(help="A finished run's folder, results/<run>.")],
    output: Annotated[Path, typer.Option(help="Folder; must not be there yet.")],
    licence: Annotated[
        str, typer.Option("--licence", "--license", help="Of what is published: CC-BY-4.0, a URL.")
    ],
    creator: Annotated[str, typer.Option(help="Who publishes.")] = "the authors of the run",
    name: Annotated[str | None, typer.Option(help="Of the data set.")] = None,
    with_photographs: Annotated[
        bool, typer.Option("--with-photographs", help="Photographs, too; needs their licence.")
    ] = False,
    photographs_licence: Annotated[
        str | None,
        typer.Option("--photographs-licence", "--photographs-license", help="Of the photographs."),
    ] = None,
    project: Annotated[Path, typer.Option(help="Folder of the Snakefile.")] = Path(),
) -> None:
    """Write a run as a data set: images, tables, answers, and descriptions for machines."""
    from metamers.publication import about, contents, crate, croissant

    try:
        if with_photographs != (photographs_licence is not None):
            raise ValueError("--with-photographs and --photographs-licence go together")
        if output.exists() and any(output.iterdir()):
            raise ValueError(f"{output} is not empty")
        found = FinishedRun.open(run)
        output.mkdir(parents=True, exist_ok=True)
        images = contents.write(output, found, project, with_photographs)
    except (OSError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
    said = about.Publication(
        name or f"metamers-{found.config['run']}",
        creator,
        address(licence),
        photographs_licence and address(photographs_licence),
    )
    (output / about.README).write_text(about.readme(images, said))
    _write_json(output / about.CROISSANT, croissant.croissant(output, images, said))
    _write_json(output / about.CRATE, crate.crate(output, found, said))
    typer.echo(f"{len(images)} images in {output}, with tables, answers and descriptions")


def address(licence: str) -> str:
    """Return the address of a licence: its own, or that of SPDX's list."""
    return licence if "://" in licence else f"https://spdx.org/licenses/{licence}"


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")
