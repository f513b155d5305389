"""What every script begins with: its log, determinism, and a word on what runs."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from metamers import __version__


def start_logging(snakemake: Any) -> None:  # noqa: ANN401
    """Send this job's messages, warnings and traceback to its log file."""
    path = Path(snakemake.log[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr = path.open("w", buffering=1)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s")
    logging.captureWarnings(True)
    logging.info("metamers %s, %s %s", __version__, snakemake.rule, dict(snakemake.wildcards))


def notice(message: str) -> None:
    """Show a message on the terminal, too, where `start_logging` sends errors to the log."""
    if sys.__stderr__ is not None and sys.stderr is not sys.__stderr__:
        print(message, file=sys.__stderr__, flush=True)


def prepare_torch(threads: int) -> None:
    """Make torch deterministic, and let it use so many threads.

    ``CUBLAS_WORKSPACE_CONFIG`` is what torch asks for on CUDA devices.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    # Filling new memory finds reads of what was never written; it would cost each step 5 %.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    logging.info("torch %s, %d threads", torch.__version__, threads)


@contextmanager
def progress(total: int, title: str, unit: str = "step") -> Iterator[Any]:
    """Show a bar in the log, and on the terminal if there is one."""
    from tqdm import tqdm

    bars = [
        tqdm(total=total, desc=title, unit=unit, file=stream, mininterval=interval, leave=leave)
        for stream, interval, leave in _streams()
    ]
    try:
        yield _Bars(bars)
    finally:
        for bar in bars:
            bar.close()


class _Bars:
    """Several bars that move together."""

    def __init__(self, bars: list[Any]) -> None:
        self._bars = bars

    def advance(self, count: int, **notes: str) -> None:
        """Move on, and show what is said beside the bar."""
        for bar in self._bars:
            bar.set_postfix(notes, refresh=False)
            bar.update(count)


def _streams() -> list[tuple[Any, float, bool]]:
    every = 0.5 if sys.stderr.isatty() else 5.0
    streams: list[tuple[Any, float, bool]] = [(sys.stderr, every, True)]
    if sys.stderr is not sys.__stderr__ and sys.__stderr__ is not None and sys.__stderr__.isatty():
        streams.append((sys.__stderr__, 0.5, False))
    return streams
