"""What happens to runs on clusters, done to runs on the test's SLURM."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import Any

import processes
from local_slurm import LocalSlurm
from runs import METAMERS, SMALL, ClusterRun, command_of

SECONDS = 300  # that one scenario waits for another, at most

# More than the five failed queries in a row after which the plugin, as it comes, gives its jobs
# up and waits for ever (profiles/slurm sets slurm-status-attempts for that).
FAILED_QUERIES = 7


@dataclass(frozen=True)
class Outcome:
    """A run that came to its end, and what was seen on the way.

    Attributes
    ----------
    run
        The run.
    states
        How each SLURM job ended, in the order of submission.
    turn
        The turn of the checkpoint when the fault had struck.
    notes
        What else the scenario saw.
    """

    run: ClusterRun
    states: list[str]
    turn: int
    notes: Any = None


def over_its_limit(slurm: LocalSlurm, run: ClusterRun) -> Outcome:
    """A job that computes when SLURM's warning comes, slowly, to spend little processor."""
    job = run.submitted()[-1]
    before = run.turns[-1]
    slow_down(run, job)
    return _after(slurm, run, job, notes=before)


def cancelled(slurm: LocalSlurm, run: ClusterRun) -> Outcome:
    """A job that somebody cancels."""
    run.start(METAMERS)
    job = run.until_under_way()
    slurm.insist("scancel", job)
    return _after(slurm, run, job)


def snakemake_killed(slurm: LocalSlurm, run: ClusterRun) -> Outcome:
    """Snakemake dies while its job runs on; the user asks the doctor, cancels, runs again."""
    run.start(METAMERS)
    hold(run.until_under_way())  # so that it is there still when the doctor has spoken
    run.kill()
    advice = run.doctor()
    slurm.insist("scancel", *slurm.active(run.folder))
    slurm.wait(lambda: not slurm.active(run.folder), "end of the job", 60)
    turn = run.turns[-1]
    subprocess.run(command_of(run.folder, "--unlock"), capture_output=True, check=True)
    run.start(METAMERS)
    run.finish()
    return Outcome(run, list(slurm.jobs(run.folder).values()), turn, advice)


def node_crashed(slurm: LocalSlurm, run: ClusterRun, over: threading.Event) -> Outcome:
    """A node loses all its processes and comes back; SLURM queues the job again by itself.

    Says in the end that it is over.
    """
    try:
        run.start(METAMERS)
        job = run.until_under_way()
        hold(job)
        # SLURM takes a job that it started a moment ago for one that is still on its way.
        slurm.wait(lambda: slurm.seconds_run(job) > 20, "age of the job")
        slurm.crash_node("fragile")
        turn = run.turns[-1]
        slurm.start_node("fragile")
        run.finish()
        return Outcome(run, list(slurm.jobs(run.folder).values()), turn, slurm.describe(job))
    finally:
        over.set()


def daemons_restarted(slurm: LocalSlurm, run: ClusterRun, others_over: threading.Event) -> Outcome:
    """A slurmd is killed and started again, then the controller, once nobody else's job starts.

    One that starts while the controller is away fails.
    """
    run.start(METAMERS)
    job = run.until_under_way()
    slurm.kill_node_daemon("flaky")
    turn = run.turns[-1]
    run.until(lambda: run.turns[-1] > turn, "progress without slurmd")
    hold(job)
    slurm.start_node("flaky")
    assert others_over.wait(timeout=SECONDS)
    slurm.kill_controller()
    for _ in range(FAILED_QUERIES):
        slurm.ask("squeue")
    slurm.start_controller()
    hold(job, signal.SIGCONT)
    run.finish()
    return Outcome(run, list(slurm.jobs(run.folder).values()), turn, slurm.describe(job))


def whole(slurm: LocalSlurm, run: ClusterRun, *targets: str) -> Outcome:
    """From the reference images to tables and figures, undisturbed."""
    run.start(*targets, configs=(SMALL,))
    run.finish()
    jobs = slurm.jobs(run.folder)
    return Outcome(run, list(jobs.values()), 0, [slurm.describe(job) for job in jobs])


def hold(job: str, how: signal.Signals = signal.SIGSTOP) -> None:
    """Stop the synthesis of a job where it is: it takes time, but no processor."""
    for pid in _syntheses(job):
        processes.kill(pid, how)


def slow_down(run: ClusterRun, job: str) -> None:
    """Let the synthesis of a job compute a turn or so each second, until its process has ended."""
    while _syntheses(job):
        turn, end = run.turns[-1], time.monotonic() + 1
        hold(job, signal.SIGCONT)
        while run.turns[-1] == turn and time.monotonic() < end:
            time.sleep(0.01)
        hold(job)
        time.sleep(1)


def _syntheses(job: str) -> list[int]:
    """Return the processes of a job that compute."""
    return [
        pid
        for pid in processes.with_variable(f"SLURM_JOB_ID={job}")
        if "synthesize_metamers.py" in processes.command(pid)
    ]


def _after(slurm: LocalSlurm, run: ClusterRun, job: str, notes: Any = None) -> Outcome:
    """Wait for the end of a job that was hit, and then of the run."""
    slurm.wait(lambda: job not in slurm.active(run.folder), f"end of job {job}", 300)
    turn = run.turns[-1]
    run.finish()
    return Outcome(run, list(slurm.jobs(run.folder).values()), turn, notes)
