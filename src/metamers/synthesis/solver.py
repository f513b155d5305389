"""Ensemble metamers by projected gradient descent (Algorithm 1 of the paper)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from metamers.synthesis import gradient_agreement, initializers, optimizers, schedules
from metamers.synthesis.chunks import CHUNK_SIZE, pad, padded_rows
from metamers.synthesis.cuda_graph import capture_gradient
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
from metamers.synthesis.optimizers import Optimizer
from metamers.synthesis.settings import Bound, SynthesisSettings, Turn, turns
from metamers.synthesis.state import Record, State, Synthesis


def to_8_bits(images: Tensor) -> Tensor:
    """Return images in [0, 1] as the nearest 8-bit values, ``uint8``."""
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


def rounded(images: Tensor) -> Tensor:
    """Return images in [0, 1] as their 8-bit values are, in the same layout and type."""
    return to_8_bits(images).to(images) / 255


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
    ValueError
        If the references are no such images, or there is not an id for each.
    FloatingPointError
        If a loss or a pixel is not a finite number. The state is that of the turn before.
    Interrupted
        If ``stop`` said so.
    """
    _require_images(references, image_ids)
    n_images = len(references)
    references = pad(references, chunk_size)
    ids = [image_ids[row] for row in padded_rows(n_images, chunk_size)]
    start = _start(settings, references, ids, seed)
    stop = stop or (lambda: False)
    centers = bound.around(start, references)

    def prepare(rows: np.ndarray) -> Solver:
        """Return the solver of some of the images: those that go on, or all."""
        chosen = torch.from_numpy(rows).to(references.device)
        objectives = _objectives(
            features, references[chosen], places or {}, graphs, stop, chunk_size
        )
        optimizer = optimizers.prepare(settings, bound, centers[chosen], chunk_size)
        return Solver(list(objectives), optimizer, list(features), [ids[row] for row in rows])

    everyone = np.arange(len(ids))
    state = state or State(0, start)
    active = state.active(chunk_size)
    solver = prepare(active if len(active) else everyone)
    _lay_out(state, references, solver.optimizer)
    plan, repetitions = turns(settings, len(features), seed)
    while state.turn < len(plan) and len(active):
        turn, part = plan[state.turn], state.part(active)
        rate = schedules.rate(settings.schedule, turn.repetition, repetitions, turn.first_step)
        solver.record_agreement(settings.agreement_every, turn.first_step, part)
        solver.take(turn, rate, part, stop)
        if settings.until_loss is not None and _ends_pass(part.turn, plan, len(features)):
            solver.stop_images(settings.until_loss, part)
        state.merge(active, part)
        if on_turn:
            on_turn(state)
        before, active = active, state.active(chunk_size)
        if len(active) and not np.array_equal(active, before):  # who is done leaves the batch
            solver = prepare(active)
    if len(active):
        part, last = state.part(active), plan[-1]
        solver.record_agreement(settings.agreement_every, last.first_step + last.steps, part)
        state.merge(active, part)
    if solver.image_ids != ids:
        solver = prepare(everyone)
    return solver.result(start, state, plan, n_images, stop)


