"""What each measure is: the card that tables, figures and documentation take it from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Measure:
    """One image metric.

    Attributes
    ----------
    name
        Its name in tables.
    label
        Its name in figures.
    better
        Direction of a better image: ``up``, ``down``, or ``neither``.
    unit, range
        Unit and range of its values, in words.
    per_image
        Whether it is one number per image; otherwise one per set of images.
    weights
        Weights that it needs and that no package of the lock carries; empty if none.
    source
        The definition, and the library that computes it.
    """

    name: str
    label: str
    better: Literal["up", "down", "neither"]
    unit: str
    range: str
    per_image: bool
    source: str
    weights: str = ""
