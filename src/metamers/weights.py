"""Find, fetch and verify the files that the zoo's rows name. No torch here."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from filelock import FileLock

from metamers import integrity, packages
from metamers.weight_errors import MissingWeightsError, WeightsError
from metamers.zoo import Weights


def default_cache() -> Path:
    """Return the folder for weights: ``METAMERS_CACHE``, or ``~/.cache/metamers``."""
    return Path(os.environ.get("METAMERS_CACHE") or "~/.cache/metamers").expanduser()


def locate(weights: Weights, cache: Path) -> Path:
    """Return the path of a row's verified file, which is fetched first if need be.

    Raises
    ------
    MissingWeightsError
        If the file is not there and cannot be fetched.
    WeightsError
        If it is there and is not what the row means; the subclass says in which way.
    """
    if weights.source == "package":
        path = packaged_file(weights)
    elif weights.source == "sdist":
        path = _cached(weights, cache)
    else:
        raise WeightsError(
            f"weights source {weights.source!r} has no file; files come from 'package', 'sdist'"
        )
    integrity.check(path, weights, integrity.pinned_hash(weights), cache / "verified")
    return path


def packaged_file(weights: Weights) -> Path:
    """Return the path of a file of an installed package, which is not imported."""
    spec = find_spec(weights.package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingWeightsError(
            f"the Python package {weights.package!r}, which holds {weights.file!r}, is not "
            "installed; requirements.lock has it (make .venv, or pip install -r requirements.lock)"
        )
    path = Path(spec.submodule_search_locations[0]) / weights.path
    if not path.is_file():
        raise MissingWeightsError(f"the Python package {weights.package!r} has no {weights.path!r}")
    return path


def _cached(weights: Weights, cache: Path) -> Path:
    path = cache / weights.file
    if path.is_file():
        return path
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f".{weights.file}.lock"):
        if not path.is_file():
            packages.fetch_member(weights, path, cache / "packages")
    return path
