"""What every script begins with: its log, determinism, and a word on what runs."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from metamers import __version__

_HIDDEN = "METAMERS_HIDE_PROGRESS"
_LINE = (
    "{desc}: {percentage:.0f}% of {total_fmt} {unit}s, {elapsed} gone, {remaining} left{postfix}"
)


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
def progress(total: int, title: str, unit: str = "step", done: int = 0) -> Iterator[Any]:
    """Tell how far a job is: its share, time gone and left, and notes.

    A process of its own shows a bar on its terminal. A job of the workflow writes a line every few
    seconds into its log, and now and then one on the terminal, where other jobs write, too; not if
    Snakemake is told to be quiet about progress (`hide_progress`).

    Parameters
    ----------
    total, done
        Steps of the whole job, and those that are done before it begins: they took no time.
    """
    from tqdm import tqdm

    bars = [
        tqdm(total=total, initial=done, desc=title, unit=unit, miniters=1, position=0, **look)
        for look in _looks()
    ]
    try:
        yield _Bars(bars)
    finally:
        for bar in bars:
            bar.close()


def hide_progress() -> None:
    """Let jobs that this process starts say nothing of their progress on the terminal."""
    os.environ[_HIDDEN] = "yes"


class _Bars:
    """Several bars that move together."""

    def __init__(self, bars: list[Any]) -> None:
        self._bars = bars

    def advance(self, count: int, **notes: str) -> None:
        """Move on, and show what is said beside the bar."""
        for bar in self._bars:
            bar.set_postfix(notes, refresh=False)
            bar.update(count)


class _Lines:
    """A stream on which each state of a bar is a line of its own, without control characters."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._last = stream, ""

    def write(self, text: str) -> None:
        line = text.strip()
        if line and line != self._last:
            self._stream.write(f"{line}\n")
            self._last = line

    def flush(self) -> None:
        self._stream.flush()


def _looks() -> list[dict[str, Any]]:
    """Return where progress is told and how, as arguments of a bar."""
    if sys.stderr.isatty():
        return [{"file": sys.stderr, "mininterval": 0.5}]
    looks = [_lines(sys.stderr, 5)]
    terminal = sys.__stderr__
    if terminal is not None and sys.stderr is not terminal and _HIDDEN not in os.environ:
        looks.append(_lines(terminal, 20) | {"delay": 20})  # of short jobs Snakemake says enough
    return looks


def _lines(stream: TextIO, interval: float) -> dict[str, Any]:
    return {"file": _Lines(stream), "mininterval": interval, "bar_format": _LINE}
