"""Processes of SLURM's jobs, found by their environment, as SLURM marks them; and free ports."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
from collections.abc import Collection, Iterator
from pathlib import Path


def with_variable(setting: str) -> list[int]:
    """Return the processes whose environment has a setting, as ``SLURM_JOB_ID=7``."""
    return [pid for pid, variables in _environments() if setting in variables]


def daemons_of_jobs(conf: Path, children: Collection[int] | None = None) -> list[int]:
    """Return SLURM's processes that look after jobs, of a configuration, or of some children."""
    parents = {parent(pid) for pid in children} if children is not None else None
    return [
        pid
        for pid, variables in _environments()
        if f"SLURM_CONF={conf}" in variables
        and command(pid).startswith("slurmstepd")
        and (parents is None or pid in parents)
    ]


def parent(pid: int) -> int:
    """Return the parent of a process, 0 if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def command(pid: int) -> str:
    """Return the command line of a process, empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
    except OSError:
        return ""


def kill(pid: int, how: signal.Signals) -> None:
    """Send a signal to a process that may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, how)


def end_with_parent() -> None:
    """Let the kernel end the calling process with the thread that started it (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _environments() -> Iterator[tuple[int, list[str]]]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            yield (
                int(entry.name),
                (entry / "environ").read_bytes().decode("utf8", "replace").split("\0"),
            )
        except OSError:
            continue
