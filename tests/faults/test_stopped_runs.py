"""A run that is stopped loses nothing, and ends with the same bits.

A run is stopped, and the same command is given again. Its tables must be those of an undisturbed
run. `make faults` does all of it, as many rounds of kills as METAMERS_FAULTS says, and writes the
counts into docs/reliability.md; without it some of each kind are done, once.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import time

import psutil
import pytest
import tiny_runs

pytestmark = pytest.mark.workflow

ROUNDS = int(os.environ.get("METAMERS_FAULTS", "0"))
SIGNALS = ("SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2")
LOGGED = {"load": "metamers ", "first step": "steps run eagerly"}
"""What a job's log says in a phase."""

FILES = {"save": "checkpoints", "final write": "metamers"}
"""The folder of results into which a file comes in a phase."""
VICTIMS = ("a job", "Snakemake", "Snakemake and its jobs")


@pytest.mark.parametrize("count", [1, 2] if ROUNDS else [2])
@pytest.mark.parametrize("first", range(len(SIGNALS)) if ROUNDS else [0])
def test_signalled_in_each_phase(faulted, first, count):
    """One run is hit in each phase, by another signal each time."""
    for index, phase in enumerate((*LOGGED, *FILES)):
        name = SIGNALS[(first + index) % len(SIGNALS)]
        while not hit_in(faulted, phase, getattr(signal, name), count):
            begin_anew(faulted)
        faulted.hit(f"{name}{' twice' if count == 2 else ''}, in the {phase}")
    faulted.compare()


def hit_in(faulted, phase, number, count):
    """Start, wait for a phase of a synthesis, and signal the jobs; return whether they were hit."""
    logs = faulted.folder / "logs/tiny/synthesize_metamers"
    shutil.rmtree(logs, ignore_errors=True)

    def files():
        found = set()
        for path in (faulted.folder / "results/tiny" / FILES[phase]).rglob("*"):
            with contextlib.suppress(FileNotFoundError):  # replaced while it is looked at
                if not path.is_dir():
                    found.add((path, path.stat().st_mtime_ns))
        return found

    before = files() if phase in FILES else set()
    run, jobs = faulted.start(), []

    def reached():
        jobs[:] = faulted.at_work() or jobs
        if phase in FILES:
            return files() - before
        return any(LOGGED[phase] in log.read_text() for log in logs.rglob("*.log"))

    faulted.wait_until(lambda: reached() or ended(run.process))
    signalled = 0
    for _ in range(count):
        for process in jobs:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
                signalled += 1
        time.sleep(0.01)
    stopped = faulted.wait() != 0
    return signalled >= count and (stopped or phase == "final write")


def begin_anew(faulted):
    """Leave a run that came to its end before it was hit; it is a sound one."""
    assert tiny_runs.differing(faulted.folder, faulted.whole.folder) == []
    shutil.rmtree(faulted.folder)
    faulted.finished = 0


@pytest.mark.parametrize("attempt", range(ROUNDS or 1))
def test_killed_at_random_moments(faulted, attempt):
    """One run is killed three times, each victim once, before it may end."""
    chance = random.Random(attempt)
    for victim in chance.sample(VICTIMS, len(VICTIMS)):
        moment = chance.uniform(0.05, 0.7) * faulted.whole.seconds
        while not killed(faulted, victim, moment, chance):
            begin_anew(faulted)
            moment *= 0.7
        faulted.hit(f"SIGKILL of {victim}")
    faulted.compare()


def killed(faulted, victim, moment, chance):
    """Start, wait, and kill; return whether that came before the end."""
    run = faulted.start()
    time.sleep(moment)
    if victim != "Snakemake":
        # Between two jobs there is none: then the next, or the end.
        faulted.wait_until(lambda: faulted.at_work() or ended(run.process))
    jobs = faulted.at_work() if victim != "Snakemake" else []
    with contextlib.suppress(ProcessLookupError):
        if victim != "a job":
            os.kill(run.process, signal.SIGKILL)
    for process in chance.sample(jobs, 1) if victim == "a job" and jobs else jobs:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    return faulted.wait() != 0


def ended(number):
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(number).status() == psutil.STATUS_ZOMBIE
    return True
