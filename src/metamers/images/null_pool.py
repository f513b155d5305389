"""Unrelated images that no metamer is made of: what its success is held against.

Feather et al. (2023) keep a metamer only if its activations are closer to its reference's than
those of any pair of a pool of other images. Section ``null_pool`` of the configuration says
where the pool comes from and how many images it has. This module can be imported without torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metamers.images import sources
from metamers.images.errors import ImagesError
from metamers.images.preprocessing import Preprocessing
from metamers.images.references import Reference, digest_of, read_squares
from metamers.images.sampling import draw
from metamers.images.sources import Candidate

NAME = "null_pool"
PACKAGE = "scikit-image"
FEWEST = 2  # photographs, to have a pair


def check(config: Mapping[str, Any]) -> list[str]:
    """Return what keeps the pool from being made, without opening an image."""
    try:
        photographs(config)
    except ImagesError as error:
        return list(error.problems)
    return []


def contents(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the number of the pool's photographs, and one sha256 of them all.

    Raises
    ------
    ImagesError, UnreadableImageError
        If they cannot be had.
    """
    return digest_of(photographs(config))


def photographs(config: Mapping[str, Any]) -> list[Candidate]:
    """Return the photographs of the pool, at most as many as it is to have images.

    Parameters
    ----------
    config
        The sections ``null_pool``, ``data``, ``references``, ``experiments`` and ``seed``.

    Raises
    ------
    ImagesError
        If there are fewer than two.
    """
    found = _candidates(config)
    if len(found) < FEWEST:
        raise ImagesError(
            [
                f"the source has {len(found)} photographs that are not references; at least "
                f"{FEWEST} are needed. 'null_pool.source: package' takes those of {PACKAGE}"
            ]
        )
    number = min(config["null_pool"]["images"], len(found))
    return draw(found, {"limit": number}, config["seed"], NAME)


def prepare(config: Mapping[str, Any]) -> tuple[list[Reference], NDArray[np.uint8]]:
    """Read the pool.

    Where the source has fewer photographs than the pool is to have images, each gives several
    crops, as many as needed; pairs of one photograph count for nothing.

    Returns
    -------
    The manifest, and images of shape (n, 3, size, size), RGB.
    """
    chosen = photographs(config)
    crops = -(-config["null_pool"]["images"] // len(chosen))
    settings = Preprocessing.of(config["preprocessing"])
    return read_squares(chosen, settings, NAME, crops if crops > 1 else None, config["seed"])


def _candidates(config: Mapping[str, Any]) -> list[Candidate]:
    if config["null_pool"]["source"] == "package":
        return sources.packaged("null_pool_images.csv", PACKAGE, "skimage/data")
    found = sources.candidates(config["data"])
    used = {e["references"] for e in config["experiments"].values() if e is not None}
    taken = {
        image.image_id
        for name in used
        for image in draw(found, config["references"][name], config["seed"], name)
    }
    return [image for image in found if image.image_id not in taken]
