"""A small job that is killed again and again, for tests/workflow/test_interruptions.py.

Torch is imported once; each attempt is a fork, which goes on from the checkpoint of the last.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import synthesis_jobs
import torch

from metamers.execution import checkpoints, runner
from metamers.execution.settings import ExecutionSettings
from metamers.models.weights.cache import cache_folder
from metamers.storage import metamers

STEPS = 120


def work_through(references, checkpoint: Path, output: Path) -> None:
    """Do the job, two images at a time, a checkpoint after each turn of two steps."""
    work = synthesis_jobs.work_of(models=["squeezenet1_1"], total_steps=STEPS)
    settings = ExecutionSettings("cpu", 2, 2, True, True, "float32", 1)
    done = runner.run(work, settings, *references, cache_folder(None), checkpoint)
    metamers.save(output, done.metamers)


def attempt(references, folder: Path, die=None) -> int:
    """Return the process of an attempt; ``die`` is run in it before it begins."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        if die:
            die()
        work_through(references, folder / "checkpoint", folder / "output")
        code = 0
    finally:
        os._exit(code)


def die_in_write(number: int, call: str):
    """Return what makes a process kill itself within its n-th write of a checkpoint."""

    def arm():
        left = [number]
        true_fsync, true_replace = os.fsync, Path.replace

        def killing(name, true):
            def called(*arguments):
                left[0] -= name == call
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return true(*arguments)

            return called

        os.fsync = killing("fsync", true_fsync)
        Path.replace = killing("replace", true_replace)

    return arm


def until_done(references, folder: Path, generator: random.Random, kills: int) -> int:
    """Kill the job so often, half of the times within a write; return how often it was."""
    folder.mkdir()
    killed = 0
    while killed < kills:
        if killed % 2:
            call = generator.choice(["fsync", "replace"])
            process = attempt(references, folder, die_in_write(generator.randint(1, 12), call))
        else:
            process = attempt(references, folder)
            time.sleep(generator.uniform(0.05, 0.9))
            os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        killed += os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        if os.WIFEXITED(status):  # it was done before it could be killed
            assert os.WEXITSTATUS(status) == 0, "a job failed by itself"
            checkpoints.remove(folder / "checkpoint")
    _, status = os.waitpid(attempt(references, folder), 0)
    assert status == 0
    return killed


def main(folder: Path, runs: int, kills: int) -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    references, generator = synthesis_jobs.photographs(4), random.Random(20)
    until_done(references, folder / "whole", generator, kills=0)
    expected = metamers.load(folder / "whole/output")
    report = []
    for run in range(runs):
        killed = until_done(references, folder / f"run{run}", generator, kills)
        found = metamers.load(folder / f"run{run}/output")
        same = torch.equal(found.floats, expected.floats) and all(
            (getattr(found, name) == getattr(expected, name)).all()
            for name in ("losses_before", "losses_after", "losses_stored")
        )
        report.append({"killed": killed, "same": bool(same)})
    print(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
