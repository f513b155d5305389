"""The command ``metamers status``: how far the syntheses of a run have come."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from tabulate import tabulate

from metamers.cli import verify
from metamers.cli.options import DEFAULT_CONFIG, ConfigFiles, DefaultConfig
from metamers.config.plan import Condition, Plan

app = typer.Typer(help="Look at a run at work.", no_args_is_help=True)
_END_OF_LOG = 20_000  # bytes


@dataclass(frozen=True)
class SynthesisStatus:
    """How far one synthesis has come.

    Attributes
    ----------
    condition, shard
        What is made.
    state
        ``done``, ``failed``, ``begun`` or ``waiting``. ``begun`` is at work, or was interrupted:
        ``age`` tells them apart.
    progress
        What its log says last: share of all steps, time gone and left, loss.
    age
        Seconds since its log was written; None without a log.
    """

    condition: Condition
    shard: str
    state: str
    progress: str = ""
    age: float | None = None


def syntheses(plan: Plan, run: Path, logs: Path) -> Iterator[SynthesisStatus]:
    """Yield the status of each synthesis of a plan, by its files and its log.

    Parameters
    ----------
    plan
        Of the run.
    run, logs
        Folders ``results/<run>`` and ``logs/<run>``.
    """
    for condition in plan.conditions:
        for shard in plan.shards:
            made = run / "metamers" / str(condition) / f"{shard}.safetensors"
            log = logs / "synthesize_metamers" / str(condition) / f"{shard}.log"
            text = _end_of(log) if log.exists() else ""
            age = time.time() - log.stat().st_mtime if log.exists() else None
            failed = "Traceback (most recent call last)" in text
            begun = "failed" if failed else "begun" if log.exists() else "waiting"
            state = "done" if made.exists() else begun
            yield SynthesisStatus(condition, shard, state, _progress(text), age)


def _end_of(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _END_OF_LOG))
        return file.read().decode(errors="replace")


def _progress(text: str) -> str:
    """Return what a log says last of progress, without its title."""
    lines = [line for line in text.splitlines() if "% of " in line and " left" in line]
    return lines[-1].split(": ", 1)[-1] if lines else ""


@app.command("status")
def show_status(
    run: Annotated[Path, typer.Argument(help="The run's folder, results/<run>.")],
    configfile: ConfigFiles = None,
    default: DefaultConfig = DEFAULT_CONFIG,
    everything: Annotated[
        bool, typer.Option("--all", help="Those that are done or waiting, too.")
    ] = False,
) -> None:
    """Show which syntheses are done, at work, failed or waiting, with loss and time left."""
    plan = verify.plan_of(configfile or [], default, run)
    found = list(syntheses(plan, run, run.resolve().parent.parent / "logs" / plan.run))
    shown = [s for s in found if everything or s.state in ("begun", "failed")]
    rows = [
        [str(s.condition), s.shard, s.state, "" if s.age is None else f"{s.age:.0f} s", s.progress]
        for s in shown
    ]
    if rows:
        typer.echo(tabulate(rows, ["condition", "shard", "state", "log's age", "progress"]))
    counts = Counter(s.state for s in found)
    each = ", ".join(f"{counts[state]} {state}" for state in ("done", "begun", "failed", "waiting"))
    typer.echo(f"{len(found)} syntheses: {each}")
