"""The batches of a job: done one after the other, and halved when memory runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from metamers.execution.autotuning import TunedSettings
from metamers.execution.memory import is_exhausted
from metamers.synthesis.chunks import whole_chunks
from metamers.synthesis.state import State, Synthesis

HELP = "docs/engine.md, 'Memory'"


@dataclass
class Batch:
    """Images that are made together.

    Attributes
    ----------
    rows
        Which of the job's images, ``(n,)``.
    state
        How far they are; None at the start.
    """

    rows: np.ndarray
    state: State | None = None


@dataclass(frozen=True)
class Finished:
    """Images that are done; ``rows`` says which of the job's."""

    rows: np.ndarray
    synthesis: Synthesis


@dataclass
class Progress:
    """How far a job is.

    Attributes
    ----------
    finished, waiting
        Batches that are done, and those that are not, the first of which is in work.
    choices
        Settings that were tried out for the job; None before that.
    devices
        On which it has been worked on.
    """

    finished: list[Finished] = field(default_factory=list)
    waiting: list[Batch] = field(default_factory=list)
    choices: TunedSettings | None = None
    devices: list[str] = field(default_factory=list)

    def complete(self, n_images: int, batch_size: int, chunk_size: int) -> None:
        """Add batches for the images that are in none, and cut those that are too large.

        Parameters
        ----------
        n_images
            Of the job.
        batch_size
            Images at a time, at most.
        chunk_size
            Images that are computed at a time: a batch is of whole chunks, but the last.
        """
        begun = [*(batch.rows for batch in self.finished), *(batch.rows for batch in self.waiting)]
        rest = np.setdiff1d(np.arange(n_images), np.concatenate([*begun, []]))
        self.waiting = halved(self.waiting, batch_size, chunk_size)
        self.waiting += [Batch(rest[rows]) for rows in split(len(rest), batch_size, chunk_size)]


def split(n_images: int, batch_size: int, chunk_size: int) -> list[np.ndarray]:
    """Return the indices of the images of each batch, all but the last of whole chunks."""
    size = whole_chunks(batch_size, chunk_size)
    return [np.arange(start, min(start + size, n_images)) for start in range(0, n_images, size)]


def halved(batches: Sequence[Batch], most: int, chunk_size: int) -> list[Batch]:
    """Return the same batches, those of too many images cut into smaller ones, with their state.

    Images do not depend on each other, so nothing that was done is lost.
    """
    return [piece for batch in batches for piece in _pieces(batch, most, chunk_size)]


def _pieces(batch: Batch, most: int, chunk_size: int) -> list[Batch]:
    pieces = split(len(batch.rows), most, chunk_size)
    if len(pieces) == 1:
        return [batch]
    if batch.state is None:
        return [Batch(batch.rows[piece]) for piece in pieces]
    return [Batch(batch.rows[piece], batch.state.select(piece, chunk_size)) for piece in pieces]


def run_batches(
    progress: Progress,
    make: Callable[[Batch], Synthesis],
    save: Callable[[], None],
    chunk_size: int,
) -> None:
    """Make all images of the batches that wait, and keep the progress.

    When memory runs out, the batch and all that are as large are cut in half, each with the
    state that it has.

    Parameters
    ----------
    progress
        Is brought up to date.
    make
        Makes a batch from its state on, and keeps that up to date.
    save
        Writes the progress down: after each batch, and before an error goes on.
    chunk_size
        The fewest images that a batch is cut into.

    Raises
    ------
    Exception
        What ``make`` raises, unless it says that memory ran out and the batch was of more than
        one chunk.
    """
    while progress.waiting:
        batch = progress.waiting[0]
        synthesis = _attempt(batch, make, save, chunk_size)
        if synthesis is None:  # the error is gone, and with it the tensors that it held
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            progress.waiting = halved(progress.waiting, len(batch.rows) // 2, chunk_size)
            continue
        progress.waiting.pop(0)
        progress.finished.append(Finished(batch.rows, synthesis))
        save()


def _attempt(
    batch: Batch, make: Callable[[Batch], Synthesis], save: Callable[[], None], chunk_size: int
) -> Synthesis | None:
    """Return what is made, or None if memory ran out and fewer images can be tried."""
    try:
        return make(batch)
    except BaseException as error:
        save()
        if not is_exhausted(error):
            raise
        n_images = len(batch.rows)
        if n_images <= chunk_size:
            error.add_note(
                f"with one chunk of {chunk_size} images (engine.chunk_size), the least: {HELP}"
            )
            raise
        logging.warning("memory ran out with %d images at a time: halved (%s)", n_images, HELP)
        return None
