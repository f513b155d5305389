"""Ensemble metamers by projected gradient descent (Algorithm 1 of the paper)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from metamers.execution import ways
from metamers.synthesis import gradient_agreement, initializers, schedules
from metamers.synthesis.bounds import Bound
from metamers.synthesis.chunks import CHUNK_SIZE, pad, padded_rows
from metamers.synthesis.gradient_agreement import Agreement
from metamers.synthesis.objective import (
    Activations,
    Assignment,
    ModelObjective,
    Placement,
    Workspace,
    combined_gradient,
    worst_model_assignments,
)
from metamers.synthesis.projected_step import ProjectedStep
from metamers.synthesis.settings import SynthesisSettings, Turn, turns


@dataclass(frozen=True)
class Record:
    """Losses of the images of a batch at the last step of a turn.

    ``models`` and ``losses`` are ``(batch,)``: the index of the model, and its loss.
    """

    turn: int
    step: int
    rate: float
    models: np.ndarray
    losses: np.ndarray

    def select(self, rows: np.ndarray | slice) -> Record:
        """Return the record of some of the images."""
        return replace(self, models=self.models[rows], losses=self.losses[rows])


@dataclass
class State:
    """All that changes during the synthesis of a batch: enough to go on from here."""

    turn: int
    images: Tensor
    records: list[Record] = field(default_factory=list)
    agreements: list[Agreement] = field(default_factory=list)

    def select(self, rows: np.ndarray, chunk_size: int = CHUNK_SIZE) -> State:
        """Return the state of some of the images, padded to whole chunks as `synthesize` does."""
        rows = rows[padded_rows(len(rows), chunk_size)]
        images = self.images[torch.from_numpy(rows).to(self.images.device)]
        return State(
            self.turn,
            images,
            [record.select(rows) for record in self.records],
            [one.select(rows) for one in self.agreements],
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
    records
        Losses along the way.
    agreements
        How far the models agreed along the way, where that was asked for.
    """

    metamers: Tensor
    losses_before: np.ndarray
    losses_after: np.ndarray
    losses_stored: np.ndarray
    records: list[Record]
    agreements: list[Agreement]


def to_8_bits(images: Tensor) -> Tensor:
    """Return images in [0, 1] as the nearest 8-bit values, ``uint8``."""
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


class Interrupted(Exception):  # noqa: N818  (a request that was obeyed, not an error)
    """Synthesis was asked to stop; the state is that of the last whole turn."""


def synthesize(
    features: Mapping[str, Activations],
    references: Tensor,
    image_ids: Sequence[str],
    bound: Bound,
    settings: SynthesisSettings,
    seed: int = 0,
    state: State | None = None,
    on_turn: Callable[[State], None] | None = None,
    stop: Callable[[], bool] | None = None,
    places: Mapping[str, Placement] | None = None,
    graphs: Collection[str] = (),
    chunk_size: int = CHUNK_SIZE,
) -> Synthesis:
    """Return one metamer per reference: images that every model confuses with it.

    An image's metamer does not depend on the others of the batch, nor on their order.

    Parameters
    ----------
    features
        For each model of the set, by name and in order, the function from images to the
        activation at the stage (`metamers.models.stages.Features`).
    references
        ``(n, 3, height, width)`` in [0, 1], float32, on the models' device.
    image_ids
        One per reference; with the seed they decide where each metamer starts.
    bound, settings
        The set that pixels are kept in, and the solver's hyperparameters.
    seed
        Seed of the run.
    state
        Where to go on from, if the work was interrupted.
    on_turn
        Called with the state after each turn.
    stop
        Asked after each step whether to give up the turn and raise `Interrupted`.
    places
        For each model, where the references' activations are kept; by default on the device.
    graphs
        Models whose steps are replayed from CUDA graphs; their activations are on the device.
    chunk_size
        Images that a network is given at a time; it decides the rounding, and the last chunk is
        filled up by repeating images.

    Raises
    ------
    FloatingPointError
        If a loss or a pixel is not a finite number. The state is that of the turn before.
    Interrupted
        If ``stop`` said so.
    """
    n_images = len(references)
    references = pad(references, chunk_size)
    ids = [image_ids[row] for row in padded_rows(n_images, chunk_size)]
    start = _start(settings, references, ids, seed)
    stop = stop or (lambda: False)
    solver = Solver(
        targets=list(_targets(features, references, places or {}, graphs, stop, chunk_size)),
        descent=ProjectedStep.of(settings, bound, bound.around(start, references)),
        names=list(features),
        image_ids=ids,
    )
    state = state or State(0, start)
    state.images = _laid_out_as(references, state.images)
    plan, repetitions = turns(settings, len(features), seed)
    while state.turn < len(plan):
        turn = plan[state.turn]
        solver.record_agreement(settings.agreement_every, turn.first_step, state)
        rate = schedules.rate(settings.schedule, turn.repetition, repetitions, turn.first_step)
        solver.take(turn, rate, state, stop)
        if on_turn:
            on_turn(state)
    last = plan[-1]
    solver.record_agreement(settings.agreement_every, last.first_step + last.steps, state)
    return solver.result(start, state, n_images, stop)


