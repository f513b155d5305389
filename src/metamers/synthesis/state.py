"""How far a synthesis is, and what it comes to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from metamers.synthesis.chunks import CHUNK_SIZE, padded_rows
from metamers.synthesis.gradient_agreement import Agreement


@dataclass(frozen=True)
class Record:
    """Losses of the images of a batch at the last step of a turn.

    ``models`` and ``losses`` are ``(batch,)``: the index of the model, and its loss; -1 and NaN
    for images that had reached their target before.
    """

    turn: int
    step: int
    rate: float
    models: np.ndarray
    losses: np.ndarray

    def select(self, rows: np.ndarray | slice) -> Record:
        """Return the record of some of the images."""
        return replace(self, models=self.models[rows], losses=self.losses[rows])

    def spread(self, rows: np.ndarray, n_images: int) -> Record:
        """Return the record of a batch of which these are some rows."""
        models = np.full(n_images, -1, dtype=np.int16)
        losses = np.full(n_images, np.nan, dtype=np.float32)
        models[rows], losses[rows] = self.models, self.losses
        return replace(self, models=models, losses=losses)


@dataclass
class State:
    """All that changes during the synthesis of a batch: enough to go on from here.

    Attributes
    ----------
    turn
        Turns that are done.
    images
        Those that are evaluated next, ``(batch, 3, height, width)``.
    records, agreements
        Losses along the way, and cosines between the members' gradients.
    memory
        What the optimizer keeps, ``(batch, …)`` each (`metamers.synthesis.optimizers`).
    stopped
        For each image the turns after which all its losses were at the target; 0: not yet.
    """

    turn: int
    images: Tensor
    records: list[Record] = field(default_factory=list)
    agreements: list[Agreement] = field(default_factory=list)
    memory: dict[str, Tensor] = field(default_factory=dict)
    stopped: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def __post_init__(self) -> None:
        """Let no image have stopped unless it is said."""
        if not len(self.stopped):
            self.stopped = np.zeros(len(self.images), dtype=np.int64)

    def select(self, rows: np.ndarray, chunk_size: int = CHUNK_SIZE) -> State:
        """Return the state of some of the images, padded to whole chunks as `synthesize` does."""
        rows = rows[padded_rows(len(rows), chunk_size)]
        return replace(
            self._images_of(rows),
            records=[record.select(rows) for record in self.records],
            agreements=[one.select(rows) for one in self.agreements],
        )

    def active(self, chunk_size: int = CHUNK_SIZE) -> np.ndarray:
        """Return the rows of the images that go on, in whole chunks; none if all are done."""
        rows = np.flatnonzero(self.stopped == 0)
        return rows[padded_rows(len(rows), chunk_size)]

    def part(self, rows: np.ndarray) -> State:
        """Return the state of the images that go on, without what was recorded.

        If these are all, it is the state itself.
        """
        everyone = np.arange(len(self.images))
        return self if np.array_equal(rows, everyone) else self._images_of(rows)

    def merge(self, rows: np.ndarray, part: State) -> None:
        """Take over what has become of a `part`."""
        if part is self:
            return
        self.turn = part.turn
        self.images = _with_rows(self.images, rows, part.images)
        self.stopped[rows] = part.stopped
        self.memory = {
            name: _with_rows(kept, rows, part.memory[name]) for name, kept in self.memory.items()
        }
        self.records += [record.spread(rows, len(self.images)) for record in part.records]
        self.agreements += [one.spread(rows, len(self.images)) for one in part.agreements]

    def _images_of(self, rows: np.ndarray) -> State:
        index = torch.from_numpy(rows)
        return State(
            self.turn,
            self.images[index.to(self.images.device)],
            memory={name: kept[index.to(kept.device)] for name, kept in self.memory.items()},
            stopped=self.stopped[rows],
        )


@dataclass(frozen=True)
class Synthesis:
    """Metamers, and how well they were optimised.

    Attributes
    ----------
    metamers
        ``(n, 3, height, width)``, float32, on the CPU.
    losses_before, losses_after, losses_stored
        Loss of each image for each model, ``(n, models)``: at the start, at the end, and of
        the image rounded to 8 bits, which is what is evaluated.
    steps, evaluations
        Steps of descent that each image took, and the gradients of a model that they needed,
        ``(n,)``.
    records
        Losses along the way.
    agreements
        How far the models agreed along the way, where that was asked for.
    """

    metamers: Tensor
    losses_before: np.ndarray
    losses_after: np.ndarray
    losses_stored: np.ndarray
    steps: np.ndarray
    evaluations: np.ndarray
    records: list[Record]
    agreements: list[Agreement]


def _with_rows(whole: Tensor, rows: np.ndarray, part: Tensor) -> Tensor:
    """Return a copy with some rows replaced."""
    changed = whole.clone()
    changed[torch.from_numpy(rows).to(whole.device)] = part
    return changed
