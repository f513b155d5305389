"""The Workflow Run RO-Crate of a published folder: what was run, on what, with which results."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from metamers.config.finished_run import FinishedRun
from metamers.publication.about import (
    CRATE,
    CROISSANT,
    PAPER,
    README,
    Publication,
    meaning,
    today,
)
from metamers.publication.contents import CONFIG, METADATA, SNAKEFILE
from metamers.storage import tables

_WORKFLOW_RUN = (
    "https://w3id.org/ro/wfrun/process/0.5",
    "https://w3id.org/ro/wfrun/workflow/0.5",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
)
_MIT = "https://spdx.org/licenses/MIT"
_BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"


def crate(folder: Path, run: FinishedRun, about: Publication) -> dict[str, Any]:
    """Return the Workflow Run RO-Crate of a published folder."""
    parts = [README, CROISSANT, METADATA, CONFIG]
    folders = [name for name in ("metamers", "photographs", "answers") if (folder / name).is_dir()]
    results = [METADATA, *(f"{name}/" for name in folders)]
    table_files = [f"tables/{path.name}" for path in sorted((folder / "tables").glob("*.parquet"))]
    # Of the rest of the workflow, the folder: the Snakefile includes its files.
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": about.name,
        "description": about.description,
        "datePublished": today(),
        "license": _references(about.licences),
        "author": {"@id": "#creator"},
        "publisher": {"@id": "#creator"},
        "conformsTo": _references(_WORKFLOW_RUN),
        "mainEntity": {"@id": SNAKEFILE},
        "hasPart": _references(
            [SNAKEFILE, "workflow/", *parts, *table_files, *(f"{name}/" for name in folders)]
        ),
        "mentions": {"@id": "#run"},
    }
    return {
        "@context": [
            "https://w3id.org/ro/crate/1.1/context",
            "https://w3id.org/ro/terms/workflow-run/context",
        ],
        "@graph": [
            {
                "@id": CRATE,
                "@type": "CreativeWork",
                "about": {"@id": "./"},
                "conformsTo": _references(
                    [
                        "https://w3id.org/ro/crate/1.1",
                        "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
                    ]
                ),
            },
            root,
            *_workflow(run, [*results, *table_files]),
            *(_data_file(folder, name) for name in [*parts, *table_files]),
            *(
                {"@id": f"{name}/", "@type": "Dataset", "name": name}
                for name in ["workflow", *folders]
            ),
            {"@id": "#creator", "@type": "Organization", "name": about.creator},
            *(_page(url, f"Licence: {url}") for url in dict.fromkeys([_MIT, *about.licences])),
            *(_page(profile, f"Profile: {profile}") for profile in (*_WORKFLOW_RUN, _BIOSCHEMAS)),
        ],
    }


def _workflow(run: FinishedRun, results: Sequence[str]) -> list[dict[str, Any]]:
    """Return the workflow, its engine, and the run of it."""
    made = datetime.fromtimestamp(
        (run.folder / "tables/recognizability.parquet").stat().st_mtime, UTC
    ).isoformat(timespec="seconds")
    stamp = tables.provenance_of(run.folder / "tables/recognizability.parquet")
    return [
        {
            "@id": SNAKEFILE,
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
            "name": "Ensemble metamers",
            "description": "From reference images to metamers, tables and figures.",
            "version": f"{stamp['version']} ({stamp['commit']})",
            "encodingFormat": "text/plain",
            "conformsTo": {"@id": _BIOSCHEMAS},
            "programmingLanguage": {"@id": "#snakemake"},
            "license": {"@id": _MIT},
            "author": {"@id": "#creator"},
            "url": PAPER,
        },
        {
            "@id": "#snakemake",
            "@type": ["ComputerLanguage", "SoftwareApplication"],
            "name": "Snakemake",
            "url": {"@id": "https://snakemake.github.io"},
            "identifier": {"@id": "https://snakemake.github.io"},
            "version": "9",
        },
        {
            "@id": "#run",
            "@type": "CreateAction",
            "name": f"Run {run.config['run']}",
            "description": f"The run {run.config['run']} of the workflow, as configured.",
            "instrument": {"@id": SNAKEFILE},
            "object": {"@id": CONFIG},
            "result": _references(results),
            "endTime": made,
            "agent": {"@id": "#creator"},
            "actionStatus": "http://schema.org/CompletedActionStatus",
        },
    ]


def _data_file(folder: Path, name: str) -> dict[str, Any]:
    kinds = {
        ".md": "text/markdown",
        ".csv": "text/csv",
        ".json": "application/ld+json",
        ".yaml": "application/yaml",
        ".parquet": "application/vnd.apache.parquet",
    }
    path = folder / name
    return {
        "@id": name,
        "@type": "File",
        "name": name,
        "description": meaning(name),
        "encodingFormat": kinds[path.suffix],
        "contentSize": str(path.stat().st_size),
    } | ({"about": {"@id": "./"}} if name == README else {})


def _page(url: str, name: str) -> dict[str, str]:
    return {"@id": url, "@type": "CreativeWork", "name": name, "description": name}


def _references(names: Sequence[str]) -> list[dict[str, str]]:
    return [{"@id": name} for name in names]
