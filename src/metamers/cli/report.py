"""A run's report: Snakemake's, opening on what came out; as an archive, with the gallery."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from zipfile import ZIP_DEFLATED, ZipFile

import docutils.core
import typer

from metamers.cli import summary
from metamers.config.finished_run import FinishedRun
from metamers.storage import tables

app = typer.Typer()

_DESCRIPTION = re.compile(r"var workflow_desc = (\".*?[^\\\\]\");$", re.MULTILINE)


@app.command("report")
def report(
    folder: Annotated[Path, typer.Argument(help="A finished run's folder, results/<run>.")],
    configfile: Annotated[
        Path | None, typer.Option(help="The run's configuration; by default config/config.yaml.")
    ] = None,
    archive: Annotated[
        bool, typer.Option("--zip", help="report.zip, with the gallery: one file to send.")
    ] = False,
) -> None:
    """Write a finished run's report, report.html or report.zip, into its folder."""
    try:
        path = write(folder, configfile, archive=archive)
    except FileNotFoundError as error:
        raise typer.BadParameter(str(error)) from error
    typer.echo(path)


def write(folder: Path, configfile: Path | None = None, *, archive: bool = False) -> Path:
    """Write the report of a finished run; return its path.

    Parameters
    ----------
    folder
        ``results/<run>``.
    configfile
        What Snakemake is given besides the default configuration.
    archive
        Whether it is a ``.zip``, with the gallery in it; else it is one page beside the gallery.

    Raises
    ------
    FileNotFoundError
        If the run has no tables yet.
    typer.Exit
        With Snakemake's code, if it fails.
    """
    run = FinishedRun.open(folder)
    path = folder / ("report.zip" if archive else "report.html")
    given = ["--configfile", str(configfile)] if configfile else []
    command = [sys.executable, "-m", "snakemake", *given, "--report", str(path), "--quiet"]
    code = subprocess.run(command, check=False).returncode
    if code:
        raise typer.Exit(code)
    if archive:
        _complete(path, run)
    else:
        path.write_text(opened_on(path.read_text(), sections(run)))
    return path


def opened_on(page: str, opening: Mapping[str, str]) -> str:
    """Return Snakemake's report with sections beneath the description that it opens on.

    Snakemake renders its own means for that, ``--report-metadata``, as no HTML.

    Raises
    ------
    ValueError
        If the page has no description, as those of Snakemake 9.27 have.
    """
    found = _DESCRIPTION.search(page)
    if found is None:
        raise ValueError("Snakemake's report has no description; see metamers.cli.report")
    strict = {"halt_level": 2, "report_level": 5}
    added = "".join(
        f"<h2>{name}</h2>"
        + docutils.core.publish_parts(text, writer="html", settings_overrides=strict)["body"]
        for name, text in opening.items()
    )
    whole = json.dumps(json.loads(found[1]) + added).replace("<", "\\u003c")
    return page[: found.start(1)] + whole + page[found.end(1) :]


def sections(run: FinishedRun) -> dict[str, str]:
    """Return what the report opens on: headings, and their text in reStructuredText."""
    return {
        "Gallery": "`All metamers beside their photographs <gallery/index.html>`_, to filter, sort "
        "and flip.",
        "What came out": "\n\n".join([*_headline(run), _literal(summary.text(run.folder))]),
        "What differs from the paper": "\n".join(_differences(run)),
        "Made by": "\n".join(_provenance(run)),
    }


def _headline(run: FinishedRun) -> list[str]:
    path = run.folder / "figures/recognizability.png"
    if not path.exists():
        return []
    # docutils refuses lines of more than 10 000 characters, and joins those of an address.
    lines = textwrap.wrap(base64.b64encode(path.read_bytes()).decode(), 8000)
    content = "\n      ".join(lines)
    words = "Share of metamers recognised, by model set and stage"
    return [
        f".. image:: data:image/png;base64,\n      {content}\n   :alt: {words}\n   :width: 100%"
    ]


def _literal(text: str) -> str:
    return "::\n\n" + "\n".join(f"    {line}" for line in text.splitlines())


def _differences(run: FinishedRun) -> list[str]:
    found = run.table("paper_comparison")
    made = found[~found["differs"].str.startswith("not in this run")]
    whys = dict.fromkeys(made["differs"])
    several = {why: sorted(set(made[made["differs"] == why]["place"])) for why in whys if why}
    return [f"- {', '.join(places)}: {why}." for why, places in several.items()] or [
        "- No number of the paper is in this run."
    ]


def _provenance(run: FinishedRun) -> list[str]:
    stamp = tables.provenance_of(run.folder / "tables/recognizability.parquet")
    known = [key for key in ("version", "commit", "config_digest") if key in stamp]
    return [f"- {key.replace('_', ' ')}: ``{stamp[key]}``" for key in known]


def _complete(path: Path, run: FinishedRun) -> None:
    """Let the archive's report open on its sections, and put the gallery where its link leads."""
    draft = path.with_suffix(".tmp")
    with ZipFile(path) as made, ZipFile(draft, "w", compression=ZIP_DEFLATED) as archive:
        for name in made.namelist():
            content = made.read(name)
            if name == f"{path.stem}/report.html":
                content = opened_on(content.decode(), sections(run)).encode()
            archive.writestr(name, content)
        for file in sorted((run.folder / "gallery").rglob("*")):
            if file.is_file():
                archive.write(file, Path(path.stem) / file.relative_to(run.folder))
    draft.replace(path)
