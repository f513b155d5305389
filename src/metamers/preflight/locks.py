"""Is a folder locked by a run that is no more? Asked before Snakemake is told to unlock it."""

from __future__ import annotations

import os
from pathlib import Path

import psutil


def is_locked(folder: Path) -> bool:
    """Return whether Snakemake would refuse to work in a folder."""
    locks = folder / ".snakemake" / "locks"
    return locks.is_dir() and any(locks.iterdir())


def workers(folder: Path) -> list[int]:
    """Return the processes of this machine that are Snakemake's, or jobs of it, in a folder.

    Jobs that outlive a killed Snakemake write its files and count, too. So does a Snakemake whose
    folder this user may not know.
    """
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and "snakemake" in " ".join(process.cmdline()):
                here = Path(process.cwd()).resolve() == folder.resolve()
            else:
                here = False
        except psutil.AccessDenied:
            here = "snakemake" in process.name()
        except psutil.NoSuchProcess:
            continue
        if here:
            found.append(process.pid)
    return found
