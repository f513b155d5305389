"""Reference images: drawn from a source, read as squares of 8-bit RGB, stored.

Everywhere else images are floats in [0, 1]; what is stored and evaluated is the 8-bit image.
This module can be imported without torch, which only `load` and what takes tensors need.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metamers import seals
from metamers.files import write_atomically
from metamers.images import crops
from metamers.images.classes import wnids
from metamers.images.errors import ImagesError, UnreadableImageError
from metamers.images.preprocessing import Preprocessing, center_crop, read_bytes, window_crop
from metamers.images.sampling import draw
from metamers.images.sources import Candidate, candidates

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Reference:
    """A row of the manifest: the table `references` of `metamers.storage.raw_tables`.

    Attributes
    ----------
    references
        The named draw.
    label, wnid, category
        Class index 0..999, its WordNet id and its 16-way category; ``None`` where unknown.
    source, sha256
        The file, relative to its source, and the hash of its bytes.
    crop
        How it became a square image: the middle of a photograph, or one of several crops.
    """

    references: str
    image_id: str
    label: int | None
    wnid: str | None
    category: str | None
    source: str
    sha256: str
    crop: str


def check(
    data: Mapping[str, Any], draws: Mapping[str, Mapping[str, Any]], seed: int = 0
) -> list[str]:
    """Return what keeps the named draws from being made, without opening an image.

    Parameters
    ----------
    data
        Section ``data`` of the configuration.
    draws
        Section ``references``: named draws.
    seed
        Any; whether there are enough images does not depend on it.

    Returns
    -------
    Sentences that say what was met and what was expected; empty where nothing is wrong.
    """
    try:
        found = candidates(data)
    except ImagesError as error:
        return list(error.problems)
    problems: list[str] = []
    for name, settings in draws.items():
        try:
            draw(found, settings, seed, name)
        except ImagesError as error:
            problems += error.problems
    return problems


def prepare(
    data: Mapping[str, Any],
    preprocessing: Mapping[str, Any],
    name: str,
    draw_settings: Mapping[str, Any],
    seed: int,
) -> tuple[list[Reference], NDArray[np.uint8]]:
    """Draw the reference images of one named draw and read them.

    With ``crops_per_image: n`` in the draw, each photograph gives n images, different squares of
    it (`metamers.images.crops`); otherwise one, its middle.

    Parameters
    ----------
    data, preprocessing
        The sections of the configuration.
    name, draw_settings
        The named draw: a key of section ``references`` and its value.
    seed
        The run's seed.

    Returns
    -------
    The manifest, in the order of the image ids, and the images in that order, shape
    (n, 3, size, size), RGB.

    Raises
    ------
    ImagesError
        If images are missing or cannot be used: all of them, by name, in one error.
    """
    drawn = draw(candidates(data), draw_settings, seed, name)
    number = draw_settings.get("crops_per_image")
    return read_squares(drawn, Preprocessing.of(preprocessing), name, number, seed)


def read_squares(
    drawn: Iterable[Candidate], settings: Preprocessing, name: str, number: int | None, seed: int
) -> tuple[list[Reference], NDArray[np.uint8]]:
    """Read images as `prepare` does: each as its middle, or as a number of crops."""
    rows, squares, problems = [], [], []
    for image in drawn:
        try:
            content = _content(image)
            if number is None:
                made = {image.image_id: center_crop(content, settings, str(image.path))}
            else:
                made = _crops(image, content, settings, number, seed)
        except UnreadableImageError as error:
            problems.append(str(error))
        else:
            rows += [_row(image, name, content, key, note) for key, (_, note) in made.items()]
            squares += [square for square, _ in made.values()]
    if problems:
        raise ImagesError(problems)
    return rows, np.stack(squares)


def contents(
    data: Mapping[str, Any], name: str, draw_settings: Mapping[str, Any], seed: int
) -> dict[str, Any]:
    """Return the number of photographs that a named draw takes, and one sha256 of them all.

    In it are each photograph's id, name, label and bytes, not where the source lies. The
    parameters are those of `prepare`.

    Raises
    ------
    ImagesError
        If the source or the draw cannot be had.
    UnreadableImageError
        If a photograph cannot be read.
    """
    return digest_of(draw(candidates(data), draw_settings, seed, name))


def digest_of(drawn: Iterable[Candidate]) -> dict[str, Any]:
    """Return the number of some photographs, and one sha256 of them all, as `contents` does."""
    rows = [
        [
            image.image_id,
            image.source,
            image.label,
            hashlib.sha256(read_bytes(image.path)).hexdigest(),
        ]
        for image in drawn
    ]
    digest = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
    return {"number": len(rows), "sha256": digest}


def save(path: str | Path, ids: Sequence[str], pixels: NDArray[np.uint8]) -> None:
    """Write images and their ids into a safetensors file, whole or not at all.

    Parameters
    ----------
    ids
        One for each image, none twice.
    pixels
        Shape (n, 3, side, side), 8-bit.

    Raises
    ------
    ValueError
        If the shape or type is another, or the ids do not fit.
    """
    from safetensors.numpy import save as serialized

    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1] != 3:
        raise ValueError(
            f"{path}: images are {pixels.dtype} of shape {pixels.shape}; "
            "expected uint8 (n, 3, side, side)"
        )
    if len(ids) != len(pixels) or len(set(ids)) != len(ids):
        raise ValueError(f"{path}: {len(set(ids))} different ids for {len(pixels)} images")
    metadata = {"image_ids": json.dumps(list(ids), ensure_ascii=False)}
    content = serialized({"pixels": np.ascontiguousarray(pixels)}, metadata)
    write_atomically(path, seals.sealed_safetensors(content, path))
    seals.seal(path)


def load(path: str | Path) -> tuple[list[str], Tensor]:
    """Return the ids and images of a file that `save` wrote; uint8, (n, 3, side, side).

    Raises
    ------
    ValueError
        If the file was not written by `save`.
    """
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        if "image_ids" not in metadata or list(file.keys()) != ["pixels"]:
            raise ValueError(
                f"{path}: has {list(file.keys())} and {sorted(metadata)}; expected 'pixels' and "
                "'image_ids', as metamers.images.references.save writes them"
            )
        return json.loads(metadata["image_ids"]), file.get_tensor("pixels")


def _content(image: Candidate) -> bytes:
    content = read_bytes(image.path)
    sha256 = hashlib.sha256(content).hexdigest()
    if image.sha256 not in (None, sha256):
        raise UnreadableImageError(f"{image.path}: sha256 is {sha256}, expected {image.sha256}")
    return content


def _crops(
    image: Candidate, content: bytes, settings: Preprocessing, number: int, seed: int
) -> dict[str, tuple[NDArray[np.uint8], str]]:
    """Return crops of a photograph, and how each was made, by their ids."""
    return {
        crops.crop_id(image.image_id, index): window_crop(
            content, settings, crops.window(image.image_id, index, seed), str(image.path)
        )
        for index in range(number)
    }


def _row(image: Candidate, draw_name: str, content: bytes, image_id: str, crop: str) -> Reference:
    return Reference(
        references=draw_name,
        image_id=image_id,
        label=image.label,
        wnid=None if image.label is None else wnids()[image.label],
        category=image.category,
        source=image.source,
        sha256=hashlib.sha256(content).hexdigest(),
        crop=crop,
    )
