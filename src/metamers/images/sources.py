"""Where reference images come from. Opens no image.

Section ``data`` of the configuration names a source (docs/data.md). A source gives candidates,
each a file with its name and its label, from which `metamers.images.sampling` draws.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from itertools import pairwise
from pathlib import Path
from typing import Any

from metamers.images import folder, imagenet
from metamers.images.classes import category_of, read_package_table
from metamers.images.crops import is_crop
from metamers.images.errors import ImagesError

_NOT_IN_NAMES = {"Cc", "Cs", "Zl", "Zp"}  # control characters, no Unicode, ends of lines
EMBEDDED_PACKAGE = "foolbox"
KEYS = {
    "embedded": ("files",),
    "imagenet": ("path", "ground_truth", "synsets", "files"),
    "folder": ("path", "files"),
}


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
    source = data.get("source")
    if source not in SOURCES:
        raise ImagesError([f"data.source is {source!r}; allowed are {', '.join(SOURCES)}"])
    given = {key: value for key, value in data.items() if key != "source" and value is not None}
    strange = [key for key in given if key not in KEYS[source]]
    if strange:
        raise ImagesError(
            f"data.{key} is {given[key]!r}; source {source!r} takes {', '.join(KEYS[source])}"
            for key in strange
        )
    found = sorted(SOURCES[source](given), key=lambda candidate: candidate.image_id)
    _refuse_names(found)
    return _listed(found, given["files"]) if "files" in given else found


def _refuse_names(found: Sequence[Candidate]) -> None:
    problems = [
        f"{later.path}: gives the image id {later.image_id!r}, as {earlier.path} does"
        for earlier, later in pairwise(found)
        if earlier.image_id == later.image_id
    ]
    problems += [
        f"{candidate.path}: gives the image id {candidate.image_id!r}, which ends as a crop's does"
        for candidate in found
        if is_crop(candidate.image_id)
    ]
    problems += [
        f"{str(candidate.path)!r}: the file's name is not valid Unicode, or has a line's end or "
        "another control character in it"
        for candidate in found
        if {unicodedata.category(letter) for letter in candidate.source} & _NOT_IN_NAMES
    ]
    if problems:
        raise ImagesError(problems)


def _refuse_links(paths: Iterable[Path], root: Path) -> None:
    """Refuse links that lead out of a folder, whose files its author could not have read."""
    inside = root.resolve()
    problems = [
        f"{path}: is a link to {str(target)!r}, outside of {str(root)!r}; put the file there"
        for path in paths
        for target in [path.resolve()]
        if not target.is_relative_to(inside)
    ]
    if problems:
        raise ImagesError(problems)


def _embedded(data: Mapping[str, Any]) -> list[Candidate]:
    """Return the photographs of ImageNet in the package foolbox, which is not imported."""
    return packaged("embedded_images.csv", EMBEDDED_PACKAGE, "foolbox/data")


def packaged(table: str, package: str, folder_within: str) -> list[Candidate]:
    """Return the photographs that come inside a package, which is not imported.

    Parameters
    ----------
    table
        File of `metamers.data` that lists them: columns ``file``, ``sha256``, and ``label``
        where it is known.
    package
        Name of the distribution.
    folder_within
        Where its files lie, relative to what it installs into.

    Raises
    ------
    ImagesError
        If the package is not installed, or lacks a photograph.
    """
    try:
        installed = distribution(package)
    except PackageNotFoundError:
        raise ImagesError(
            [
                f"the package {package!r}, which holds the photographs, is not installed; it is "
                "in requirements.lock"
            ]
        ) from None
    found = [
        Candidate(
            image_id=Path(row["file"]).stem,
            path=Path(str(installed.locate_file(f"{folder_within}/{row['file']}"))),
            source=f"{folder_within}/{row['file']}",
            label=int(row["label"]) if "label" in row else None,
            sha256=row["sha256"],
        )
        for row in read_package_table(table)
    ]
    missing = [image.path for image in found if not image.path.is_file()]
    if missing:
        raise ImagesError(
            f"{path}: met no such file, though {package} {installed.version} is installed"
            for path in missing
        )
    return found


def _imagenet(data: Mapping[str, Any]) -> list[Candidate]:
    root = _folder_of(data)
    labels = imagenet.validation_labels(root, data.get("ground_truth"), data.get("synsets"))
    _refuse_links(labels, root)
    return [
        Candidate(path.stem, path, path.relative_to(root).as_posix(), label)
        for path, label in labels.items()
    ]


def _folder(data: Mapping[str, Any]) -> list[Candidate]:
    root = _folder_of(data)
    labels = folder.labelled_images(root)
    _refuse_links(labels, root)
    return [
        Candidate(source, path, source, label)
        for path, label in labels.items()
        for source in [folder.name_within(root, path)]
    ]


def _folder_of(data: Mapping[str, Any]) -> Path:
    if not data.get("path"):
        raise ImagesError(["data.path is missing; this source needs a folder (docs/data.md)"])
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
    names = folder.read_list(files) if isinstance(files, str) else list(files)
    by_name: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in found:
        for known in {candidate.source, candidate.path.name}:
            by_name[known].append(candidate)
    problems = [] if names else ["data.files is empty; expected names of files"]
    problems += [
        f"data.files names {name!r}, which the source has {len(by_name[name])} times; expected once"
        for name in names
        if len(by_name[name]) != 1
    ]
    if problems:
        raise ImagesError(problems)
    wanted = {by_name[name][0].image_id for name in names}
    return [candidate for candidate in found if candidate.image_id in wanted]
