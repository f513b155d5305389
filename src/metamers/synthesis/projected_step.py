"""The step of Algorithm 1: against the gradient or its running mean, and back into the bound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from metamers.synthesis.chunks import CHUNK_SIZE
from metamers.synthesis.objective import Evaluation
from metamers.synthesis.settings import GRADIENTS, Bound, SynthesisSettings
from metamers.synthesis.smoothing import smooth_

MOMENTUM = 0.9
BETAS = 0.9, 0.99  # of Adam: decay of the mean, and of the mean square
EPSILON = 1e-8


@dataclass(frozen=True)
class ProjectedStep:
    """A step, with all of it that is the same for every step of a batch.

    Attributes
    ----------
    rule
        How the gradient becomes a direction (`direction_`).
    interval
        Lowest and highest value: of all pixels, or of each; None: they are free.
    ball
        Centres and radius of the l2 ball, where the bound is one and binds.
    optimizer
        How the directions become steps (`UPDATES`).
    chunk_size
        Images of a chunk.
    """

    rule: str
    interval: tuple[Any, Any] | None
    ball: tuple[Tensor, float] | None = None
    optimizer: str = "sgd"
    chunk_size: int = CHUNK_SIZE

    squared = False

    @classmethod
    def of(
        cls,
        settings: SynthesisSettings,
        bound: Bound,
        centers: Tensor,
        chunk_size: int = CHUNK_SIZE,
    ) -> ProjectedStep:
        """Return the step of a recipe within a bound.

        Parameters
        ----------
        settings
            Whose ``optimizer``, ``gradient`` and ``pixel_range`` are used.
        bound
            The set that pixels are kept in.
        centers
            Its centres, ``(batch, 3, height, width)``.
        chunk_size
            Images of a chunk.
        """
        interval = pixel_interval(settings, bound, centers)
        binds = bound.norm == "l2" and not bound.is_idle(settings.pixel_range, centers[0].numel())
        ball = (centers, bound.radius) if binds else None
        return cls(settings.gradient, interval, ball, settings.optimizer, chunk_size)

    def begin(self, images: Tensor) -> dict[str, Tensor]:
        """Return what the optimizer keeps of each image, before the first step."""
        return {name: torch.zeros_like(images) for name in KEPT[self.optimizer]}

    def step_(
        self,
        images: Tensor,
        evaluation: Evaluation,
        rate: float,
        step: int,
        memory: dict[str, Tensor],
    ) -> None:
        """Move the images against the gradient, in place, and project them.

        The memory of the gradient is used up, and that of the optimizer brought up to date.

        Parameters
        ----------
        images
            ``(batch, 3, height, width)``.
        evaluation
            The losses of the images and their gradient.
        rate
            Learning rate.
        step
            Steps that were done before.
        memory
            What the optimizer keeps (`begin`).
        """
        direction = direction_(self.rule, evaluation.gradient, self.chunk_size)
        direction = UPDATES[self.optimizer](direction, step, memory)
        self.project_(images.sub_(direction, alpha=rate))

    def solution(self, images: Tensor, memory: dict[str, Tensor]) -> Tensor:
        """Return the images that the steps have come to."""
        return images

    def project_(self, images: Tensor) -> Tensor:
        """Move the images into the bound and the pixel range, in place, and return them."""
        if self.ball is not None:
            project_onto_l2_balls_(images, *self.ball)
        return images if self.interval is None else images.clamp_(*self.interval)


def pixel_interval(
    settings: SynthesisSettings, bound: Bound, centers: Tensor
) -> tuple[Any, Any] | None:
    """Return the lowest and the highest value that the pixel range and an linf bound leave.

    Numbers, or one for each pixel, ``(batch, 3, height, width)``; None if pixels are free.
    """
    pixel_range = settings.pixel_range
    if bound.norm == "l2" or bound.is_idle(pixel_range, centers[0].numel()):
        return pixel_range
    # Clamping to one interval and then to another is clamping to the first, clamped.
    lowest, highest = centers - bound.radius, centers + bound.radius
    if pixel_range is not None:
        lowest.clamp_(*pixel_range)
        highest.clamp_(*pixel_range)
    return lowest, highest


def project_onto_l2_balls_(images: Tensor, centers: Tensor, radius: float) -> Tensor:
    """Move each image to the nearest point of its ball, in place, and return them.

    ``images`` and ``centers`` are ``(batch, 3, height, width)``.
    """
    offsets = images - centers
    lengths = torch.linalg.vector_norm(torch.flatten(offsets, 1), dim=1)
    factors = (radius / lengths.clamp_min(1e-12)).clamp_max(1.0)
    return images.copy_(centers + offsets * factors.view(-1, 1, 1, 1))


def direction_(rule: str, gradient: Tensor, chunk_size: int = CHUNK_SIZE) -> Tensor:
    """Turn the gradient of each image's loss into the direction of a step, in place.

    ``raw``: the gradient. ``l2_normalised``: over its norm per image, plus 1e-10 as in
    Feather et al. 2023. ``rms_normalised``: over the root of its mean square, so that the rate is
    the root mean square change of a pixel, whatever the image's size. ``smoothed``: the same after
    its high frequencies were damped (`metamers.synthesis.smoothing`). ``sign``: its sign.

    Raises
    ------
    ValueError
        If the rule is none of these.
    """
    if rule == "raw":
        return gradient
    if rule == "smoothed":
        return direction_("rms_normalised", smooth_(gradient, chunk_size))
    if rule in ("l2_normalised", "rms_normalised"):
        lengths = torch.linalg.vector_norm(gradient, dim=(1, 2, 3), keepdim=True)
        if rule == "rms_normalised":
            lengths.div_(gradient[0].numel() ** 0.5)
        return gradient.div_(lengths.add_(1e-10))
    if rule == "sign":
        return gradient.sign_()
    raise ValueError(f"the gradient rule {rule!r} is not known; known are {', '.join(GRADIENTS)}")


def sgd(direction: Tensor, step: int, memory: dict[str, Tensor]) -> Tensor:
    """Return the direction itself: the step of Algorithm 1."""
    return direction


def nesterov(direction: Tensor, step: int, memory: dict[str, Tensor]) -> Tensor:
    """Return Nesterov's step ahead of the running sum of directions (as `torch.optim.SGD`)."""
    velocity = memory["velocity"].mul_(MOMENTUM).add_(direction)
    return direction.add_(velocity, alpha=MOMENTUM)


def adam(direction: Tensor, step: int, memory: dict[str, Tensor]) -> Tensor:
    """Return the running mean over the root of the running mean square (as `torch.optim.Adam`)."""
    mean = memory["mean"].lerp_(direction, 1 - BETAS[0])
    square = memory["square"].mul_(BETAS[1]).addcmul_(direction, direction, value=1 - BETAS[1])
    unbiased_mean, unbiased_square = (1 - beta ** (step + 1) for beta in BETAS)
    return (mean / unbiased_mean).div_((square / unbiased_square).sqrt_().add_(EPSILON))


UPDATES: dict[str, Callable[[Tensor, int, dict[str, Tensor]], Tensor]] = {
    "sgd": sgd,
    "nesterov": nesterov,
    "adam": adam,
}
KEPT: dict[str, tuple[str, ...]] = {
    "sgd": (),
    "nesterov": ("velocity",),
    "adam": ("mean", "square"),
}