@dataclass(frozen=True)
class Solver:
    """The parts of a batch's synthesis that do not change."""

    targets: Sequence[ModelObjective]
    descent: ProjectedStep
    names: Sequence[str]
    image_ids: Sequence[str]

    def take(self, turn: Turn, rate: float, state: State, stop: Callable[[], bool]) -> None:
        """Do the steps of one turn, and write them into the state.

        Nothing is read back from the device until the last step is done.
        """
        shares = self.shares(turn, state.images)
        memory = Workspace.of(shares, state.images)
        images, losses = state.images.clone(), []
        for _ in range(turn.steps):
            gradient, of_shares = combined_gradient(shares, images, memory)
            self.descent.step_(images, gradient, rate)
            losses.append(torch.cat(of_shares))
            _raise_if_stopped(stop)
        found, sums = _read_back(torch.stack(losses), images.sum(dim=(1, 2, 3)))
        self.require_finite(turn, shares, found, sums)
        state.records.extend(self.records(turn, rate, state.turn, shares, found[-1]))
        state.images, state.turn = images, state.turn + 1

    def record_agreement(self, every: int, step: int, state: State) -> None:
        """Measure how far the models agree, before every so many turns, and before none twice."""
        noted = [one.turn for one in state.agreements[-1:]]
        if every and state.turn % every == 0 and state.turn not in noted and len(self.targets) > 1:
            cosines = gradient_agreement.measure(self.targets, state.images)
            state.agreements.append(Agreement(state.turn, step, cosines))

    def shares(self, turn: Turn, images: Tensor) -> list[Assignment]:
        """Return which models have a say in a turn, with what they need on the device."""
        if not turn.models:
            return worst_model_assignments(self.targets, images)
        targets = [self.targets[index] for index in turn.models]
        if len(targets) == 1:  # of several, together, there may be too much for the device
            targets = [targets[0].ready()]
        return [Assignment(*pair) for pair in zip(turn.models, targets, strict=True)]

    def records(
        self, turn: Turn, rate: float, index: int, shares: Sequence[Assignment], losses: np.ndarray
    ) -> list[Record]:
        """Return the losses of a turn's last step, share by share or image by image."""
        step, n_images = turn.first_step + turn.steps, len(self.image_ids)
        parts = np.split(losses, np.cumsum([_length(share, n_images) for share in shares])[:-1])
        if all(share.rows is None for share in shares):
            return [
                Record(index, step, rate, np.full(n_images, share.model, dtype=np.int16), part)
                for share, part in zip(shares, parts, strict=True)
            ]
        models, values = np.zeros(n_images, dtype=np.int16), np.zeros(n_images, dtype=np.float32)
        for share, part in zip(shares, parts, strict=True):
            rows = torch.as_tensor(share.rows).cpu().numpy()
            models[rows], values[rows] = share.model, part
        return [Record(index, step, rate, models, values)]

    def require_finite(
        self, turn: Turn, shares: Sequence[Assignment], losses: np.ndarray, sums: np.ndarray
    ) -> None:
        """Raise `FloatingPointError` if a loss, ``(steps, …)``, or a pixel is no finite number."""
        n_images = len(self.image_ids)
        owners = [
            (self.names[share.model], row)
            for share in shares
            for row in (range(n_images) if share.rows is None else share.rows.tolist())
        ]
        for step, column in np.argwhere(~np.isfinite(losses)).tolist():
            name, row = owners[column]
            self._refuse(
                f"the loss of image {self.image_ids[row]!r} for model {name!r} is "
                f"{losses[step, column]}",
                turn.first_step + step + 1,
            )
        for row in np.flatnonzero(~np.isfinite(sums)).tolist():
            name = next(name for name, owned in owners if owned == row)
            self._refuse(
                f"the pixels of image {self.image_ids[row]!r} moved by model {name!r} "
                "are not all finite",
                turn.first_step + turn.steps,
            )

    def result(
        self, start: Tensor, state: State, n_images: int, stop: Callable[[], bool]
    ) -> Synthesis:
        """Return the finished metamers with their losses."""
        stored = to_8_bits(state.images).to(state.images) / 255
        found = np.zeros((3, len(start), len(self.targets)), dtype=np.float32)
        for column, target in enumerate(self.targets):
            for which, images in enumerate((start, state.images, stored)):
                _raise_if_stopped(stop)
                found[which, :, column] = target.losses(images).cpu().numpy()
        before, after, rounded = found[:, :n_images]
        return Synthesis(
            metamers=state.images[:n_images].cpu().contiguous(),
            losses_before=before,
            losses_after=after,
            losses_stored=rounded,
            records=[record.select(slice(n_images)) for record in state.records],
            agreements=[one.select(slice(n_images)) for one in state.agreements],
        )

    @staticmethod
    def _refuse(what: str, step: int) -> None:
        raise FloatingPointError(
            f"{what} at step {step}; see docs/troubleshooting.md, 'non-finite values'"
        )