@dataclass(frozen=True)
class Solver:
    """The parts of a batch's synthesis that do not change."""

    targets: Sequence[ModelObjective]
    optimizer: Optimizer
    names: Sequence[str]
    image_ids: Sequence[str]

    def take(self, turn: Turn, rate: float, state: State, stop: Callable[[], bool]) -> None:
        """Do the steps of one turn, and write them into the state.

        Nothing is read back from the device until the last step is done.
        """
        assignments = self.assignments(turn, state.images)
        workspace = Workspace.of(assignments, state.images)
        images, losses = state.images.clone(), []
        memory = {name: kept.clone() for name, kept in state.memory.items()}
        for step in range(turn.first_step, turn.first_step + turn.steps):
            evaluation = combined_gradient(assignments, images, workspace, self.optimizer.squared)
            self.optimizer.step_(images, evaluation, rate, step, memory)
            losses.append(torch.cat(evaluation.losses))
            _raise_if_stopped(stop)
        found, sums = _read_back(torch.stack(losses), images.sum(dim=(1, 2, 3)))
        self.require_finite(turn, assignments, found, sums)
        state.records.extend(self.records(turn, rate, state.turn, assignments, found[-1]))
        state.images, state.memory, state.turn = images, memory, state.turn + 1

    def stop_images(self, target: float, state: State) -> None:
        """Note which images are done: those whose 8-bit losses are all at the target."""
        stored = rounded(self.optimizer.solution(state.images, state.memory))
        worst = torch.stack([objective.losses(stored) for objective in self.targets]).amax(0)
        state.stopped = np.where((worst <= target).cpu().numpy(), state.turn, state.stopped)

    def record_agreement(self, every: int, step: int, state: State) -> None:
        """Measure how far the models agree, before every so many turns, and before none twice."""
        noted = [one.turn for one in state.agreements[-1:]]
        if every and state.turn % every == 0 and state.turn not in noted and len(self.targets) > 1:
            cosines = gradient_agreement.measure(self.targets, state.images)
            state.agreements.append(Agreement(state.turn, step, cosines))

    def assignments(self, turn: Turn, images: Tensor) -> list[Assignment]:
        """Return which models have a say in a turn, with what they need on the device."""
        if not turn.models:
            return worst_model_assignments(self.targets, images)
        targets = [self.targets[index] for index in turn.models]
        if len(targets) == 1:  # of several, together, there may be too much for the device
            targets = [targets[0].ready()]
        return [Assignment(*pair) for pair in zip(turn.models, targets, strict=True)]

    def records(
        self,
        turn: Turn,
        rate: float,
        index: int,
        assignments: Sequence[Assignment],
        losses: np.ndarray,
    ) -> list[Record]:
        """Return the losses of a turn's last step, assignment by assignment or image by image."""
        step, n_images = turn.first_step + turn.steps, len(self.image_ids)
        parts = np.split(
            losses, np.cumsum([_length(assignment, n_images) for assignment in assignments])[:-1]
        )
        if all(assignment.rows is None for assignment in assignments):
            return [
                Record(index, step, rate, np.full(n_images, assignment.model, dtype=np.int16), part)
                for assignment, part in zip(assignments, parts, strict=True)
            ]
        models, values = np.zeros(n_images, dtype=np.int16), np.zeros(n_images, dtype=np.float32)
        for assignment, part in zip(assignments, parts, strict=True):
            rows = torch.as_tensor(assignment.rows).cpu().numpy()
            models[rows], values[rows] = assignment.model, part
        return [Record(index, step, rate, models, values)]

    def require_finite(
        self, turn: Turn, assignments: Sequence[Assignment], losses: np.ndarray, sums: np.ndarray
    ) -> None:
        """Raise `FloatingPointError` if a loss, ``(steps, …)``, or a pixel is no finite number."""
        n_images = len(self.image_ids)
        owners = [
            (self.names[assignment.model], row)
            for assignment in assignments
            for row in (range(n_images) if assignment.rows is None else assignment.rows.tolist())
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
        self,
        start: Tensor,
        state: State,
        plan: Sequence[Turn],
        n_images: int,
        stop: Callable[[], bool],
    ) -> Synthesis:
        """Return the finished metamers with their losses."""
        metamers = self.optimizer.solution(state.images, state.memory)
        found = np.zeros((3, len(start), len(self.targets)), dtype=np.float32)
        for column, target in enumerate(self.targets):
            for which, images in enumerate((start, metamers, rounded(metamers))):
                _raise_if_stopped(stop)
                found[which, :, column] = target.losses(images).cpu().numpy()
        before, after, stored = found[:, :n_images]
        ends = np.where(state.stopped > 0, state.stopped, len(plan))[:n_images] - 1
        return Synthesis(
            metamers=metamers[:n_images].cpu().contiguous(),
            losses_before=before,
            losses_after=after,
            losses_stored=stored,
            steps=np.cumsum([turn.steps for turn in plan])[ends],
            evaluations=np.cumsum([turn.evaluations for turn in plan])[ends],
            records=[record.select(slice(n_images)) for record in state.records],
            agreements=[one.select(slice(n_images)) for one in state.agreements],
        )

    @staticmethod
    def _refuse(what: str, step: int) -> None:
        raise FloatingPointError(
            f"{what} at step {step}; see docs/troubleshooting.md, 'non-finite values'"
        )


def _require_images(references: Tensor, image_ids: Sequence[str]) -> None:
    met = f"the references are {references.dtype} of shape {tuple(references.shape)}"
    if references.dim() != 4 or references.dtype != torch.float32:
        raise ValueError(f"{met}; expected float32 of shape (n, 3, height, width), in [0, 1]")
    if not len(references) or len(references) != len(image_ids):
        raise ValueError(f"{met}, with {len(image_ids)} ids; each image needs one")
    low, high = references.min(), references.max()
    if not bool((low >= 0) & (high <= 1)):
        raise ValueError(f"{met}, from {float(low)} to {float(high)}; pixels lie in [0, 1]")


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


def _lay_out(state: State, references: Tensor, optimizer: Optimizer) -> None:
    """Bring a state onto the device, in the references' memory format; begin what is not begun."""
    state.images = _laid_out_as(references, state.images)
    memory = state.memory or optimizer.begin(state.images)
    state.memory = {
        name: _laid_out_as(references, kept)
        if kept.shape == references.shape
        else kept.to(references.device)
        for name, kept in memory.items()
    }


def _ends_pass(turns_done: int, plan: Sequence[Turn], n_models: int) -> bool:
    """Return whether each model has had as many turns, or no turn is left."""
    alone = len(plan[turns_done - 1].models) == 1
    return turns_done == len(plan) or turns_done % (n_models if alone else 1) == 0


def _objectives(
    features: Mapping[str, Activations],
    references: Tensor,
    places: Mapping[str, Placement],
    graphs: Collection[str],
    stop: Callable[[], bool],
    chunk_size: int,
) -> Iterator[ModelObjective]:
    for name, function in features.items():
        _raise_if_stopped(stop)
        target = ModelObjective.prepare(
            function, references, places.get(name, "device"), chunk_size
        )
        yield capture_gradient(target) if name in graphs else target


def _raise_if_stopped(stop: Callable[[], bool]) -> None:
    if stop():
        raise Interrupted("asked to stop: the progress is that of the last whole turn")


def _read_back(losses: Tensor, sums: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return both as arrays, fetched from the device at once."""
    both = torch.cat([losses.flatten(), sums]).cpu().numpy()
    return both[: losses.numel()].reshape(losses.shape), both[losses.numel() :]


def _length(assignment: Assignment, n_images: int) -> int:
    return n_images if assignment.rows is None else len(assignment.rows)
