"""Which images of a source a named draw takes: section ``references`` of the configuration."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from metamers.images.classes import CATEGORIES, wnids
from metamers.images.errors import ImagesError
from metamers.images.sources import Candidate

KEYS = ("categories", "per_class", "limit", "crops_per_image")


def draw(
    images: Iterable[Candidate], settings: Mapping[str, Any], seed: int, name: str = "draw"
) -> list[Candidate]:
    """Return the images of a named draw, in the order of their ids.

    Each image has a rank, the hash of the seed and its id, and a class gives its first ones.
    So the draw depends neither on the order of the images nor on other classes, and with one
    seed a smaller draw is a part of a larger one.

    Parameters
    ----------
    images
        What `candidates` returned.
    settings
        Nothing: all images. ``per_class: n``: n of each label, or with ``categories: 16`` of
        each of the 16 categories. ``categories: 16`` alone: all images that have a category.
        ``limit: n``: n in all. ``crops_per_image`` changes nothing here: what is drawn are
        photographs (`metamers.images.references.prepare` crops them).
    seed
        The run's seed.
    name
        Name of the draw, for errors.

    Raises
    ------
    ImagesError
        If there are not enough images: each class with the number met and wanted.
    """
    _refuse_settings(settings, name)
    groups = _groups(images, settings)
    number = settings.get("per_class", settings.get("limit"))
    problems = [
        f"references.{name}: {group} has {len(members)} images, wanted {number or 'at least 1'}"
        for group, members in groups.items()
        if len(members) < (number or 1)
    ]
    if problems:
        raise ImagesError(problems)
    drawn: list[Candidate] = []
    for members in groups.values():
        drawn += sorted(members, key=lambda image: _rank(image.image_id, seed))[:number]
    return sorted(drawn, key=lambda image: image.image_id)


def _groups(images: Iterable[Candidate], settings: Mapping[str, Any]) -> dict[str, list[Candidate]]:
    """Return the images that one number is drawn from, by what an error calls them."""
    sixteen = "categories" in settings
    if "per_class" not in settings:
        kind = "the source, of images in the 16 categories," if sixteen else "the source"
        return {kind: [image for image in images if image.category or not sixteen]}
    groups: dict[str, list[Candidate]] = {f"class {c!r}": [] for c in CATEGORIES if sixteen}
    for image in images:
        if sixteen and image.category is not None:
            groups[f"class {image.category!r}"].append(image)
        elif not sixteen and image.label is not None:
            known = f"class {image.label} ({wnids()[image.label]})"
            groups.setdefault(known, []).append(image)
    return groups or {"the source, of images with a label,": []}


def _rank(image_id: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}/{image_id}".encode()).digest()


def _refuse_settings(settings: Mapping[str, Any], name: str) -> None:
    problems = [
        f"references.{name}.{key} is not a key; keys are {', '.join(KEYS)}"
        for key in settings
        if key not in KEYS
    ]
    if settings.get("categories", 16) != 16:
        problems.append(
            f"references.{name}.categories is {settings['categories']!r}; allowed is 16"
        )
    for key in ("per_class", "limit", "crops_per_image"):
        value = settings.get(key, 1)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            problems.append(f"references.{name}.{key} is {value!r}; expected a number from 1")
    if "per_class" in settings and "limit" in settings:
        problems.append(f"references.{name} has per_class and limit; only one can hold")
    if problems:
        raise ImagesError(problems)
