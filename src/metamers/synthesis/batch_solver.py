"""The synthesis of one batch: its turns, whether their losses are sound, and what comes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from metamers.synthesis import gradient_agreement
from metamers.synthesis.gradient_agreement import Agreement
from metamers.synthesis.objective import (
    Assignment,
    ModelObjective,
    Workspace,
    combined_gradient,
    worst_model_assignments,
)
from metamers.synthesis.optimizers import Optimizer
from metamers.synthesis.settings import Turn
from metamers.synthesis.state import Record, State, Synthesis


def to_8_bits(images: Tensor) -> Tensor:
    """Return images in [0, 1] as the nearest 8-bit values, ``uint8``."""
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


def rounded(images: Tensor) -> Tensor:
    """Return images in [0, 1] as their 8-bit values are, in the same layout and type."""
    return to_8_bits(images).to(images) / 255


class Interrupted(Exception):  # noqa: N818  (a request that was obeyed, not an error)
    """Synthesis was asked to stop; the state is that of the last whole turn."""


def raise_if_stopped(stop: Callable[[], bool]) -> None:
    """Raise `Interrupted` if it says so."""
    if stop():
        raise Interrupted("asked to stop: the progress is that of the last whole turn")


@dataclass(frozen=True)
class BatchSolver:
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
        workspace = Workspace.allocate(assignments, state.images)
        images, losses = state.images.clone(), []
        memory = {name: kept.clone() for name, kept in state.memory.items()}
        for step in range(turn.first_step, turn.first_step + turn.steps):
            evaluation = combined_gradient(assignments, images, workspace, self.optimizer.squared)
            self.optimizer.step_(images, evaluation, rate, step, memory)
            losses.append(torch.cat(evaluation.losses))
            raise_if_stopped(stop)
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
                raise_if_stopped(stop)
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


def _read_back(losses: Tensor, sums: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return both as arrays, fetched from the device at once."""
    both = torch.cat([losses.flatten(), sums]).cpu().numpy()
    return both[: losses.numel()].reshape(losses.shape), both[losses.numel() :]


def _length(assignment: Assignment, n_images: int) -> int:
    return n_images if assignment.rows is None else len(assignment.rows)
