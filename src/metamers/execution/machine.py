"""What a run needs of the machine that it is on: folders with locks, GPUs."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path


class MachineError(RuntimeError):
    """A machine cannot do what is asked of it; the message says what was met."""


def gpu_slots() -> int:
    """Return how many jobs may use a GPU at once on this machine: one for each GPU.

    Without any, jobs compute on processors, and as many as there are processors may do so.
    """
    return len(gpus()) or os.cpu_count() or 1


def gpus() -> list[str]:
    """Return the GPUs that a process may use, by the names that ``CUDA_VISIBLE_DEVICES`` takes."""
    named = named_gpus(os.environ)
    if named is not None:
        return named
    devices = (path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*"))
    return sorted((name for name in devices if name.isdigit()), key=int)


def named_gpus(environment: Mapping[str, str]) -> list[str] | None:
    """Return what ``CUDA_VISIBLE_DEVICES`` names (numbers or UUIDs); None if it is not set."""
    listed = environment.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        return None
    return [name for name in map(str.strip, listed.split(",")) if name not in ("", "-1")]


def require_gpu_of_job(seen: bool) -> None:
    """Refuse to compute on the CPU in a job that SLURM gave a GPU.

    Parameters
    ----------
    seen
        Whether torch sees a GPU.

    Raises
    ------
    MachineError
        If it does not, though the job has one.
    """
    given = os.environ.get("CUDA_VISIBLE_DEVICES") or os.environ.get("SLURM_JOB_GPUS")
    if seen or given in (None, "NoDevFiles") or "SLURM_JOB_ID" not in os.environ:
        return
    node = os.environ.get("SLURMD_NODENAME", "its node")
    raise MachineError(
        f"no GPU visible in a GPU job: SLURM gave job {os.environ['SLURM_JOB_ID']} on {node!r} "
        f"the GPU {given!r}, but torch sees none. "
        "Compare `nvidia-smi` there with the CUDA version of torch (`metamers doctor`), or say "
        "`engine: {device: cpu}` to compute without (docs/cluster.md)"
    )


def folder_problems(folder: Path) -> Iterator[str]:
    """Yield why results cannot be kept in a folder: it is not writable, or has no locks."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".metamers-lock-") as file:
            yield from _lock_problems(file.fileno(), folder)
    except OSError as error:
        yield f"folder {str(folder.resolve())!r} cannot be written to: {error.strerror}"


def _lock_problems(descriptor: int, folder: Path) -> Iterator[str]:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    except OSError as error:
        yield (
            f"the file system of {str(folder.resolve())!r} has no locks ({error.strerror}); jobs "
            "that fetch weights would spoil each other's files: use another one, or mount it with "
            "locks (NFS: its lock daemon; Lustre: -o flock)"
        )
