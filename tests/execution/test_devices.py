"""Devices: which one a job computes on, and GPUs that are one job's alone."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from metamers.execution import devices
from metamers.execution.machine import MachineError


@pytest.fixture
def two_gpus(monkeypatch, tmp_path):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    current = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"fake {device}")
    monkeypatch.setattr(devices, "lock_folder", lambda environment: tmp_path)
    return current


def test_jobs_get_gpus_of_their_own(two_gpus):
    with devices.acquire_device("auto") as first, devices.acquire_device("cuda") as second:
        assert {first, second} == {torch.device("cuda:0"), torch.device("cuda:1")}
        assert two_gpus == [first, second]
    with devices.acquire_device("auto") as again:
        assert again == torch.device("cuda:0")


def test_the_only_device_of_a_scheduler_is_taken_without_a_lock(two_gpus, monkeypatch, tmp_path):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    with devices.acquire_device("auto") as first, devices.acquire_device("auto") as second:
        assert first == second == torch.device("cuda:0")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["cpu", "cuda:1"])
def test_a_device_that_is_named_is_taken_as_it_is(two_gpus, name):
    with devices.acquire_device(name) as device:
        assert device == torch.device(name)
    assert two_gpus == []


def test_without_gpus_auto_is_the_processor(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with devices.acquire_device("auto") as device:
        assert device == torch.device("cpu")


def test_a_gpu_of_slurm_that_torch_does_not_see_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(MachineError, match="torch sees none"), devices.acquire_device("auto"):
        pass


HOLDER = """
import sys
from pathlib import Path
from metamers.execution import devices
with devices.acquire_gpu(["a", "b"], Path(sys.argv[1]), patience=0.02) as index:
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
    with devices.acquire_gpu(["a"], tmp_path):
        waiter = threading.Thread(target=wait_for_slot, args=(tmp_path, release))
        waiter.start()
        time.sleep(0.2)
        assert not release.is_set()
    waiter.join(timeout=10)
    assert release.is_set()
    assert caplog.text.count("waiting for one of the GPUs a") == 1


def wait_for_slot(locks, release):
    with devices.acquire_gpu(["a"], locks, patience=0.02):
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
    assert devices.visible_gpus(environment, 3) == names


def test_without_a_device_that_cuda_finds_there_is_none():
    assert devices.visible_gpus({"CUDA_VISIBLE_DEVICES": ""}, 0) == []


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
    assert devices.is_assigned(environment, names) is chosen


def test_allocations_of_slurm_have_locks_of_their_own():
    folders = {
        devices.lock_folder({}),
        *(devices.lock_folder({"SLURM_JOB_ID": job}) for job in "12"),
    }
    assert len(folders) == 3
    assert all(str(os.getuid()) in folder.name for folder in folders)
