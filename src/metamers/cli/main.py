"""The command ``metamers``."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from metamers import __version__
from metamers.cli import (
    claims,
    doctor,
    experiment,
    export,
    make,
    plan,
    publish,
    report,
    status,
    summary,
    verify,
    weights,
    zoo,
)

LINES = 25  # of a failed job's log

app = typer.Typer(
    help="Ensemble model metamers: images that several networks cannot tell from a reference.",
    no_args_is_help=True,
)
app.add_typer(weights.app, name="weights")
app.add_typer(zoo.app)
app.add_typer(plan.app)
app.add_typer(doctor.app)
app.add_typer(claims.app)
app.add_typer(make.app)
app.add_typer(export.app)
app.add_typer(publish.app)
app.add_typer(experiment.app, name="experiment")
app.add_typer(verify.app)
app.add_typer(status.app)
app.add_typer(report.app)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"metamers {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """Ensemble model metamers: images that several networks cannot tell from a reference."""


@app.command()
def demo(
    cores: Annotated[str, typer.Option(help="Cores for Snakemake: a number, or 'all'.")] = "all",
) -> None:
    """Run the quickstart, write its report, and print what came out."""
    begun = time.monotonic()
    _unlock(Path.cwd())
    _snakemake("--cores", cores, "--quiet", "rules", logs=Path("logs/quickstart"))
    run = Path("results/quickstart")
    page = run / "report.html"
    if not page.exists() or _older(page, run / "tables"):
        report.write(run)
    typer.echo(summary.text(run))
    typer.echo(f"gallery:   {run / 'gallery/index.html'}")
    typer.echo(f"report:    {page}")
    typer.echo(f"wall time: {time.monotonic() - begun:.0f} s")


@app.command("summary")
def show_summary(
    run: Annotated[Path, typer.Argument(help="A finished run's folder, results/<run>.")],
) -> None:
    """Print the recognizability of a run's metamers by set and stage."""
    try:
        typer.echo(summary.text(run))
    except FileNotFoundError as error:
        raise typer.BadParameter(str(error)) from error


def _unlock(folder: Path) -> None:
    """Take away the lock of a run that was killed, unless something of it still works here."""
    from metamers.preflight import locks

    if locks.is_locked(folder):
        at_work = locks.workers(folder)
        if at_work:
            raise typer.BadParameter(
                f"another run works in {folder}: processes {at_work}; wait for it, or end it"
            )
        typer.echo(f"{folder} was locked by a run that has ended; it is unlocked now")
        _snakemake("--unlock", "--quiet", "all", logs=Path("logs/quickstart"))


def _snakemake(*arguments: str, logs: Path) -> None:
    """Run Snakemake; if it fails, show the ends of the logs that tell of an error.

    Told to be quiet about rules, Snakemake does not, whatever ``--show-failed-logs`` says.
    """
    begun = time.time() - 1  # clocks of file systems lag
    command = [sys.executable, "-m", "snakemake", *arguments]
    code = subprocess.run(command, check=False).returncode
    if code:
        for log in failed_logs(logs, begun):
            lines = log.read_text(errors="replace").splitlines()
            typer.echo(f"\n{log}:", err=True)
            typer.echo("\n".join(f"    {line}" for line in lines[-LINES:]), err=True)
        raise typer.Exit(code)


def failed_logs(folder: Path, since: float) -> list[Path]:
    """Return the logs of a folder that were written since a time and hold a traceback."""
    return sorted(
        path
        for path in folder.rglob("*.log")
        if path.stat().st_mtime >= since and "Traceback" in path.read_text(errors="replace")
    )


def _older(path: Path, folder: Path) -> bool:
    return any(other.stat().st_mtime > path.stat().st_mtime for other in folder.iterdir())
