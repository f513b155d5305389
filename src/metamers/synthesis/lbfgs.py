"""L-BFGS within bounds, each image for itself.

Neither torch's nor scipy's L-BFGS can be used for each image of a batch: both have one history and
one step length for all that they optimise, and their line searches ask on the host after each
evaluation how long the next step is to be. Here a step is one evaluation of the whole batch, after
which each image either takes its step or halves it, by masks: nothing is read back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from metamers.synthesis.objective import Evaluation
from metamers.synthesis.projected_step import pixel_interval
from metamers.synthesis.settings import Bound, SynthesisSettings

HISTORY = 10  # pairs that are kept (Liu and Nocedal 1989 find 3 to 20 useful)
SUFFICIENT_DECREASE = 1e-4  # Nocedal and Wright 2006, section 3.1
TRIES = 10  # halvings of a step after which the history is dropped
LEAST_CURVATURE = 1e-10  # s.y over y.y below which a pair is not kept


@dataclass(frozen=True)
class ProjectedLBFGS:
    """Quasi-Newton steps on the mean of the members' squared losses.

    The direction is that of L-BFGS (Nocedal and Wright 2006, algorithm 7.4) in the pixels that are
    free: those that do not lie at an end of their interval with the gradient pointing outwards.
    A step starts at full length, without history at the length of the learning rate, and is halved
    until the objective has fallen enough; a halved step is an evaluation like any other.

    Attributes
    ----------
    interval
        Lowest and highest value: of all pixels, or of each, ``(batch, pixels)``; None: they are
        free.
    """

    interval: tuple[Any, Any] | None

    squared = True

    @classmethod
    def of(cls, settings: SynthesisSettings, bound: Bound, centers: Tensor) -> ProjectedLBFGS:
        """Return the optimizer of a recipe within a bound.

        Raises
        ------
        ValueError
            If the bound is an l2 ball that binds: its active set is no set of pixels.
        """
        if bound.norm == "l2" and not bound.is_idle(settings.pixel_range, centers[0].numel()):
            raise ValueError("the optimizer 'lbfgs' needs a bound in linf, or none; met is l2")
        interval = pixel_interval(settings, bound, centers)
        if interval is not None and isinstance(interval[0], Tensor):
            interval = interval[0].flatten(1), interval[1].flatten(1)
        return cls(interval)

    def begin(self, images: Tensor) -> dict[str, Tensor]:
        """Return what is kept of each image before the first step, ``(batch, …)`` each.

        ``point``, ``slope`` and ``value``: the image that was accepted last, its gradient and
        objective; ``length``: of the step that is tried; ``tries``: its halvings. ``moves`` and
        ``changes``: differences of images and of gradients, in a ring of which ``pairs`` says how
        many were ever written, and ``products`` their scalar products.
        """
        point = images.flatten(1).clone()
        n_images = len(point)
        ring = point.new_zeros(n_images, HISTORY, point.shape[1])
        return {
            "point": point,
            "slope": torch.zeros_like(point),
            "value": point.new_full((n_images,), float("inf")),
            "length": point.new_ones(n_images),
            "tries": torch.zeros(n_images, dtype=torch.int64, device=point.device),
            "moves": ring,
            "changes": ring.clone(),
            "products": point.new_zeros(n_images, HISTORY),
            "pairs": torch.zeros(n_images, dtype=torch.int64, device=point.device),
        }

    def step_(
        self,
        images: Tensor,
        evaluation: Evaluation,
        rate: float,
        step: int,
        memory: dict[str, Tensor],
    ) -> None:
        """Judge the images that were tried, and put the next ones in their place.

        Parameters
        ----------
        images
            ``(batch, 3, height, width)``.
        evaluation
            The losses of the images, and the gradient of the mean of their squares.
        rate
            Length of a step without history.
        step
            Steps that were done before.
        memory
            What is kept of each image (`begin`); brought up to date.
        """
        slope = evaluation.gradient.flatten(1)
        value = torch.stack(evaluation.losses).square().mean(0)
        self._judge_(images.flatten(1), slope, value, memory)
        direction = self._direction(rate, memory)
        trial = memory["point"] + memory["length"].unsqueeze(1) * direction
        if self.interval is not None:
            trial.clamp_(*self.interval)
        images.copy_(trial.view(images.shape))

    def solution(self, images: Tensor, memory: dict[str, Tensor]) -> Tensor:
        """Return the images that were accepted last; those in work are not evaluated yet."""
        return torch.empty_like(images).copy_(memory["point"].view(images.shape))

    @staticmethod
    def _judge_(images: Tensor, slope: Tensor, value: Tensor, memory: dict[str, Tensor]) -> None:
        """Take the steps whose objective has fallen enough, and halve the others."""
        moves, changes = images - memory["point"], slope - memory["slope"]
        expected = (memory["slope"] * moves).sum(1).clamp_max(0)
        accepted = value <= memory["value"] + SUFFICIENT_DECREASE * expected
        products = (moves * changes).sum(1)
        curved = products > LEAST_CURVATURE * changes.square().sum(1)
        _remember_(accepted & curved, moves, changes, products, memory)
        for name, new in (("point", images), ("slope", slope), ("value", value)):
            mask = accepted if new.dim() == 1 else accepted.unsqueeze(1)
            memory[name] = torch.where(mask, new, memory[name])
        tries = torch.where(accepted, 0, memory["tries"] + 1)
        stuck = (tries >= TRIES) & (memory["pairs"] > 0)
        fresh = accepted | stuck
        memory["pairs"] = torch.where(stuck, 0, memory["pairs"])
        memory["length"] = torch.where(fresh, 1.0, memory["length"] / 2)
        memory["tries"] = torch.where(fresh, 0, tries)

    def _direction(self, rate: float, memory: dict[str, Tensor]) -> Tensor:
        """Return where each image is to go from the point that was accepted last."""
        free = self._free(memory["point"], memory["slope"])
        direction = memory["slope"] * free
        rows = torch.arange(len(free), device=free.device)
        kept = []
        for back in range(HISTORY):  # newest first
            slots = (memory["pairs"] - 1 - back) % HISTORY
            move, change = memory["moves"][rows, slots], memory["changes"][rows, slots]
            product = memory["products"][rows, slots]
            weight = torch.where(back < memory["pairs"], 1 / product, 0.0)
            share = weight * (move * direction).sum(1)
            direction = direction - share.unsqueeze(1) * change
            kept.append((move, change, weight, share))
        direction = direction * self._scale(rate, free, kept[0], memory).unsqueeze(1)
        for move, change, weight, share in reversed(kept):
            correction = share - weight * (change * direction).sum(1)
            direction = direction + correction.unsqueeze(1) * move
        return direction.neg_().mul_(free)

    @staticmethod
    def _scale(
        rate: float, free: Tensor, newest: tuple[Tensor, ...], memory: dict[str, Tensor]
    ) -> Tensor:
        """Return the first guess of the inverse curvature; without one, a step of the rate."""
        move, change, *_ = newest
        curvature = (move * change).sum(1) / change.square().sum(1)
        steepest = rate / torch.linalg.vector_norm(memory["slope"] * free, dim=1).clamp_min(1e-20)
        return torch.where(memory["pairs"] > 0, curvature, steepest)

    def _free(self, point: Tensor, slope: Tensor) -> Tensor:
        """Return 1 for pixels that can move against the gradient, 0 for the others."""
        if self.interval is None:
            return torch.ones_like(point)
        low, high = self.interval
        held = ((point <= low) & (slope > 0)) | ((point >= high) & (slope < 0))
        return (~held).to(point.dtype)


def _remember_(
    kept: Tensor, moves: Tensor, changes: Tensor, products: Tensor, memory: dict[str, Tensor]
) -> None:
    """Write the pairs of some images over their oldest ones."""
    rows = torch.arange(len(kept), device=kept.device)
    slots = memory["pairs"] % HISTORY
    for name, new in (("moves", moves), ("changes", changes), ("products", products)):
        mask = kept if new.dim() == 1 else kept.unsqueeze(1)
        memory[name][rows, slots] = torch.where(mask, new, memory[name][rows, slots])
    memory["pairs"] = memory["pairs"] + kept
