"""What happens to a run is done to a real one: it loses nothing, and ends with the same bits.

A run is stopped by a fault, and the same command is given again. Its tables must be those of a run
that nothing happened to. `make faults` does all of them, kills as often as METAMERS_FAULTS says,
and writes the counts into docs/reliability.md; without it some of each kind are done, once.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
import tiny_runs
import warm_workflow
from PIL import Image

from metamers.preflight.locks import is_locked

pytestmark = pytest.mark.workflow

KILLS = int(os.environ.get("METAMERS_FAULTS", "0"))  # of each victim
FULL = KILLS > 0
TARGETS = ("--until", "compare_with_paper", "check_accuracy")
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system, as root")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with warm_workflow.serving(tmp_path_factory.mktemp("server")) as ready:
        yield ready


def settings():
    """Return a run with a synthesis of 40 checkpoints: enough to be hit in."""
    recipe = {"main": {"budget": {"total_steps": 80, "steps_per_turn": 2}}}
    return tiny_runs.config(recipes=recipe), tiny_runs.zoo()


@pytest.fixture(scope="module")
def whole(server, tmp_path_factory):
    """Return the folder of a run that nothing happened to, and how long it took."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    begun = time.monotonic()
    jobs = tiny_runs.run(server, folder, *settings(), *TARGETS)
    return folder, time.monotonic() - begun, sum(jobs.values())


def start(server, folder, *arguments):
    return server.start(folder, *tiny_runs.write(folder, *settings()), *TARGETS, *arguments)


def wait_until(reached, run, seconds=120):
    """Wait for a moment of a run; fail with what it said where that never comes."""
    latest = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < latest, run.said[-3000:]
        time.sleep(0.002)


def at_work(folder, run=None):
    """Return the processes of jobs that work in a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            here = Path(process.cwd()) == folder and process.pid != (run.process if run else 0)
        except (psutil.AccessDenied, psutil.NoSuchProcess):
            continue
        if here:
            found.append(process)
    return found


def finished_jobs(said):
    return said.count("Finished jobid:")


def again(server, folder, whole, record, fault, before, locked=False):
    """Give the same command again, and compare; record what was done twice."""
    if locked:
        assert server.start(folder, *tiny_runs.write(folder, *settings()), "--unlock").wait() == 0
    (folder / "snakemake.out").unlink()
    run = start(server, folder)
    status = run.wait()
    lost = status != 0
    wrong = [] if lost else tiny_runs.differing(folder, whole[0])
    repeated = max(0, before + finished_jobs(run.said) - whole[2])
    record(fault, lost=lost, wrong=bool(wrong), repeated=repeated)
    assert not lost, run.said[-4000:]
    assert wrong == []
    shutil.rmtree(folder)


@pytest.mark.parametrize("victim", ["a job", "Snakemake", "Snakemake and its jobs"])
@pytest.mark.parametrize("attempt", range(KILLS or 1))
def test_killed_at_a_random_moment(server, whole, tmp_path, record, victim, attempt):
    moment = random.Random(f"{victim}/{attempt}").uniform(0.1, 1) * whole[1]
    folder = tmp_path / "run"
    while True:
        run = start(server, folder)
        time.sleep(moment)
        jobs = at_work(folder, run) if victim != "Snakemake" else []
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            if victim != "a job":
                os.kill(run.process, signal.SIGKILL)
            for process in jobs:
                process.kill()
        if run.wait() != 0:
            break
        shutil.rmtree(folder)  # it was done before it could be killed, or between two jobs
        moment *= 0.8
    while at_work(folder):  # jobs whose Snakemake is gone work to their end
        time.sleep(0.05)
    before = finished_jobs(run.said)
    again(server, folder, whole, record, f"SIGKILL of {victim}", before, locked=victim != "a job")


PHASES = {
    "load": "metamers ",
    "first step": "steps run eagerly",
    "save": "the progress is in",
}


SIGNALS = ("SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2")
IN_ALL = list(itertools.product(SIGNALS, [*PHASES, "final write"]))
IN_SOME = [("SIGTERM", "save"), ("SIGUSR1", "first step")]


@pytest.mark.parametrize(("number", "phase"), IN_ALL if FULL else IN_SOME)
def test_signalled_twice_in_each_phase(server, whole, tmp_path, record, number, phase):
    folder = tmp_path / "run"
    run = start(server, folder)
    logs = folder / "logs/tiny/synthesize_metamers"
    results = folder / "results/tiny/metamers"

    def reached():
        if phase == "final write":
            return any(path.is_file() for path in results.rglob("*"))
        return any(PHASES[phase] in log.read_text() for log in logs.rglob("*.log"))

    wait_until(reached, run)
    for _ in range(2):
        for process in at_work(folder, run):
            process.send_signal(getattr(signal, number))
        time.sleep(0.01)
    run.wait()
    again(server, folder, whole, record, f"{number} twice, in the {phase}", finished_jobs(run.said))


@pytest.fixture
def disk(tmp_path):
    """Return a folder that is a file system of its own, in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


