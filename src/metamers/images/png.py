"""Images as PNG files that carry their ids as names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def file_name(image_id: str) -> str:
    """Return the name of an image's file: its id, with ``/`` and ``%`` as in addresses."""
    return image_id.replace("%", "%25").replace("/", "%2F") + ".png"


def save(
    folder: Path, images: Iterable[tuple[str, NDArray[np.uint8]]]
) -> Iterator[tuple[str, Path]]:
    """Write images into a folder, and yield the id and the file of each as it is written.

    Parameters
    ----------
    images
        Ids, and pixels of shape (3, height, width).
    """
    folder.mkdir(parents=True, exist_ok=True)
    for image_id, pixels in images:
        path = folder / file_name(image_id)
        Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0))).save(path)
        yield image_id, path