def _start(
    settings: SynthesisSettings, references: Tensor, ids: Sequence[str], seed: int
) -> Tensor:
    """Return where synthesis starts, laid out in memory as the references are."""
    start = initializers.initialize(settings.initializer, references, ids, seed)
    if settings.pixel_range is not None:
        start.clamp_(*settings.pixel_range)
    return _laid_out_as(references, start)


def _laid_out_as(other: Tensor, images: Tensor) -> Tensor:
    """Return a copy in the memory format of another batch: it decides the order of sums."""
    return torch.empty_like(other).copy_(images)


def _targets(
    features: Mapping[str, Activations],
    references: Tensor,
    places: Mapping[str, Placement],
    graphs: Collection[str],
    stop: Callable[[], bool],
    chunk_size: int,
) -> Iterator[ModelObjective]:
    for name, function in features.items():
        _raise_if_stopped(stop)
        target = ModelObjective.of(function, references, places.get(name, "device"), chunk_size)
        yield ways.captured(target) if name in graphs else target


def _raise_if_stopped(stop: Callable[[], bool]) -> None:
    if stop():
        raise Interrupted("asked to stop: the progress is that of the last whole turn")


def _read_back(losses: Tensor, sums: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return both as arrays, fetched from the device at once."""
    both = torch.cat([losses.flatten(), sums]).cpu().numpy()
    return both[: losses.numel()].reshape(losses.shape), both[losses.numel() :]


def _length(share: Assignment, n_images: int) -> int:
    return n_images if share.rows is None else len(share.rows)
