"""Several crops of a photograph as reference images, where photographs are few.

Crops of one photograph are not independent of each other. Their ids say which photograph they
are of; whatever resamples images resamples photographs, and distances between crops of one
photograph do not count as distances between images.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_ENDING = re.compile(r"#crop\d{3}$")
SIDES = (0.4, 0.9)
"""Least and largest side of a crop, as a share of the photograph's short side."""


@dataclass(frozen=True)
class Window:
    """Which square of a photograph a crop shows.

    Attributes
    ----------
    side
        Share of the short side, in `SIDES`.
    left, top
        Where it lies, from 0 (at the left, at the top) to 1 (at the right, at the bottom).
    """

    side: float
    left: float
    top: float


def crop_id(photograph: str, index: int) -> str:
    """Return the image id of a crop, ``<photograph>#crop<index>``."""
    return f"{photograph}#crop{index:03d}"


def is_crop(image_id: str) -> bool:
    """Return whether an image id is that of a crop."""
    return _ENDING.search(image_id) is not None


def photograph_of(image_id: str) -> str:
    """Return the photograph that an image is of: the image itself, if it is no crop."""
    return _ENDING.sub("", image_id)


def photographs(image_ids: Sequence[str]) -> NDArray[np.intp]:
    """Return a number for each image, from 0, which the crops of one photograph share."""
    names = [photograph_of(image_id) for image_id in image_ids]
    return np.unique(names, return_inverse=True)[1].astype(np.intp)


def window(photograph: str, index: int, seed: int) -> Window:
    """Return the square of a crop, drawn from the run's seed and the crop's id alone."""
    digest = hashlib.sha256(f"{seed}/{crop_id(photograph, index)}".encode()).digest()
    side, left, top = np.random.default_rng(int.from_bytes(digest, "big")).random(3).tolist()
    return Window(SIDES[0] + (SIDES[1] - SIDES[0]) * side, left, top)
