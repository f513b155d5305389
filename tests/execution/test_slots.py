"""GPU slots: exclusive, waited for, and free again when their holder is killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from metamers.execution import slots

HOLDER = """
import sys
from pathlib import Path
from metamers.execution import slots
with slots.slot(["a", "b"], Path(sys.argv[1]), patience=0.02) as index:
    print("ab"[index], flush=True)
    sys.stdin.read()
"""


class Holder:
    """A process that holds a slot until it is told to end, or killed."""

    def __init__(self, locks: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(locks)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def device(self) -> str:
        return self.process.stdout.readline().strip()

    def end(self, kill: bool) -> None:
        if kill:
            self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def holders(tmp_path):
    started = []

    def start() -> Holder:
        started.append(Holder(tmp_path / "locks"))
        return started[-1]

    yield start
    for holder in started:
        holder.process.kill()
        holder.process.communicate()


def test_jobs_at_the_same_time_have_different_devices(holders):
    assert {holders().device(), holders().device()} == {"a", "b"}


@pytest.mark.parametrize("kill", [True, False], ids=["killed", "ended"])
def test_slot_of_a_process_that_is_gone_is_taken_by_the_one_that_waits(holders, kill):
    first, second = holders(), holders()
    taken = {first.device(): first, second.device(): second}
    assert set(taken) == {"a", "b"}
    third = holders()
    time.sleep(0.3)
    assert third.process.poll() is None  # it waits
    taken["b"].end(kill)
    assert third.device() == "b"


def test_waiting_is_said_once(tmp_path, caplog):
    caplog.set_level("INFO")
    release = threading.Event()
    with slots.slot(["a"], tmp_path):
        waiter = threading.Thread(target=wait_for_slot, args=(tmp_path, release))
        waiter.start()
        time.sleep(0.2)
        assert not release.is_set()
    waiter.join(timeout=10)
    assert release.is_set()
    assert caplog.text.count("waiting for one of the GPUs a") == 1


def wait_for_slot(locks, release):
    with slots.slot(["a"], locks, patience=0.02):
        release.set()


@pytest.mark.parametrize(
    ("environment", "names"),
    [
        ({}, ["0", "1", "2"]),
        ({"CUDA_VISIBLE_DEVICES": "2,0"}, ["2", "0"]),
        ({"CUDA_VISIBLE_DEVICES": "GPU-8a, GPU-9b"}, ["GPU-8a", "GPU-9b"]),
        ({"CUDA_VISIBLE_DEVICES": "0,1,2,77"}, ["0", "1", "2"]),
    ],
)
def test_devices_are_those_that_cuda_may_see(environment, names):
    assert slots.visible(environment, 3) == names


def test_without_a_device_that_cuda_finds_there_is_none():
    assert slots.visible({"CUDA_VISIBLE_DEVICES": ""}, 0) == []


@pytest.mark.parametrize(
    ("environment", "names", "chosen"),
    [
        ({"SLURM_JOB_ID": "7", "CUDA_VISIBLE_DEVICES": "0"}, ["0"], True),
        ({"SLURM_JOB_ID": "7"}, ["0"], True),
        ({"CUDA_VISIBLE_DEVICES": "1"}, ["1"], True),
        ({"SLURM_JOB_ID": "7", "CUDA_VISIBLE_DEVICES": "0,1"}, ["0", "1"], False),
        ({}, ["0"], False),
        ({}, ["0", "1"], False),
    ],
)
def test_a_schedulers_choice_needs_no_lock(environment, names, chosen):
    assert slots.is_chosen(environment, names) is chosen


def test_allocations_of_slurm_have_locks_of_their_own():
    folders = {slots.folder({}), *(slots.folder({"SLURM_JOB_ID": job}) for job in "12")}
    assert len(folders) == 3
    assert all(str(os.getuid()) in folder.name for folder in folders)
