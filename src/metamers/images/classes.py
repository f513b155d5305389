"""The 1000 classes of ILSVRC-2012 and the 16 categories that Geirhos et al. map them to.

The table is ``data/imagenet_classes.csv``, which names its public sources. Classes are told
apart by index or WordNet id, never by name: 71 of the 1000 names mean more than one class.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

CATEGORIES = (
    "airplane",
    "bear",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "car",
    "cat",
    "chair",
    "clock",
    "dog",
    "elephant",
    "keyboard",
    "knife",
    "oven",
    "truck",
)
CLASSES = 1000


def read_package_table(file: str) -> list[dict[str, str]]:
    """Return the rows of a comma-separated file of `metamers.data`; lines with # are left out."""
    text = resources.files("metamers").joinpath("data", file).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines, strict=True))


@cache
def wnids() -> tuple[str, ...]:
    """Return the 1000 WordNet ids, in the order of the class indices."""
    return tuple(row["wnid"] for row in _table())


@cache
def index_of_wnid() -> dict[str, int]:
    """Return the class index of each of the 1000 WordNet ids."""
    return {wnid: index for index, wnid in enumerate(wnids())}


@cache
def class_names() -> tuple[str, ...]:
    """Return the first English name of each class (WordNet's, by way of timm), for people."""
    from timm.data import ImageNetInfo

    names = ImageNetInfo()
    return tuple(
        names.index_to_description(index, detailed=False).split(",")[0] for index in range(CLASSES)
    )


def class_name(index: int) -> str:
    """Return the name of a class, as `class_names` has it."""
    return class_names()[index]


def most_probable(
    probabilities: NDArray[np.floating],
) -> tuple[NDArray[np.intp], NDArray[np.floating]]:
    """Return the five most probable classes of each row and their probabilities, both (rows, 5).

    Of equals, the lower index first.

    Parameters
    ----------
    probabilities
        Shape (rows, classes).
    """
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :5]
    return best, np.take_along_axis(probabilities, best, axis=1)


def table() -> list[dict[str, int | str | None]]:
    """Return the rows of the table `classes`: index, WordNet id, name, category."""
    return [
        {
            "class": index,
            "wnid": row["wnid"],
            "name": class_name(index),
            "category": row["category"] or None,
        }
        for index, row in enumerate(_table())
    ]


def category_of(index: int) -> str | None:
    """Return the category of a class, or ``None`` for the 793 classes that have none.

    Raises
    ------
    ValueError
        If the index is not one of 0..999.
    """
    if not 0 <= index < CLASSES:
        raise ValueError(f"class index is {index!r}; ILSVRC-2012 has 0..{CLASSES - 1}")
    return _table()[index]["category"] or None


def membership() -> NDArray[np.bool_]:
    """Return which class belongs to which category, shape (16, 1000), rows as `CATEGORIES`."""
    categories = np.array([row["category"] for row in _table()])
    members: NDArray[np.bool_] = categories == np.array(CATEGORIES)[:, np.newaxis]
    return members


def mean_category(probabilities: NDArray[np.floating]) -> list[str]:
    """Return for each row the category whose classes have the largest mean probability.

    The rule of model-vs-human (Geirhos et al.). Categories of many classes are not favoured,
    as they would be by a sum: dog has 109 of the 207 classes. Of equals, the first by name.

    Parameters
    ----------
    probabilities
        Shape (n, 1000).

    Raises
    ------
    ValueError
        If the shape is another, or a value is not finite.
    """
    _refuse_strange(probabilities)
    members = membership()
    means = np.stack([probabilities[:, row].mean(axis=1, dtype=np.float64) for row in members], 1)
    return [CATEGORIES[best] for best in means.argmax(axis=1)]


def first_category(probabilities: NDArray[np.floating]) -> list[str]:
    """Return for each row the category of the most probable class that has one.

    The rule of Feather et al. (first class in order of probability that is mapped). Logits
    give the same answer. Of equals, the class of the lower index.

    Parameters
    ----------
    probabilities
        Shape (n, 1000).

    Raises
    ------
    ValueError
        If the shape is another, or a value is not finite.
    """
    _refuse_strange(probabilities)
    mapped = np.flatnonzero(membership().any(axis=0))
    best = mapped[probabilities[:, mapped].argmax(axis=1)]
    return [_table()[index]["category"] for index in best]


@cache
def _table() -> tuple[dict[str, str], ...]:
    return tuple(read_package_table("imagenet_classes.csv"))


def _refuse_strange(probabilities: NDArray[np.floating]) -> None:
    if probabilities.ndim != 2 or probabilities.shape[1] != CLASSES:
        raise ValueError(f"probabilities have shape {probabilities.shape}; expected (n, {CLASSES})")
    if not np.isfinite(probabilities).all():
        rows = np.flatnonzero(~np.isfinite(probabilities).all(axis=1))
        raise ValueError(f"probabilities of rows {rows.tolist()} are not all finite")
