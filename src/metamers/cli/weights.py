"""The commands ``metamers weights status``, ``fetch`` and ``verify``."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from tabulate import tabulate

from metamers.cli.zoo import chosen_specs
from metamers.models.weights import cache as weights
from metamers.models.weights import conversion, lock, survey, verification
from metamers.models.weights.errors import WeightsError
from metamers.models.weights.http import DownloadOptions
from metamers.models.weights.survey import Finding
from metamers.models.zoo import ModelSpec

app = typer.Typer(help="Look at, fetch and verify the models' weights.", no_args_is_help=True)

Names = Annotated[list[str] | None, typer.Argument(help="Models; all of the zoo if none is named.")]
Rows = Annotated[Path, typer.Option("--models", help="The zoo, a row per model.")]
Cache = Annotated[Path | None, typer.Option(help="Folder for weights; METAMERS_CACHE.")]


@app.command()
def status(
    names: Names = None,
    models: Rows = Path("config/models.yaml"),
    cache: Cache = None,
) -> None:
    """Print what is there of each model's weights; nothing is fetched."""
    folder = cache or weights.default_cache()
    chosen = _chosen(models, names)
    findings = survey.survey({n: spec.weights for n, spec in chosen.items()}, folder)
    _print(findings, folder)


@app.command()
def fetch(
    names: Names = None,
    models: Rows = Path("config/models.yaml"),
    cache: Cache = None,
    mirror: Annotated[str, typer.Option(help="Base URL or pattern in place of hosts.")] = "",
    offline: Annotated[bool, typer.Option(help="Only list what is missing.")] = False,
) -> None:
    """Fetch what is missing, verify all, and record new hashes in the lock."""
    folder = cache or weights.default_cache()
    rows = {name: spec.weights for name, spec in _chosen(models, names).items()}
    options = DownloadOptions.from_environment()
    options = replace(options, mirror=mirror or options.mirror, offline=offline or options.offline)
    try:
        survey.fetch_all(rows, folder, options)
    except WeightsError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    _print(survey.survey(rows, folder), folder)


@app.command()
def verify(
    names: Names = None,
    models: Rows = Path("config/models.yaml"),
    cache: Cache = None,
    load: Annotated[bool, typer.Option(help="Also load each into its architecture.")] = False,
) -> None:
    """Hash every file anew; with ``--load``, also fill each architecture strictly.

    Files that are not what their rows mean are set aside. Exit status 1 if there are any.
    """
    folder = cache or weights.default_cache()
    chosen = _chosen(models, names)
    rows = {name: spec.weights for name, spec in chosen.items()}
    findings = survey.survey(rows, folder, rehash=True)
    if load:
        findings = [_loaded(finding, chosen[finding.model], folder) for finding in findings]
    _print(findings, folder)
    if any(finding.state == "wrong" for finding in findings):
        raise typer.Exit(1)


def _chosen(models: Path, names: list[str] | None) -> dict[str, ModelSpec]:
    return {spec.name: spec for spec in chosen_specs(models, names)}


def _loaded(finding: Finding, spec: ModelSpec, cache: Path) -> Finding:
    from metamers.models import classifier

    if finding.state != "ready":
        return finding
    try:
        with weights.rejecting(finding.weights, finding.path, cache):
            row, path = conversion.converted(finding.weights, finding.path, cache, rehash=True)
            classifier.load(replace(spec, weights=row), path)
    except WeightsError as error:
        return replace(finding, state="wrong", note=f"{type(error).__name__}: {error}")
    return replace(finding, note="loads strictly")


def _print(findings: list[Finding], cache: Path) -> None:
    pins = lock.read(weights.lock_path(cache))
    lines = [
        (
            finding.model,
            finding.state,
            _size(finding),
            _vouched(finding, pins),
            verification.origin(finding.weights),
        )
        for finding in findings
    ]
    columns = ("model", "weights", "size", "sha256 from", "source")
    typer.echo(tabulate(lines, columns, disable_numparse=True))
    for finding in findings:
        if finding.note and finding.state in ("wrong", "missing"):
            typer.echo(f"{finding.model}: {finding.note}")
    counts = Counter(finding.state for finding in findings)
    typer.echo(f"{', '.join(f'{n} {state}' for state, n in sorted(counts.items()))}; cache {cache}")


def _size(finding: Finding) -> str:
    if finding.state == "ready":
        return f"{finding.path.stat().st_size / 1e6:.1f} MB"
    return "-" if finding.state == "generated" else weights.size_text(finding.weights)


def _vouched(finding: Finding, pins: dict[str, lock.Pin]) -> str:
    if not finding.weights.has_file:
        return "-"
    pin = pins.get(finding.weights.file)
    if len(verification.pinned_hash(finding.weights)) == 64:
        return "row"
    if pin:
        return f"lock ({pin.recorded})"
    return "row (prefix)" if verification.pinned_hash(finding.weights) else "nobody yet"
