"""Folders of files that carry no record, as the images of a gallery: a list vouches for them.

The list is a result with a record, and names every other file of its folder with its sha256.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from metamers.files import sha256_of

NAME = "files.json"
_SEALED = (".html",)  # pages have records of their own


def write(folder: Path) -> None:
    """Write the list of a folder into it."""
    listed = {name: sha256_of(path) for name, path in _files(folder).items()}
    (folder / NAME).write_text(json.dumps({"files": listed}))


def changes(path: Path) -> Iterator[str]:
    """Yield what of a folder is not as its list says, each file with a word."""
    listed = json.loads(path.read_text())["files"]
    there = _files(path.parent)
    for name in sorted(listed.keys() | there.keys()):
        if name not in there:
            yield f"{name} is missing"
        elif name not in listed:
            yield f"{name} is not in the list"
        elif sha256_of(there[name]) != listed[name]:
            yield f"{name} is damaged"


def _files(folder: Path) -> dict[str, Path]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != NAME]
    return {p.relative_to(folder).as_posix(): p for p in files if p.suffix not in _SEALED}
