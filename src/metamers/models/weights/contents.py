"""The contents of what a user can change under one name: a local file of weights, own code."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from metamers import files
from metamers.models.weights import verification


def of(row: Mapping[str, Any], cache: Path) -> dict[str, str | None]:
    """Return the sha256 of a row's local weights, and of its own code, of those that it has.

    Parameters
    ----------
    row
        Of the zoo.
    cache
        Folder of weights, where the hashes of files are kept as long as size and time stay.

    Returns
    -------
    ``sha256`` for weights of source ``local``, ``code`` for an architecture of `import:`; None
    where there is no such file. Code is that of the named module alone: what it imports in turn
    is not looked at.
    """
    found: dict[str, str | None] = {}
    if row["weights"]["source"] == "local":
        found["sha256"] = _sha256(Path(row["weights"]["path"]).expanduser(), cache)
    library, _, identifier = row["architecture"].partition(":")
    if library == "import":
        path = module_file(identifier.partition(":")[0])
        found["code"] = files.sha256_of(path) if path else None
    return found


def module_file(name: str) -> Path | None:
    """Return the file of a module, which is not imported; None if there is none.

    It is looked for as Python would, then in the working directory.
    """
    places: list[str] | None = [*sys.path, os.getcwd()]
    spec = None
    for part in name.split("."):
        spec = PathFinder.find_spec(part, places)
        if spec is None:
            return None
        places = list(spec.submodule_search_locations or [])
    return Path(spec.origin) if spec and spec.origin and Path(spec.origin).is_file() else None


def _sha256(path: Path, cache: Path) -> str | None:
    if not path.is_file():
        return None
    try:
        return verification.sha256_of(path, cache / "verified")
    except OSError:  # a cache that cannot be written
        return files.sha256_of(path)
