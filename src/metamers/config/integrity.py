"""Whether the files of a run answer to its configuration: whole, in their place, not outdated.

Each job asks this of its inputs before it begins (`begin`), and `metamers verify` of a whole run.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any

from metamers import seals, snakemake_script
from metamers.config import decided, listings, validation
from metamers.config.plan import Plan
from metamers.files import sha256_of
from metamers.seals import Record, SealError

RESULTS = Path("results")
OUTSIDE = "../"
_MOST_DIFFERENCES = 6


class IntegrityError(ValueError):
    """A file is not what the configuration makes; the message names it and says what to type."""


@dataclass(frozen=True)
class Finding:
    """A file that does not answer to the configuration.

    Attributes
    ----------
    path
        In the run's folder.
    kind
        ``damaged``, ``foreign``, ``stale``, ``missing``, ``failed``; or ``left over``: the plan
        does not have it, which is no error.
    reason
        What differs.
    """

    path: str
    kind: str
    reason: str

    def __str__(self) -> str:
        """Return it as a line."""
        return f"{self.path}: {self.kind}: {self.reason}"


@dataclass(frozen=True)
class Job:
    """A job that has begun: its plan, and what decides its files."""

    plan: Plan
    decided_by: Mapping[str, Any]
    outputs: Sequence[str]

    def finish(self, failed: Mapping[str, str] | None = None) -> None:
        """Put record and seal into the pages and pictures among the outputs.

        Parameters
        ----------
        failed
            The outputs that stand for what could not be made, with the reason: the end of the
            run refuses them, and keeps the others.

        Raises
        ------
        IntegrityError
            If an output carries no seal, since it was written in another way.
        """
        for path, reason in (failed or {}).items():
            seals.expect_failed(path, reason)
        for path in self.outputs:
            if Path(path).suffix not in (".parquet", ".safetensors"):
                seals.seal_page(path)
            try:
                seals.opened(path)
            except SealError as error:
                raise IntegrityError(f"{path} was written without a record: {error}") from error


def begin(snakemake: Any, gate: Iterable[str] = ()) -> Job:  # noqa: ANN401
    """Begin a job: open its log, check its inputs, and let its outputs carry what made them.

    Parameters
    ----------
    snakemake
        As scripts have it; its parameter `decided_by` is of `metamers.config.decided.param`.
    gate
        Names of inputs that decide whether the job may run, and nothing of its result.

    Raises
    ------
    IntegrityError
        If an input is damaged, foreign or stale.
    """
    snakemake_script.start_logging(snakemake)
    base = Path(snakemake.scriptdir).resolve().parents[1]
    plan = Plan.from_config(snakemake.config, validation.rows_of(snakemake.config, base))
    inspector = Inspector(plan, RESULTS / plan.run)
    inspector.require(snakemake.input)
    beside = {path for name in gate for path in _listed(snakemake.input[name])}
    decides = snakemake.params.decided_by
    record = {
        "rule": snakemake.rule,
        "wildcards": dict(snakemake.wildcards),
        "decided_by": decides,
        "inputs": inspector.inputs([path for path in snakemake.input if path not in beside]),
    }
    outputs = [str(path) for path in snakemake.output]
    seals.expect({p: Record(path=place(p, inspector.folder), **record) for p in outputs})
    sweep(outputs)
    return Job(plan, decides, outputs)


def advice(found: Sequence[Finding], folder: Path) -> str:
    """Return the message for findings, with what to type."""
    lines = "\n".join(f"  {finding}" for finding in found)
    return (
        f"{len(found)} file{'s' * (len(found) > 1)} in {folder} do not answer to the "
        f"configuration:\n{lines}\n"
        f"'metamers verify {folder} --repair' (with the run's --configfile) removes them; the next "
        "run makes them again, and what follows from them (docs/troubleshooting.md#verification)"
    )


class Inspector:
    """Compares files of a run with what its plan expects; each is read once."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.folder = folder
        self._expected: dict[str, Mapping[str, Any]] = {}
        self._records: dict[str, Record] = {}
        self._seals: dict[str, str | None] = {}

    def require(self, paths: Iterable[str | Path]) -> None:
        """Raise `IntegrityError` if one of the files is not what the plan expects."""
        found = [finding for path in paths for finding in self.of(path)]
        if found:
            raise IntegrityError(advice(found, self.folder))

    def of(self, path: str | Path) -> list[Finding]:
        """Return what is wrong with a file; one from outside of the run's folder has no record."""
        name = place(path, self.folder)
        if name.startswith(OUTSIDE):
            return []
        try:
            record, self._seals[name] = seals.opened(path)
        except FileNotFoundError:
            return [Finding(name, "missing", "there is no such file")]
        except (OSError, SealError) as error:
            return [Finding(name, "damaged", str(error))]
        if record.path != name:
            return [Finding(name, "foreign", f"it was written as {record.path}")]
        self._records[name] = record
        try:
            expected = self._of_job(record)
        except LookupError as error:
            return [Finding(name, "left over", f"nothing in the configuration makes it ({error})")]
        changes = [*differences(record.decided_by, expected), *self._changed_inputs(record)]
        if changes:
            return [Finding(name, "stale", _first(changes))]
        if record.failed:
            return [Finding(name, "failed", record.failed)]
        beside = list(listings.changes(Path(path))) if Path(path).name == listings.NAME else []
        return [Finding(name, "damaged", _first(beside))] if beside else []

    def inputs(self, paths: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return the seal of each file, found right before; of a source, what decided it, too."""
        found: dict[str, dict[str, Any]] = {}
        for name in [place(path, self.folder) for path in paths]:
            found[name] = {"seal": self._seal(name)}
            if name in self._records and not self._records[name].inputs:
                found[name]["decided_by"] = self._records[name].decided_by
        return found

    def _of_job(self, record: Record) -> Mapping[str, Any]:
        key = json.dumps([record.rule, dict(record.wildcards)], sort_keys=True)
        if key not in self._expected:
            self._expected[key] = decided.by(self.plan, record.rule, record.wildcards)
        return self._expected[key]

    def _changed_inputs(self, record: Record) -> Iterator[str]:
        for name, was in record.inputs.items():
            now = self._seal(name)
            if now is not None and now != was["seal"]:
                yield f"it was made from another {name}"

    def _seal(self, name: str) -> str | None:
        """Return the seal of a file as it is now, or its sha256; None if it cannot be had here."""
        if name not in self._seals:
            of = sha256_of if name.startswith(OUTSIDE) else seals.seal_of
            try:
                self._seals[name] = of(self.folder / name)
            except (OSError, SealError):
                self._seals[name] = None
        return self._seals[name]


def differences(met: Any, expected: Any, key: str = "") -> Iterator[str]:  # noqa: ANN401
    """Yield each value that differs, with its key; of None nothing is known, and all fits."""
    if expected is None and key:
        return
    if isinstance(met, Mapping) and isinstance(expected, Mapping):
        for name in dict.fromkeys([*expected, *met]):
            inner = f"{key}.{name}" if key else str(name)
            if name not in expected or name not in met:
                lacks = "the file" if name not in met else "the configuration"
                yield f"{lacks} has no {inner}"
            else:
                yield from differences(met[name], expected[name], inner)
    elif met != expected:
        yield f"{key} is {_short(met)}, expected {_short(expected)}"


def _first(changes: Sequence[str]) -> str:
    more = len(changes) - _MOST_DIFFERENCES
    return "; ".join([*changes[:_MOST_DIFFERENCES], *([f"and {more} more"] if more > 0 else [])])


def _short(value: Any) -> str:  # noqa: ANN401
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:50]}…{text[-20:]}"


def sweep(paths: Iterable[str | Path]) -> None:
    """Remove the drafts of files that attempts which were killed have left beside them."""
    for path in map(Path, paths):
        for draft in path.parent.glob(f".{escape(path.name[:200])}.*.tmp"):
            remove_draft(draft)


def remove_draft(draft: Path) -> None:
    """Remove a draft, a file or a folder of the store, and say so in the log."""
    logging.info("removing %s, which an attempt that was killed has left", draft)
    shutil.rmtree(draft) if draft.is_dir() else draft.unlink(missing_ok=True)


def place(path: str | Path, folder: Path) -> str:
    """Return a file's path relative to the run's folder."""
    return Path(os.path.relpath(path, folder)).as_posix()


def _listed(value: Any) -> list[str]:  # noqa: ANN401
    return [value] if isinstance(value, str) else list(value)
