"""Ensemble metamers by projected gradient descent (Algorithm 1 of the paper)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from metamers.synthesis import initializers, optimizers, schedules
from metamers.synthesis.batch_solver import (
    BatchSolver,
    Interrupted,
    raise_if_stopped,
    rounded,
    to_8_bits,
)
from metamers.synthesis.chunks import CHUNK_SIZE, pad, padded_rows
from metamers.synthesis.cuda_graph import capture_gradient
from metamers.synthesis.objective import Activations, ModelObjective, Placement
from metamers.synthesis.optimizers import Optimizer
from metamers.synthesis.settings import Bound, SynthesisSettings, Turn, turns
from metamers.synthesis.state import State, Synthesis

__all__ = ["Interrupted", "rounded", "synthesize", "to_8_bits"]


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

    def prepare(rows: np.ndarray) -> BatchSolver:
        """Return the solver of some of the images: those that go on, or all."""
        chosen = torch.from_numpy(rows).to(references.device)
        objectives = _objectives(
            features, references[chosen], places or {}, graphs, stop, chunk_size
        )
        optimizer = optimizers.prepare(settings, bound, centers[chosen], chunk_size)
        return BatchSolver(list(objectives), optimizer, list(features), [ids[row] for row in rows])

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
        raise_if_stopped(stop)
        target = ModelObjective.prepare(
            function, references, places.get(name, "device"), chunk_size
        )
        yield capture_gradient(target) if name in graphs else target
