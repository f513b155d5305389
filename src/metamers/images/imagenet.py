"""The ILSVRC-2012 validation set as it lies on disk, and the labels of its images.

Two layouts: a folder for each class, named by its WordNet id; or all images in one folder,
as the archive unpacks, with a table of labels beside them.

The development kit numbers classes by ``ILSVRC2012_ID``, 1..1000, in an order of its own: 1 is
n02119789, kit fox. That is neither the index of a classifier (WordNet ids in alphabetical
order, from 0) nor one more than it, so its ground truth means nothing without its synsets.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from metamers.images.classes import CLASSES, index_of_wnid, wnids
from metamers.images.errors import ImagesError
from metamers.images.folder import read_labels, read_text

IMAGES = 50_000
FIRST_OF_DEVKIT = "n02119789"
_WNID = re.compile(r"n\d{8}")
_IMAGE = re.compile(r"ILSVRC2012_val_(\d{8})\.jpe?g", re.IGNORECASE)


def validation_labels(root: Path, ground_truth: str | None, synsets: str | None) -> dict[Path, int]:
    """Return the images of a validation folder with their class indices, 0..999.

    Parameters
    ----------
    root
        The folder, in either layout.
    ground_truth
        For the flat layout: ``ILSVRC2012_validation_ground_truth.txt`` of the development kit,
        or a table that `metamers.images.folder.read_labels` can read.
    synsets
        For the development kit's file: its ``meta.mat``, or a text of the 1000 WordNet ids in
        the order of their ``ILSVRC2012_ID``.

    Raises
    ------
    ImagesError
        If the folder has neither layout or both, or the labels do not fit it.
    """
    entries = sorted(root.iterdir())
    folders = [path for path in entries if _WNID.fullmatch(path.name) and path.is_dir()]
    images = [path for path in entries if _IMAGE.fullmatch(path.name)]
    if bool(folders) == bool(images):
        raise ImagesError([_neither(root, entries, both=bool(folders))])
    if folders:
        return _labels_of_folders(folders)
    return _labels_of_flat(images, _required(ground_truth, "ground_truth"), synsets)


def read_ground_truth(path: Path) -> list[int]:
    """Return the development kit's number, 1..1000, of each of the 50 000 validation images.

    Raises
    ------
    ImagesError
        If the file has another length, or holds anything but such numbers.
    """
    lines = read_text(path).split()
    if len(lines) != IMAGES:
        raise ImagesError([f"{path}: met {len(lines)} numbers, expected {IMAGES}, one per image"])
    strange = [text for text in lines if not text.isdecimal() or not 1 <= int(text) <= CLASSES]
    if strange:
        raise ImagesError([f"{path}: met {strange[0]!r}, expected numbers 1..{CLASSES}"])
    return [int(text) for text in lines]


def read_synsets(path: Path) -> list[str]:
    """Return the 1000 WordNet ids in the order of their ``ILSVRC2012_ID``.

    Parameters
    ----------
    path
        ``meta.mat``, or a text whose lines begin with a WordNet id.

    Raises
    ------
    ImagesError
        If it has other ids than the 1000, or the order is not the development kit's.
    """
    found = _synsets_of_mat(path) if path.suffix == ".mat" else _first_words(path)
    if set(found) != set(wnids()) or len(found) != CLASSES:
        strange = sorted(set(found) - set(wnids()))
        raise ImagesError(
            [
                f"{path}: met {len(found)} WordNet ids, of which {len(strange)} are not of "
                f"ILSVRC-2012 {strange[:3]}; expected its {CLASSES}, each once"
            ]
        )
    if found[0] != FIRST_OF_DEVKIT:
        raise ImagesError(
            [
                f"{path}: met {found[0]!r} first, expected {FIRST_OF_DEVKIT!r}: the order must be "
                "that of ILSVRC2012_ID, not of the alphabet"
            ]
        )
    return found


def _labels_of_folders(folders: Sequence[Path]) -> dict[Path, int]:
    unknown = [folder for folder in folders if folder.name not in index_of_wnid()]
    if unknown:
        raise ImagesError(
            f"{folder}: met a class that is not of ILSVRC-2012; expected its validation folders"
            for folder in unknown
        )
    return {
        path: index_of_wnid()[folder.name]
        for folder in folders
        for path in sorted(folder.iterdir())
        if not path.name.startswith(".")
    }


def _labels_of_flat(images: Sequence[Path], table: Path, synsets: str | None) -> dict[Path, int]:
    if table.suffix == ".csv":
        by_name = {Path(name).stem: label for name, label in read_labels(table).items()}
        known = {path: by_name.get(path.stem) for path in images}
    else:
        known = _labels_of_devkit(images, table, _required(synsets, "synsets"))
    problems = [f"{path}: {table} has no label for it" for path, k in known.items() if k is None]
    if problems:
        raise ImagesError(problems)
    return {path: label for path, label in known.items() if label is not None}


def _labels_of_devkit(images: Sequence[Path], table: Path, synsets: Path) -> dict[Path, int | None]:
    numbers, order = read_ground_truth(table), read_synsets(synsets)
    labels = [index_of_wnid()[order[number - 1]] for number in numbers]
    positions = {path: int(path.stem.rsplit("_", 1)[1]) - 1 for path in images}
    return {
        path: labels[position] if 0 <= position < IMAGES else None
        for path, position in positions.items()
    }


def _first_words(path: Path) -> list[str]:
    return [line.split()[0] for line in read_text(path).splitlines() if line.strip()]


def _synsets_of_mat(path: Path) -> list[str]:
    """Return the ids of the leaves of a ``meta.mat``; its inner nodes have numbers over 1000."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        table = loadmat(path, squeeze_me=True)["synsets"]
        order = np.argsort(table["ILSVRC2012_ID"].astype(int))
        return [str(row["WNID"]) for row in table[order] if row["ILSVRC2012_ID"] <= CLASSES]
    except (MatReadError, KeyError, ValueError, TypeError, NotImplementedError) as error:
        raise ImagesError(
            [f"{path}: met {error!r}, expected the development kit's meta.mat"]
        ) from error


def _required(value: str | None, key: str) -> Path:
    if not value:
        raise ImagesError(
            [f"data.{key} is missing; all images lie in one folder, so it is needed (docs/data.md)"]
        )
    path = Path(value).expanduser()
    if not path.is_file():
        raise ImagesError([f"data.{key} is {value!r}: met no such file"])
    return path


def _neither(root: Path, entries: Sequence[Path], *, both: bool) -> str:
    met = "both" if both else f"neither, but {[path.name for path in entries[:5]]}"
    inner = [path for path in entries if path.name in ("val", "validation") and path.is_dir()]
    hint = f"; did you mean {str(inner[0])!r}?" if inner else ""
    return (
        f"data.path is {str(root)!r}: expected folders named by class (n01440764, ...) or images "
        f"ILSVRC2012_val_XXXXXXXX.JPEG, met {met}{hint}"
    )
