"""The step of Algorithm 1: against the gradient, and back into the bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from metamers.synthesis.settings import GRADIENTS, Bound, SynthesisSettings


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
    """

    rule: str
    interval: tuple[Any, Any] | None
    ball: tuple[Tensor, float] | None = None

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
            return cls(settings.gradient, pixel_range, (centers, bound.radius))
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
        self.project_(images.sub_(direction_(self.rule, gradient), alpha=rate))

    def project_(self, images: Tensor) -> Tensor:
        """Move the images into the bound and the pixel range, in place, and return them."""
        if self.ball is not None:
            project_onto_l2_balls_(images, *self.ball)
        return images if self.interval is None else images.clamp_(*self.interval)


def project_onto_l2_balls_(images: Tensor, centers: Tensor, radius: float) -> Tensor:
    """Move each image to the nearest point of its ball, in place, and return them.

    ``images`` and ``centers`` are ``(batch, 3, height, width)``.
    """
    offsets = images - centers
    lengths = torch.linalg.vector_norm(torch.flatten(offsets, 1), dim=1)
    factors = (radius / lengths.clamp_min(1e-12)).clamp_max(1.0)
    return images.copy_(centers + offsets * factors.view(-1, 1, 1, 1))


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
