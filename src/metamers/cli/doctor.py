"""The command ``metamers doctor``."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from metamers.cli.options import DEFAULT_CONFIG, ConfigFiles
from metamers.config import validation
from metamers.execution import machine
from metamers.models.weights.cache import cache_folder
from metamers.preflight import cluster, inputs, networks
from metamers.preflight.site import Site, SiteError, site_file

app = typer.Typer(help="Look at the machine and the cluster.")


@app.command()
def doctor(
    slurm: Annotated[
        bool, typer.Option("--slurm", help="Also ask the cluster of profiles/slurm.")
    ] = False,
    base: Annotated[
        Path, typer.Option(help="Folder that Snakemake is started in: that of the Snakefile.")
    ] = Path(),
    configfile: ConfigFiles = None,
) -> None:
    """Say what a run would find here, and what is wrong. The exit code is 1 if anything is.

    Of a run it looks at the configuration, its networks, and the photographs and weights it needs.
    """
    for line in _facts():
        typer.echo(line)
    cache = cache_folder(None)
    problems = [*machine.folder_problems(Path()), *machine.folder_problems(cache)]
    if not (base / "Snakefile").exists():
        problems.append(f"{base.resolve()} has no Snakefile: runs start in the project's folder")
    else:
        problems += _of_run(base, configfile or [])
    if slurm:
        problems += _of_slurm(base)
    for number, problem in enumerate(problems, 1):
        typer.echo(f"  {number}. {problem}")
    count = f"{len(problems)} problem{'s' * (len(problems) > 1)}"
    typer.echo(f"{count} (docs/cluster.md)" if problems else "no problems")
    raise typer.Exit(1 if problems else 0)


def _facts() -> Iterator[str]:
    """Yield what is here: versions, processors, GPUs, space."""
    import torch

    yield f"python     {platform.python_version()} on {platform.node()}"
    yield f"snakemake  {version('snakemake')}"
    yield f"torch      {torch.__version__}, CUDA {torch.version.cuda or 'not built in'}"
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    names = [torch.cuda.get_device_name(index) for index in range(count)]
    slots = machine.gpu_slots()
    yield f"GPUs       {', '.join(names) or 'none that torch sees'}; {slots} jobs at once"
    yield f"free here  {shutil.disk_usage('.').free / 1e9:.0f} GB"
    yield f"weights    {cache_folder(None)}"


def _of_run(base: Path, configfiles: Sequence[Path]) -> list[str]:
    """Return what is wrong with a configuration, or else what the run lacks."""
    try:
        config = validation.read(configfiles, base / DEFAULT_CONFIG)
        rows = validation.plan_of(config, base, networks=networks.problems).used_rows
    except validation.ConfigurationError as error:
        return [str(error)]
    return inputs.missing(config, rows)


def _of_slurm(base: Path) -> list[str]:
    try:
        site = Site.read(base)
    except SiteError as error:
        return [str(error), *cluster.slurm_problems(None, Path())]
    typer.echo(f"site       {site_file(base)}: {site}")
    return cluster.slurm_problems(site, Path())


if __name__ == "__main__":
    app()
