"""How the gradients of images become their steps: one optimizer for each image of a batch."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from metamers.synthesis.chunks import CHUNK_SIZE
from metamers.synthesis.lbfgs import ProjectedLBFGS
from metamers.synthesis.objective import Evaluation
from metamers.synthesis.projected_step import ProjectedStep
from metamers.synthesis.settings import Bound, SynthesisSettings


class Optimizer(Protocol):
    """What the solver asks of an optimizer.

    What it keeps from step to step are tensors by name whose first dimension is the batch, so
    that an image takes its own along into another batch, and into a checkpoint.
    """

    @property
    def squared(self) -> bool:
        """Whether the gradients are those of the losses' squares."""

    def begin(self, images: Tensor) -> dict[str, Tensor]:
        """Return what is kept of each image before the first step."""

    def step_(
        self,
        images: Tensor,
        evaluation: Evaluation,
        rate: float,
        step: int,
        memory: dict[str, Tensor],
    ) -> None:
        """Put the images that are evaluated next in the place of those that were."""

    def solution(self, images: Tensor, memory: dict[str, Tensor]) -> Tensor:
        """Return the best that the steps have come to."""


def prepare(
    settings: SynthesisSettings, bound: Bound, centers: Tensor, chunk_size: int = CHUNK_SIZE
) -> Optimizer:
    """Return the optimizer of a recipe within a bound around some centres, one per image.

    Raises
    ------
    ValueError
        If it does not go with the bound.
    """
    if settings.optimizer == "lbfgs":
        return ProjectedLBFGS.of(settings, bound, centers)
    return ProjectedStep.of(settings, bound, centers, chunk_size)
