"""The command ``metamers make``."""

from __future__ import annotations

import csv
import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from metamers.own_images import Answer, Made

app = typer.Typer()
BAD_INPUT, FAILED, INTERRUPTED = 2, 1, 130


@app.command()
def make(
    images: Annotated[list[Path], typer.Argument(help="Pictures.", show_default=False)],
    output: Annotated[Path, typer.Option(help="Folder of what comes out.")],
    models: Annotated[
        str, typer.Option(help="Of the zoo, separated by commas; or library:name of timm, ...")
    ] = "efficientnet_lite0,squeezenet1_1",
    stage: Annotated[str, typer.Option(help="early, middle or late.")] = "late",
    size: Annotated[int, typer.Option(help="Side of the square, pixels.")] = 224,
    steps: Annotated[int, typer.Option(help="Gradient evaluations, of all models.")] = 300,
    optimizer: Annotated[str, typer.Option(help="sgd, nesterov, adam or lbfgs.")] = "sgd",
    seed: Annotated[int, typer.Option(help="Decides where metamers start.")] = 0,
    threads: Annotated[int, typer.Option(help="Of torch on the CPU.")] = 1,
    layer: Annotated[str | None, typer.Option(help="A module's name, for a stage.")] = None,
    weights: Annotated[
        str | None, typer.Option(help="File of library:name's weights, or 'random'.")
    ] = None,
) -> None:
    """Make metamers of pictures, and say what classifiers answer to them."""
    warnings.simplefilter("ignore")  # of other libraries, on import
    from metamers import own_images
    from metamers.synthesis.solver import Interrupted

    names = [name.strip() for name in models.split(",")]
    try:
        output.mkdir(parents=True, exist_ok=True)
        made = own_images.make(
            images, names, stage, size, steps, optimizer, seed, layer, weights, threads, output
        )
        save(made, output)
    except (ValueError, OSError) as error:
        _stop(str(error), BAD_INPUT)
    except FloatingPointError as error:
        _stop(str(error), FAILED)
    except (Interrupted, KeyboardInterrupt):
        _stop(f"stopped; what is done is in {output}, and the same command goes on", INTERRUPTED)
    typer.echo(report(made.answers))
    typer.echo(f"in {output}: side_by_side_*.png, metamer_*.png, losses.csv, answers.json")


def save(made: Made, folder: Path) -> None:
    """Write images, losses and answers into a folder.

    ``metamer_<image>.png``; ``side_by_side_<image>.png``, reference left; ``losses.csv``;
    ``answers.json``; and ``metamers.safetensors``, with floats and all settings.
    """
    import numpy as np
    from PIL import Image

    from metamers.storage import metamers

    for name, left, right in zip(made.image_ids, made.references, made.images, strict=True):
        pair = np.concatenate([left, right], axis=2)
        for kind, pixels in (("metamer", right), ("side_by_side", pair)):
            Image.fromarray(pixels.transpose(1, 2, 0)).save(folder / f"{kind}_{name}.png")
    with (folder / "losses.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, made.losses[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(made.losses)
    answers = [asdict(answer) for answer in made.answers]
    (folder / "answers.json").write_text(json.dumps(answers, indent=1) + "\n")
    metamers.save(folder / "metamers.safetensors", made.metamers)


def report(answers: Sequence[Answer]) -> str:
    """Return the answers as text: each judge's five classes of each picture and its metamer."""
    lines = []
    for answer in sorted(answers, key=lambda one: one.image_id):
        role = "member" if answer.member else "held out"
        same = answer.before[0][0] == answer.after[0][0]
        lines += ["", f"{answer.image_id}: {answer.judge} ({role}), {_verdict(same)}"]
        for before, after in zip(answer.before, answer.after, strict=True):
            lines.append(f"  {_cell(before)}  {_cell(after)}")
    return "\n".join([f"  {'picture':38}  metamer", *lines])


def _verdict(same: bool) -> str:
    return "the same class" if same else "another class"


def _cell(answer: tuple[str, float]) -> str:
    name, probability = answer
    return f"{probability:6.1%} {name:31.31}"


def _stop(message: str, code: int) -> None:
    typer.echo(f"metamers make: {message}", err=True)
    raise typer.Exit(code)
