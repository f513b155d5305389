"""The set that the pixels are kept in (the projection of section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import torch
from torch import Tensor


@dataclass(frozen=True)
class Bound:
    """A ball of images.

    Attributes
    ----------
    norm
        ``linf`` or ``l2``, over the pixels of one image.
    center
        ``initial``: around the image that synthesis starts from; ``reference``.
    radius
        In units of pixel values in [0, 1].
    """

    norm: Literal["linf", "l2"]
    center: Literal["initial", "reference"]
    radius: float

    @classmethod
    def of(cls, row: dict[str, Any]) -> Bound:
        """Read a bound of the configuration, whose radius may be a fraction such as 8/255."""
        return cls(row["norm"], row["center"], float(Fraction(str(row["radius"]))))

    def around(self, initial: Tensor, references: Tensor) -> Tensor:
        """Return the centres of the balls, one per image."""
        return initial if self.center == "initial" else references

    def is_idle(self, pixel_range: tuple[float, float] | None, n_pixels: int) -> bool:
        """Return whether every image in the pixel range lies in the ball anyway."""
        if pixel_range is None:
            return False
        span = pixel_range[1] - pixel_range[0]
        return self.radius >= (span if self.norm == "linf" else span * n_pixels**0.5)

    def project_(self, images: Tensor, centers: Tensor) -> Tensor:
        """Move each image to the nearest point of its ball, in place, and return them.

        ``images`` and ``centers`` are ``(batch, 3, height, width)``.
        """
        if self.norm == "linf":
            return images.clamp_(centers - self.radius, centers + self.radius)
        offsets = images - centers
        lengths = torch.linalg.vector_norm(torch.flatten(offsets, 1), dim=1)
        factors = (self.radius / lengths.clamp_min(1e-12)).clamp_max(1.0)
        return images.copy_(centers + offsets * factors.view(-1, 1, 1, 1))
