"""The device that a job computes on."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from metamers.execution import machine, slots


def device_of(name: str) -> torch.device:
    """Return the device that ``auto`` stands for (CUDA if there is one), or the one named."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


@contextmanager
def acquire_device(name: str) -> Iterator[torch.device]:
    """Yield the device of a job; a GPU is then its own among the jobs of this machine.

    Parameters
    ----------
    name
        ``auto``, ``cpu``, ``cuda`` (any GPU that is free, after waiting for it) or
        ``cuda:<n>`` (that one, without asking whether it is free).

    Raises
    ------
    metamers.execution.machine.MachineError
        If SLURM gave the job a GPU that torch does not see.
    """
    if name not in ("auto", "cuda"):
        yield torch.device(name)
        return
    count = torch.cuda.device_count()
    if name == "auto":
        machine.require_gpu_of_job(count > 0)
    if not count:
        yield device_of(name)
        return
    names = slots.visible(os.environ, count)
    if slots.is_chosen(os.environ, names):
        yield _taken(0, names)
        return
    with slots.slot(names, slots.folder(os.environ)) as index:
        yield _taken(index, names)


def describe(device: torch.device) -> str:
    """Return what is written into results: the GPU's name, or the CPU's vector instructions."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu ({torch.backends.cpu.get_cpu_capability()})"


def _taken(index: int, names: list[str]) -> torch.device:
    device = torch.device("cuda", index)
    torch.cuda.set_device(device)  # else the first GPU would carry a context of every job
    logging.info("GPU %s (%s)", names[index], torch.cuda.get_device_name(device))
    return device
