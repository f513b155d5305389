"""A folder of one's own pictures, and the text files that name pictures and their labels."""

from __future__ import annotations

import csv
import io
import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from metamers.files import read_regular
from metamers.images.classes import CLASSES, index_of_wnid
from metamers.images.errors import ImagesError

MAXIMUM_BYTES = 1_000_000_000
LABELS = "labels.csv"


def labelled_images(root: Path) -> dict[Path, int | None]:
    """Return every file in a folder and below, with its label where there is one.

    Hidden files are left out. Labels come from ``labels.csv`` in the folder, which, where it
    is there, has a row for each file; without it no picture has a label.

    Raises
    ------
    ImagesError
        If the folder is empty, or ``labels.csv`` and the files do not agree.
    """
    files = {name_within(root, path): path for path in _visible_files(root)}
    table = files.pop(LABELS, None)
    if not files:
        raise ImagesError([f"{root}: met no files, expected pictures"])
    if table is None:
        return dict.fromkeys(files.values())
    labels = read_labels(table)
    problems = [
        f"{table}: names {name!r}, which is not there" for name in sorted(labels - files.keys())
    ]
    problems += [f"{table}: has no row for {name!r}" for name in sorted(files.keys() - labels)]
    if problems:
        raise ImagesError(problems)
    return {path: labels[name] for name, path in files.items()}


def name_within(root: Path, path: Path) -> str:
    """Return a file's name relative to a folder, the same on every system.

    With slashes, and in Unicode's composed form (macOS decomposes accents).
    """
    return unicodedata.normalize("NFC", path.relative_to(root).as_posix())


def read_labels(path: Path) -> dict[str, int | None]:
    """Return the label of each file that a table names; ``None`` where the cell is empty.

    Parameters
    ----------
    path
        Comma-separated, UTF-8, with the columns ``file`` and either ``label`` (0..999) or
        ``wnid``; or ``ImageId`` and ``PredictionString``, whose first word is a WordNet id.

    Raises
    ------
    ImagesError
        If the columns are others, a file comes twice, or a label is not one of the 1000.
    """
    # Not split into lines before: a name in quotes may have a line's end in it.
    reader = csv.reader(io.StringIO(read_text(path), newline=""))
    try:
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise ImagesError([f"{path}, line {reader.line_num}: {error}"]) from error
    columns = rows[0][1] if rows else []
    file_column, label_column = _columns_of(path, columns)
    labels: dict[str, int | None] = {}
    problems = []
    for line, row in rows[1:]:
        if not row:
            continue
        try:
            if len(row) != len(columns):
                raise ValueError(f"met {len(row)} cells, expected {len(columns)}")
            cells = dict(zip(columns, row, strict=True))
            name = unicodedata.normalize("NFC", cells[file_column])
            if not name or name in labels:
                raise ValueError(f"met file {name!r}, expected each file once")
            labels[name] = None
            labels[name] = _label_of(cells[label_column].strip(), label_column)
        except ValueError as error:
            problems.append(f"{path}, line {line}: {error}")
    if problems:
        raise ImagesError(problems)
    return labels


def read_list(path: str | Path) -> list[str]:
    """Return the file names of a list, one a line; empty lines and those with # are left out.

    Raises
    ------
    ImagesError
        If the file is not there or names nothing.
    """
    if not Path(path).is_file():
        raise ImagesError([f"data.files is {str(path)!r}: met no such file, expected a list"])
    lines = [line.strip() for line in read_text(Path(path)).splitlines()]
    names = [line for line in lines if line and not line.startswith("#")]
    if not names:
        raise ImagesError([f"data.files is {str(path)!r}: met an empty list"])
    return names


def read_text(path: Path) -> str:
    """Return a text file's content.

    Raises
    ------
    ImagesError
        If it is not UTF-8, or cannot be read.
    """
    try:
        return read_regular(path, MAXIMUM_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise ImagesError([f"{path}: cannot be read ({error.strerror})"]) from error
    except UnicodeDecodeError as error:
        raise ImagesError([f"{path}: met byte {error.start} of no text, expected UTF-8"]) from error


def _visible_files(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(files) if not name.startswith("."))


def _columns_of(path: Path, columns: list[str]) -> tuple[str, str]:
    if len(set(columns)) != len(columns):
        raise ImagesError([f"{path}: met the columns {columns}, expected each name once"])
    for file, label in (("file", "label"), ("file", "wnid"), ("ImageId", "PredictionString")):
        if file in columns and label in columns:
            return file, label
    raise ImagesError([f"{path}: met the columns {columns}, expected file,label or file,wnid"])


def _label_of(text: str, column: str) -> int | None:
    if not text:
        return None
    if column == "label":
        if not text.isdecimal() or int(text) >= CLASSES:
            raise ValueError(f"met label {text!r}, expected 0..{CLASSES - 1}")
        return int(text)
    wnid = text.split()[0]
    if wnid not in index_of_wnid():
        raise ValueError(f"met wnid {wnid!r}, expected one of the 1000 of ILSVRC-2012")
    return index_of_wnid()[wnid]
