"""A whole run compared with its configuration: `metamers verify`, and the end of each run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from metamers import seals
from metamers.config import decided, integrity, revisions
from metamers.config.integrity import Finding, Inspector, place, remove_draft
from metamers.config.plan import Plan
from metamers.seals import SealError
from metamers.storage import provenance

# What is kept in a run's folder that is no result: by the workflow, `metamers export` and
# `metamers experiment score`, and by Snakemake.
_KEPT = ("checkpoints", "store", "set_aside", "png", "people")
# Of the gallery, its page and its list have records; the list vouches for the rest.
_LISTED, _RECORDED = "gallery", (".html", ".json")
_REPORTS = ("report.html", "report.zip")
_VERIFIED = "verified-"


def inspect_run(plan: Plan, folder: Path) -> list[Finding]:
    """Return what is wrong with the files of a run's folder, and what is left over in it.

    Which files there should be, a finished run has written down. Of an unfinished one, the files
    that are there are looked at, and the inputs that they name.
    """
    inspector = Inspector(plan, folder)
    there = {place(path, folder): path for path in results(folder)}
    expected = _expected(plan, folder)
    if expected is None:
        expected = {name for name in there if not name.startswith(_VERIFIED)}
    expected = expected | {n for name in expected & there.keys() for n in _named(there[name])}
    found = [finding for name in sorted(expected) for finding in inspector.of(folder / name)]
    reason = "nothing in the configuration makes it"
    return found + [Finding(name, "left over", reason) for name in sorted(set(there) - expected)]


def results(folder: Path) -> list[Path]:
    """Return the files in a run's folder that jobs have written as results, by name."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.relative_to(folder).parts[0] not in _KEPT
        and (_LISTED not in path.relative_to(folder).parts[:-1] or path.suffix in _RECORDED)
        and not path.name.startswith(".")
        and path.relative_to(folder).as_posix() not in _REPORTS
    ]


def _expected(plan: Plan, folder: Path) -> set[str] | None:
    """Return the files of a finished run; None if it is not finished."""
    try:
        record, _ = seals.opened(folder / verification(plan))
    except (OSError, SealError):
        return None
    return {*record.inputs, record.path}


def _named(path: Path) -> list[str]:
    """Return the inputs in the run's folder that a file says it was made from."""
    try:
        inputs = seals.opened(path)[0].inputs
    except (OSError, SealError):
        return []
    return [name for name in inputs if not name.startswith(integrity.OUTSIDE)]


def versions(folder: Path, wrong: Iterable[Finding]) -> dict[str, Counter[str]]:
    """Return how many files of a run each version of a library has made, by library.

    Versions are no findings: they decide rounding, not whether a result is right.
    """
    found: dict[str, Counter[str]] = {}
    passed_over = {finding.path for finding in wrong}
    for path in results(folder):
        if path.suffix in (".parquet", ".safetensors") and place(path, folder) not in passed_over:
            notes = seals.notes_of(path)
            said = json.loads(notes.get("notes", "{}")) | notes
            for name, version in json.loads(said.get("libraries", "{}")).items():
                found.setdefault(name, Counter())[version] += 1
    return found


def set_aside(folder: Path, findings: Iterable[Finding]) -> Path | None:
    """Move what is wrong into a folder of its own within the run's; None if there is nothing.

    Nothing is lost where it was the configuration that was wrong.
    """
    aside = folder / "set_aside" / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    moved = [finding.path for finding in findings if (folder / finding.path).exists()]
    for name in moved:
        (aside / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).replace(aside / name)
    return aside if moved else None


def verification(plan: Plan) -> str:
    """Return the name of the file that says that a run was verified, of this configuration alone.

    So Snakemake verifies whatever it finds anew once the configuration is another, even where it
    knows nothing of how the files came about.
    """
    steps = {name: getattr(revisions, name) for name in dir(revisions) if name.isupper()}
    digest = provenance.digest([decided.by(plan, "verify_results", {}), steps])
    return f"{_VERIFIED}{digest}.json"


def other_verifications(plan: Plan, folder: Path) -> list[Path]:
    """Return the files that say so of other configurations."""
    return [p for p in folder.glob(f"{_VERIFIED}*.json") if p.name != verification(plan)]


def sweep_run(folder: Path) -> list[Path]:
    """Remove all drafts in a run's folder, where no job may be at work, and return them."""
    drafts = sorted(folder.rglob(".*.tmp"))
    for draft in drafts:
        remove_draft(draft)
    return drafts
