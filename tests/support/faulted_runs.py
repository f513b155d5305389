"""A small run that faults are done to, which then has to end as one that nothing happened to."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import tiny_runs
import warm_workflow

from metamers.preflight.locks import is_locked

TARGETS = ("--until", "tabulate_recognizability", "tabulate_measurements", "check_accuracy")


def settings() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a run with a synthesis of 40 checkpoints, enough to be hit in, and its zoo."""
    recipe = {"main": {"budget": {"total_steps": 80, "steps_per_turn": 2}}}
    return tiny_runs.config(recipes=recipe), tiny_runs.zoo()


@dataclass(frozen=True)
class Whole:
    """A run that nothing happened to: its folder, how long it took, how many jobs it had."""

    folder: Path
    seconds: float
    jobs: int


def undisturbed(
    server: warm_workflow.Server,
    folder: Path,
    *configured: Any,
    targets: tuple[str, ...] = TARGETS,
) -> Whole:
    """Run to the end in a new folder."""
    begun = time.monotonic()
    jobs = tiny_runs.run(server, folder, *(configured or settings()), *targets)
    return Whole(folder, time.monotonic() - begun, sum(jobs.values()))


@dataclass
class Faulted:
    """A run that is started again after each fault.

    Attributes
    ----------
    record
        Of `tests/faults/conftest.py`.
    faults
        Those done so far, and how many finished jobs were done again after each.
    """

    server: warm_workflow.Server
    folder: Path
    whole: Whole
    record: Callable[..., None]
    configured: Any = field(default_factory=settings)
    faults: list[tuple[str, int]] = field(default_factory=list)
    finished: int = 0
    out: Path | None = None
    run: Any = None

    def start(self, *arguments: str) -> warm_workflow.Run:
        """Give the same command again."""
        out = self.out or self.folder / "snakemake.out"
        out.unlink(missing_ok=True)
        if is_locked(self.folder):  # what `snakemake --unlock` does
            shutil.rmtree(self.folder / ".snakemake/locks")
        if not (self.folder / "tiny.yaml").exists():
            tiny_runs.write(self.folder, *self.configured)
        given = ("--configfile", str(self.folder / "tiny.yaml"), *(arguments or TARGETS))
        self.run = self.server.start(self.folder, *given, out=str(out))
        return self.run

    def wait(self) -> int:
        """Return the exit status of what was started; count its jobs."""
        status = self.run.wait()
        while self.at_work():  # jobs whose Snakemake is gone work to their end
            time.sleep(0.02)
        planned = sum(tiny_runs.jobs(self.run.said).values())
        if planned and self.faults:
            fault, repeated = self.faults[-1]
            again = max(0, self.finished + planned - self.whole.jobs)
            self.faults[-1] = (fault, repeated + again)
        self.finished += self.run.said.count("Finished jobid:")
        return status

    def to_end(self, *arguments: str) -> None:
        """Start, and require that it ends well."""
        self.start(*arguments)
        assert self.wait() == 0, self.run.said[-4000:]

    def hit(self, fault: str) -> None:
        """Note that a fault was done."""
        self.faults.append((fault, 0))

    def at_work(self) -> list[psutil.Process]:
        """Return the processes of jobs, without Snakemake's own and what that starts."""
        found, snakemake = [], self.snakemake
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.AccessDenied, psutil.NoSuchProcess):
                own = snakemake in (process.pid, process.ppid())
                if Path(process.cwd()) == self.folder and not own:
                    found.append(process)
        return found

    @property
    def snakemake(self) -> int:
        """Return the number of Snakemake's process; -1 once it has ended."""
        with contextlib.suppress(OSError, ValueError):
            return self.run.process
        return -1

    def wait_until(self, reached: Callable[[], object], seconds: float = 240) -> None:
        """Wait for a moment of a run; fail with what it said where that never comes."""
        latest = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < latest, self.run.said[-3000:]
            time.sleep(0.002)

    def compare(self, *arguments: str) -> None:
        """Go on to the end, record what became of it, and require that nothing was lost."""
        self.start(*arguments)
        lost = self.wait() != 0
        wrong = [] if lost else tiny_runs.differing(self.folder, self.whole.folder)
        for fault, repeated in self.faults:
            self.record(fault, lost=lost, wrong=bool(wrong), repeated=repeated)
        assert not lost, self.run.said[-4000:]
        assert wrong == []
        shutil.rmtree(self.folder)
