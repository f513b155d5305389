"""Files from the future: a clock that was set back leaves them, and Snakemake stops at them."""

from __future__ import annotations

import os
import time
from pathlib import Path

MARGIN = 60.0
"""Seconds by which the clocks of a disk and of a machine may differ."""


def settle(folder: Path) -> int:
    """Date a run's files that are of the future to now, in their order; return how many.

    Snakemake refuses what a job has just made from a file that is dated later. What was made of
    such a file before is older than it now, and made anew.
    """
    latest = time.time() + MARGIN
    dated = {path: path.stat().st_mtime for path in folder.rglob("*")}
    late = sorted((path for path, then in dated.items() if then > latest), key=dated.__getitem__)
    for path in late:
        os.utime(path)
    return len(late)
