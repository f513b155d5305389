"""The commands ``metamers experiment RUN`` and ``metamers experiment score FILES``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from metamers.config.finished_run import FinishedRun


class RunOrScore(TyperGroup):
    """A group whose first argument is a run, unless it is a command."""

    default = "write"

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Put the command before the arguments where none is named."""
        if args and args[0] not in (*self.commands, "--help"):
            args = [self.default, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=RunOrScore, no_args_is_help=True)
Run = Annotated[Path, typer.Argument(help="A finished run's folder, results/<run>.")]


@app.callback()
def experiment() -> None:
    """Put metamers before people: a task for browsers (RUN --output FOLDER), and its scores."""


@app.command(hidden=True)
def write(
    run: Run,
    output: Annotated[Path, typer.Option(help="Folder; must not be there yet.")],
    conditions: Annotated[
        str | None, typer.Option(help="Pattern, as '*/main/*/late/*'; else those of model sets.")
    ] = None,
    photographs: Annotated[
        bool, typer.Option(help="Whether photographs themselves are a condition.")
    ] = True,
    practice: Annotated[int, typer.Option(min=0, help="Trials of practice.")] = 6,
    seed: Annotated[int, typer.Option(help="Deals images to people.")] = 0,
) -> None:
    """Write a task that people do in a browser, and the key to their answers."""
    from metamers.experiment import task
    from metamers.experiment.design import design

    try:
        if output.exists() and any(output.iterdir()):
            raise ValueError(f"{output} is not empty: a task's key must not be lost")
        found = FinishedRun.open(run)
        chosen = found.conditions(conditions or "*")
        if conditions is None and (main := found.plan.first_of_kinds.get("model_sets")):
            chosen = list(found.plan.experiments[main])
        dealt = design(found, chosen, seed, photographs)
        page, key = task.write(output, found, dealt, seed, practice)
    except (OSError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
    typer.echo(
        f"{len(dealt.lists)} lists of {len(dealt.lists[0])} images\n"
        f"for people:   {page} (?participant=0, 1, 2 ... deals the lists in turn)\n"
        f"for yourself: {key}"
    )


@app.command()
def score(
    files: Annotated[list[Path], typer.Argument(help="Files of answers.")],
    run: Annotated[Path, typer.Option(help="The run whose metamers were shown, results/<run>.")],
    key: Annotated[Path, typer.Option(help="The task's key.csv.")],
    output: Annotated[Path | None, typer.Option(help="Folder; RUN/people if none.")] = None,
    catch: Annotated[
        float, typer.Option(min=0, max=1, help="Share of catch trials that must be right.")
    ] = 0.75,
) -> None:
    """Set people's answers beside the models' in tables, and join them for model-vs-human."""
    from metamers.analysis import tabulate
    from metamers.experiment import scoring
    from metamers.storage import provenance

    folder = output or run / "people"
    try:
        found = FinishedRun.open(run)
        kept, left_out = scoring.attentive(scoring.read(files, key), catch)
        if kept.empty:
            raise ValueError(f"nobody got {catch:.0%} of the catch trials right: {left_out}")
        answered = scoring.human_answers(kept, found)
        made = {
            "human_answers": answered,
            "recognizability_by_set": scoring.with_people(answered, found),
            "human_alignment": scoring.human_alignment(answered, found),
        }
    except (OSError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: str(folder / f"{name}.parquet") for name in made}
    tabulate.write_all(made, paths, provenance.stamp(found.config))
    kept[list(scoring.COLUMNS)].to_csv(folder / "answers.csv", index=False)
    typer.echo(scoring.text(answered, left_out))
    typer.echo(f"in {folder}: answers.csv, {', '.join(f'{name}.parquet' for name in made)}")