RULES = ["prepare_references", "predict_references", "synthesize_metamers", "evaluate_models"]


@AS_ROOT
@pytest.mark.parametrize("last", RULES if FULL else RULES[1:2])
def test_the_disk_is_full(server, whole, disk, record, last):
    """Of the outputs that come after a rule; what is written first then fails."""
    folder = disk / "run"
    begun = server.start(folder, *tiny_runs.write(folder, *settings()), "--until", last)
    assert begun.wait() == 0, begun.said[-3000:]
    before = finished_jobs(begun.said)
    free = os.statvfs(disk)
    filler = disk / "filler"
    # Some room: for Snakemake's own notes, and not for an output.
    filler.write_bytes(b"\0" * (free.f_bavail * free.f_frsize - 300_000))
    run = start(server, folder)
    failed = run.wait() != 0
    filler.unlink()
    assert failed
    again(server, folder, whole, record, f"disk full after {last}", before, is_locked(folder))


@AS_ROOT
def test_the_folder_is_read_only(server, whole, disk, record):
    folder = disk / "run"
    begun = server.start(
        folder, *tiny_runs.write(folder, *settings()), "--until", "predict_references"
    )
    assert begun.wait() == 0, begun.said[-3000:]
    arguments = tiny_runs.write(folder, *settings())
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    done = subprocess.run(
        [*warm_workflow.COMMAND, "--directory", folder, "--cores", "1", *arguments],
        cwd=warm_workflow.ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    assert done.returncode != 0
    assert "Read-only file system" in done.stdout + done.stderr
    again(server, folder, whole, record, "read-only folder", finished_jobs(begun.said))


def test_two_runs_in_one_folder(server, whole, tmp_path, record):
    folder = tmp_path / "run"
    first = start(server, folder)
    wait_until(lambda: is_locked(folder), first)
    second = server.start(folder, *tiny_runs.write(folder, *settings()), *TARGETS, out="second")
    assert second.wait() != 0
    assert "cannot be locked" in second.said
    assert first.wait() == 0, first.said[-3000:]
    again(server, folder, whole, record, "two runs in one folder", finished_jobs(first.said))


def test_a_picture_turns_unreadable(server, whole, tmp_path, record):
    """Between the look at it that begins a run, and its use."""
    pictures, folder = tmp_path / "pictures", tmp_path / "run"
    pictures.mkdir()
    for index in range(3):
        Image.radial_gradient("L").rotate(30 * index).convert("RGB").save(pictures / f"{index}.png")
    config, rows = settings()
    config["data"] = {"source": "folder", "path": str(pictures)}
    good = (pictures / "1.png").read_bytes()
    tiny_runs.run(server, tmp_path / "fresh", config, rows, *TARGETS)
    run = server.start(folder, *tiny_runs.write(folder, config, rows), *TARGETS)
    wait_until(lambda: run.out.exists() and "Job stats" in run.said, run)
    (pictures / "1.png").write_bytes(good[: len(good) // 2])
    assert run.wait() != 0
    assert "1.png" in run.said
    (pictures / "1.png").write_bytes(good)
    tiny_runs.run(server, folder, config, rows, *TARGETS)
    wrong = tiny_runs.differing(folder, tmp_path / "fresh")
    record("a picture turns unreadable", lost=False, wrong=bool(wrong), repeated=0)
    assert wrong == []
