"""The step of Algorithm 1: against the gradient, and back into the bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from metamers.synthesis.bounds import Bound
from metamers.synthesis.settings import GRADIENTS, SynthesisSettings


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
        An l2 ball and its centres, where the bound is one and binds.
    """

    rule: str
    interval: tuple[Any, Any] | None
    ball: tuple[Bound, Tensor] | None = None

    @classmethod
    def of(cls, settings: SynthesisSettings, bound: Bound, centers: Tensor) -> ProjectedStep:
        """Return the step of a recipe within a bound.

        Parameters
        ----------
        settings
            Whose ``gradient`` and ``pixel_range`` are used.
        bound
            The set that pixels are kept in.
        centers
            Its centres, ``(batch, 3, height, width)``.
        """
        pixel_range = settings.pixel_range
        if bound.is_idle(pixel_range, centers[0].numel()):
            return cls(settings.gradient, pixel_range)
        if bound.norm == "l2":
            return cls(settings.gradient, pixel_range, (bound, centers))
        # Clamping to one interval and then to another is clamping to the first, clamped.
        lowest, highest = centers - bound.radius, centers + bound.radius
        if pixel_range is not None:
            lowest.clamp_(*pixel_range)
            highest.clamp_(*pixel_range)
        return cls(settings.gradient, (lowest, highest))

    def step_(self, images: Tensor, gradient: Tensor, rate: float) -> None:
        """Move the images against the gradient, in place, and project them.

        The memory of the gradient is used up.
        """
        images.sub_(direction_(self.rule, gradient), alpha=rate)
        if self.ball is not None:
            bound, centers = self.ball
            bound.project_(images, centers)
        if self.interval is not None:
            low, high = self.interval
            images.clamp_(low, high)


def direction_(rule: str, gradient: Tensor) -> Tensor:
    """Turn the gradient of each image's loss into the direction of a step, in place.

    ``raw``: the gradient. ``l2_normalised``: over its norm per image, plus 1e-10 as in
    Feather et al. 2023. ``sign``: its sign.

    Raises
    ------
    ValueError
        If the rule is none of these.
    """
    if rule == "raw":
        return gradient
    if rule == "l2_normalised":
        lengths = torch.linalg.vector_norm(gradient, dim=(1, 2, 3), keepdim=True)
        return gradient.div_(lengths.add_(1e-10))
    if rule == "sign":
        return gradient.sign_()
    raise ValueError(f"the gradient rule {rule!r} is not known; known are {', '.join(GRADIENTS)}")
