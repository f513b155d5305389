"""The command ``metamers export``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from metamers.config.finished_run import FinishedRun
from metamers.images import png

app = typer.Typer()
Run = Annotated[Path, typer.Argument(help="A finished run's folder, results/<run>.")]


@app.command()
def export(
    run: Run,
    output: Annotated[Path | None, typer.Option(help="Folder; RUN/png if none is given.")] = None,
    conditions: Annotated[
        str, typer.Option(help="Only these, as '*/main/*/late/*': a pattern of the shell.")
    ] = "*",
) -> None:
    """Write a run's references and metamers as PNG files, in a folder for each condition."""
    from tqdm import tqdm

    folder = output or run / "png"
    try:
        found = FinishedRun.open(run)
        count = sum(1 for _ in tqdm(written(found, folder, conditions), unit="image", disable=None))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
    typer.echo(f"{count} images in {folder}")


def written(run: FinishedRun, folder: Path, pattern: str = "*") -> Iterator[Path]:
    """Yield the file of each image as it is written.

    ``references/<draw>/<image_id>.png``, and
    ``metamers/<references>/<recipe>/<model_set>/<stage>/<bound>/<image_id>.png``.
    """
    chosen = run.conditions(pattern)
    for draw in dict.fromkeys(condition.references for condition in chosen):
        ids, pixels = run.references(draw)
        images = zip(ids, pixels.numpy(), strict=True)
        yield from (path for _, path in png.save(folder / "references" / draw, images))
    for condition in chosen:
        metamers = run.metamers(condition)
        images = zip(metamers.image_ids, metamers.pixels.numpy(), strict=True)
        yield from (path for _, path in png.save(folder / "metamers" / str(condition), images))
