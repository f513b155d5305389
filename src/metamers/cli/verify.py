"""The command ``metamers verify``: what of a run does not answer to its configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metamers.cli.options import DEFAULT_CONFIG, ConfigFiles, DefaultConfig
from metamers.config import run_verification, validation
from metamers.config.plan import Plan

app = typer.Typer(help="Look at a run after it has ended.", no_args_is_help=True)


@app.command("verify")
def verify_run(
    run: Annotated[Path, typer.Argument(help="The run's folder, results/<run>.")],
    configfile: ConfigFiles = None,
    default: DefaultConfig = DEFAULT_CONFIG,
    repair: Annotated[
        bool, typer.Option("--repair", help="Set aside what is wrong; run Snakemake afterwards.")
    ] = False,
) -> None:
    """Compare every file of a run with what its configuration makes; exit code 1 if one differs."""
    plan = plan_of(configfile or [], default, run)
    found = run_verification.inspect_run(plan, run)
    left_over = [finding for finding in found if finding.kind == "left over"]
    wrong = [finding for finding in found if finding.kind != "left over"]
    for finding in [*wrong, *left_over]:
        typer.echo(str(finding))
    number = len(run_verification.results(run))
    typer.echo(f"{number} files, {len(wrong)} of them wrong, {len(left_over)} left over")
    for library, counts in run_verification.versions(run, wrong).items():
        if len(counts) > 1:
            each = ", ".join(f"{count} by {version}" for version, count in sorted(counts.items()))
            typer.echo(f"note: files were made by several versions of {library}: {each}")
    if repair:
        aside = run_verification.set_aside(run, wrong)
        if aside:
            typer.echo(f"set aside in {aside}; the same snakemake command makes them again")
    elif wrong:
        typer.echo("--repair sets them aside, so that the next run makes them again")
    if wrong:
        raise typer.Exit(1)


def plan_of(configfiles: list[Path], default: Path, run: Path) -> Plan:
    """Return the plan of a run's folder.

    Raises
    ------
    typer.BadParameter
        If the configuration is wrong or of another run, or there is no such folder.
    """
    try:
        config = validation.read(configfiles, default)
        plan = validation.plan_of(config, default.resolve().parent.parent)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if not run.is_dir():
        raise typer.BadParameter(f"there is no folder {str(run)!r}")
    if run.resolve().name != plan.run:
        raise typer.BadParameter(
            f"{str(run)!r} is not the folder of run {plan.run!r}, which the configuration is of; "
            "give the run's own files with --configfile"
        )
    return plan
