"""The device that a job computes on; a GPU is one job's alone.

Snakemake counts the resource ``gpu`` but does not say which GPU is whose. Locks do, and they end
with the process that holds them.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from metamers.execution import machine

PATIENCE = 1.0  # seconds between two looks at GPUs that are all taken


def device_of(name: str) -> torch.device:
    """Return the device that ``auto`` stands for (CUDA if there is one), or the one named."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


@contextmanager
def acquire_device(name: str) -> Iterator[torch.device]:
    """Yield the device of a job; no other job of this machine uses its GPU meanwhile.

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
    names = visible_gpus(os.environ, count)
    if is_assigned(os.environ, names):
        yield _use(0, names)
        return
    with acquire_gpu(names, lock_folder(os.environ)) as index:
        yield _use(index, names)


def describe(device: torch.device) -> str:
    """Return what is written into results: the GPU's name, or the CPU's vector instructions."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu ({torch.backends.cpu.get_cpu_capability()})"


def visible_gpus(environment: Mapping[str, str], count: int) -> list[str]:
    """Return the names of the GPUs that the process may use, in CUDA's order.

    Parameters
    ----------
    environment
        Of the process: ``CUDA_VISIBLE_DEVICES`` names them (numbers or UUIDs), if it is set.
    count
        How many CUDA finds; a name beyond them does not exist.
    """
    named = machine.named_gpus(environment)
    return [str(index) for index in range(count)] if named is None else named[:count]


def is_assigned(environment: Mapping[str, str], names: Sequence[str]) -> bool:
    """Return whether a scheduler, or the user, has assigned one GPU to the process.

    Then no lock is needed, and none would be right: in a job of SLURM the only GPU may be
    called 0, whichever it is.
    """
    assigned = machine.named_gpus(environment) is not None or "SLURM_JOB_ID" in environment
    return assigned and len(names) == 1


def lock_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder of this user's locks on this machine.

    Each allocation of SLURM has its own, since it may count its GPUs from 0.
    """
    job = environment.get("SLURM_JOB_ID")
    name = f"metamers-gpus-{os.getuid()}" + (f"-{job}" if job else "")
    return Path(tempfile.gettempdir()) / name


@contextmanager
def acquire_gpu(names: Sequence[str], locks: Path, patience: float = PATIENCE) -> Iterator[int]:
    """Wait for a GPU that no other job has, and yield its place among the names.

    The kernel frees the lock of a process that ends, however it ends.

    Parameters
    ----------
    names
        The GPUs.
    locks
        Folder of the locks; on a disk of this machine, not on a network's.
    patience
        Seconds between two looks.
    """
    locks.mkdir(mode=0o700, parents=True, exist_ok=True)
    held = [FileLock(locks / f"{name.replace('/', '_')}.lock") for name in names]
    told = False
    while True:
        for index, lock in enumerate(held):
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            try:
                yield index
            finally:
                lock.release()
            return
        if not told:
            logging.info("waiting for one of the GPUs %s (%s)", ", ".join(names), locks)
            told = True
        time.sleep(patience)


def _use(index: int, names: list[str]) -> torch.device:
    device = torch.device("cuda", index)
    torch.cuda.set_device(device)  # else the first GPU would carry a context of every job
    logging.info("GPU %s (%s)", names[index], torch.cuda.get_device_name(device))
    return device
