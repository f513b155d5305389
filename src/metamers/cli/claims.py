"""The command ``metamers claims``: verdicts on any folder of tables, without a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from metamers.cli.options import DEFAULT_CONFIG, ConfigFiles, DefaultConfig
from metamers.config import validation

app = typer.Typer(help="Judge the paper's claims.", no_args_is_help=True)


@app.command("claims")
def judge_claims(
    tables: Annotated[Path, typer.Option(help="Folder of tables, of a run or of others' data.")],
    configfile: ConfigFiles = None,
    default: DefaultConfig = DEFAULT_CONFIG,
    multiverse: Annotated[
        bool, typer.Option(help="Verdicts by rule, label space, stage, judges and images instead.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Rows of the table, as JSON.")] = False,
) -> None:
    """Judge the paper's claims on a folder of tables, of which `recognition` is needed."""
    from metamers.analysis import tabulate

    base = default.resolve().parent.parent
    try:
        config = validation.read(configfile or [], default)
        make = tabulate.multiverse_of if multiverse else tabulate.claims_of
        judged = make(tables, validation.plan_of(config, base))
    except (ValueError, FileNotFoundError) as error:
        raise typer.BadParameter(str(error)) from error
    if as_json:
        typer.echo(json.dumps(json.loads(judged.to_json(orient="records")), indent=1))
    elif multiverse:
        typer.echo(tabulate.verdict_counts(judged).to_string(index=False))
    else:
        typer.echo(tabulate.claims_page(judged, config))
