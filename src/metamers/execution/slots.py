"""GPUs of one machine, one job each: locks that end with the process that holds them.

Snakemake counts the resource ``gpu`` but does not say which GPU is whose. No torch here.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

PATIENCE = 1.0  # seconds between two looks at GPUs that are all taken


def visible(environment: Mapping[str, str], count: int) -> list[str]:
    """Return the names of the GPUs that the process may use, in CUDA's order.

    Parameters
    ----------
    environment
        Of the process: ``CUDA_VISIBLE_DEVICES`` names them (numbers or UUIDs), if it is set.
    count
        How many CUDA finds; a name beyond them does not exist.
    """
    named = environment.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return [str(index) for index in range(count)]
    return [name.strip() for name in named.split(",")][:count]


def is_chosen(environment: Mapping[str, str], names: Sequence[str]) -> bool:
    """Return whether somebody, such as a scheduler, has left the process no choice of a GPU.

    Then no lock is needed, and none would be right: in a job of SLURM the only GPU may be
    called 0, whichever it is.
    """
    scheduled = "CUDA_VISIBLE_DEVICES" in environment or "SLURM_JOB_ID" in environment
    return scheduled and len(names) == 1


def folder(environment: Mapping[str, str]) -> Path:
    """Return where this user's locks lie on this machine.

    Each allocation of SLURM has its own, since it may count its GPUs from 0.
    """
    job = environment.get("SLURM_JOB_ID")
    name = f"metamers-gpus-{os.getuid()}" + (f"-{job}" if job else "")
    return Path(tempfile.gettempdir()) / name


@contextmanager
def slot(names: Sequence[str], locks: Path, patience: float = PATIENCE) -> Iterator[int]:
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
