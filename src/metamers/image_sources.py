"""Where reference images come from, and which of them are drawn. Opens no image.

Section ``data`` of the configuration names a source (docs/data.md); a named draw of section
``references`` picks images from it. A source gives candidates: a file, its name and its label.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from itertools import pairwise
from pathlib import Path
from typing import Any

from metamers import imagenet, labelled_files
from metamers.classes import CATEGORIES, category_of, read_package_table, wnids
from metamers.image_errors import ImagesError

EMBEDDED_PACKAGE = "foolbox"
DATA_KEYS = ("source", "path", "ground_truth", "synsets", "files")
DRAW_KEYS = ("categories", "per_class", "limit")


@dataclass(frozen=True)
class Candidate:
    """An image that a draw may take.

    Attributes
    ----------
    image_id
        Name of the image in every table; the same wherever the source lies.
    path
        The file.
    source
        The file as the manifest names it: relative to the source.
    label
        ILSVRC-2012 index, ``None`` where unknown.
    sha256
        Hash that the file must have, where that is known beforehand.
    """

    image_id: str
    path: Path
    source: str
    label: int | None = None
    sha256: str | None = None

    @property
    def category(self) -> str | None:
        """Return the 16-way category of the label, ``None`` where it has none."""
        return None if self.label is None else category_of(self.label)


def candidates(data: Mapping[str, Any]) -> list[Candidate]:
    """Return all images of the source, in the order of their ids.

    Parameters
    ----------
    data
        Section ``data`` of the configuration: ``source``, ``path``, ``ground_truth``,
        ``synsets``, ``files``.

    Raises
    ------
    ImagesError
        If the source is not there or not as its layout says; all that is wrong with it.
    """
    unknown = set(data) - set(DATA_KEYS)
    if unknown or data.get("source") not in SOURCES:
        raise ImagesError(
            [f"data.{key} is not a key; keys are {', '.join(DATA_KEYS)}" for key in sorted(unknown)]
            or [f"data.source is {data.get('source')!r}; allowed are {', '.join(SOURCES)}"]
        )
    found = sorted(SOURCES[data["source"]](data), key=lambda candidate: candidate.image_id)
    repeated = [
        f"{later.path}: gives the image id {later.image_id!r}, as {earlier.path} does"
        for earlier, later in pairwise(found)
        if earlier.image_id == later.image_id
    ]
    if repeated:
        raise ImagesError(repeated)
    return _listed(found, data["files"]) if data.get("files") else found


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
        ``limit: n``: n in all.
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
        f"references.{name}.{key} is not a key; keys are {', '.join(DRAW_KEYS)}"
        for key in settings
        if key not in DRAW_KEYS
    ]
    if settings.get("categories", 16) != 16:
        problems.append(
            f"references.{name}.categories is {settings['categories']!r}; allowed is 16"
        )
    for key in ("per_class", "limit"):
        value = settings.get(key, 1)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            problems.append(f"references.{name}.{key} is {value!r}; expected a number from 1")
    if "per_class" in settings and "limit" in settings:
        problems.append(f"references.{name} has per_class and limit; only one can hold")
    if problems:
        raise ImagesError(problems)


def _embedded(data: Mapping[str, Any]) -> list[Candidate]:
    """Return the photographs of ImageNet in the package foolbox, which is not imported."""
    try:
        package = distribution(EMBEDDED_PACKAGE)
    except PackageNotFoundError:
        raise ImagesError(
            [
                f"data.source 'embedded': the package {EMBEDDED_PACKAGE!r}, which holds the "
                "photographs, is not installed; it is in requirements.lock"
            ]
        ) from None
    return [
        Candidate(
            image_id=Path(row["file"]).stem,
            path=Path(str(package.locate_file(f"foolbox/data/{row['file']}"))),
            source=f"foolbox/data/{row['file']}",
            label=int(row["label"]),
            sha256=row["sha256"],
        )
        for row in read_package_table("embedded_images.csv")
    ]


def _imagenet(data: Mapping[str, Any]) -> list[Candidate]:
    root = _folder_of(data)
    labels = imagenet.validation_labels(root, data.get("ground_truth"), data.get("synsets"))
    return [
        Candidate(path.stem, path, path.relative_to(root).as_posix(), label)
        for path, label in labels.items()
    ]


def _folder(data: Mapping[str, Any]) -> list[Candidate]:
    root = _folder_of(data)
    return [
        Candidate(source, path, source, label)
        for path, label in labelled_files.pictures(root).items()
        for source in [labelled_files.name_within(root, path)]
    ]


def _folder_of(data: Mapping[str, Any]) -> Path:
    if not data.get("path"):
        raise ImagesError([f"data.path is missing; source {data['source']!r} needs a folder"])
    root = Path(data["path"]).expanduser()
    if not root.is_dir():
        met = "a file" if root.exists() else "nothing"
        raise ImagesError([f"data.path is {str(root)!r}: met {met}, expected a folder"])
    return root


SOURCES: dict[str, Callable[[Mapping[str, Any]], list[Candidate]]] = {
    "embedded": _embedded,
    "imagenet": _imagenet,
    "folder": _folder,
}


def _listed(found: Sequence[Candidate], files: str | Sequence[str]) -> list[Candidate]:
    """Return the images whose file is on the list, by name or by path within the source."""
    names = labelled_files.read_list(files) if isinstance(files, str) else list(files)
    by_name: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in found:
        for known in {candidate.source, candidate.path.name}:
            by_name[known].append(candidate)
    problems = [
        f"data.files names {name!r}, which the source has {len(by_name[name])} times; expected once"
        for name in names
        if len(by_name[name]) != 1
    ]
    if problems:
        raise ImagesError(problems)
    wanted = {by_name[name][0].image_id for name in names}
    return [candidate for candidate in found if candidate.image_id in wanted]
