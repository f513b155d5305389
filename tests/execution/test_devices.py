"""Which device a job computes on, with CUDA's answers faked."""

import pytest
import torch

from metamers.execution import devices, slots
from metamers.execution.machine import MachineError


@pytest.fixture
def two_gpus(monkeypatch, tmp_path):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    current = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"fake {device}")
    monkeypatch.setattr(slots, "folder", lambda environment: tmp_path)
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
