"""The contents of what a user can change under one name: a local file of weights, own code."""

from __future__ import annotations

import ast
import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from metamers import files
from metamers.models.weights import verification

_INSTALLED = ("site-packages", "dist-packages")


def hashes_of(row: Mapping[str, Any], cache: Path) -> dict[str, str | None]:
    """Return the sha256 of a row's local weights, and of its own code, of those that it has.

    Parameters
    ----------
    row
        Of the zoo.
    cache
        Folder of weights, where the hashes of files are kept as long as size and time stay.

    Returns
    -------
    ``sha256`` for weights of source ``local``, and of source ``factory`` with a path; ``code`` for
    an architecture of `import:` (`code_of`); None where there is no such file.
    """
    found: dict[str, str | None] = {}
    weights = row["weights"]
    if weights["source"] in ("local", "factory") and "path" in weights:
        found["sha256"] = _sha256(Path(weights["path"]).expanduser(), cache)
    library, _, identifier = row["architecture"].partition(":")
    if library == "import":
        found["code"] = code_of(identifier.partition(":")[0])
    return found


def code_of(name: str) -> str | None:
    """Return the sha256 of a module's code and of the user's own code that it imports.

    Own code is what lies in the folder from which the module is imported. Of an installed package
    it is the module alone: there the environment decides. Imports are read, not run; what
    ``importlib`` would import is not seen.

    Returns
    -------
    None if there is no such module.
    """
    first = module_file(name)
    if first is None:
        return None
    root = first.parents[name.count(".") + (first.name == "__init__.py")]
    found, waiting = {name: first}, [name]
    if root.name in _INSTALLED:
        waiting = []
    while waiting:
        for imported in _imports(waiting.pop(), found):
            path = _file_in(root, imported) if imported not in found else None
            if path:
                found[imported] = path
                waiting.append(imported)
    if len(found) == 1:
        return files.sha256_of(first)
    lines = [f"{module} {files.sha256_of(found[module])}\n" for module in sorted(found)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _file_in(root: Path, name: str) -> Path | None:
    path = root.joinpath(*name.split("."))
    return next((f for f in (path / "__init__.py", path.with_suffix(".py")) if f.is_file()), None)


def _imports(name: str, places: Mapping[str, Path]) -> Iterator[str]:
    """Yield the names of what a module imports, and of the packages around it; all may be none."""
    path = places[name]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    try:
        nodes = list(ast.walk(ast.parse(path.read_bytes())))
    except (SyntaxError, ValueError):  # the import itself will say so
        return
    for node in nodes:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            around = package[: len(package) - node.level + 1] if node.level else []
            base = [*around, *filter(None, [node.module])]
            names = [
                ".".join([*base, *further]) for further in ([], *([a.name] for a in node.names))
            ]
        else:
            continue
        for steps in (module.split(".") for module in names):
            yield from (".".join(steps[:end]) for end in range(1, len(steps) + 1))


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
