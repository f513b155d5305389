"""Files that turned out not to be what their row means: kept, with the reason, and never used."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from metamers.models.weights.errors import WeightsError

FOLDER = "quarantine"


def set_aside(path: Path, reason: str, cache: Path) -> Path:
    """Move a file into the cache's quarantine, write the reason beside it, return its new path."""
    now = datetime.now(UTC)
    target = cache / FOLDER / f"{now:%Y%m%dT%H%M%S.%f}Z-{path.name.removesuffix('.part')}"
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(path, target)
    target.with_name(f"{target.name}.reason.txt").write_text(f"{now:%Y-%m-%d %H:%M:%S} {reason}\n")
    return target


@contextmanager
def setting_aside(path: Path, cache: Path) -> Iterator[None]:
    """Set a file of the cache aside if the block finds it wrong; the same error goes on.

    Files outside the cache, those of the user or of an installed package, stay where they are.

    Raises
    ------
    WeightsError
        What the block raised, with the file's new place added.
    """
    try:
        yield
    except WeightsError as error:
        if not (path.is_file() and path.resolve().is_relative_to(cache.resolve())):
            raise
        aside = set_aside(path, f"{type(error).__name__}: {error}", cache)
        raise type(error)(f"{error}. The file was set aside as {str(aside)!r}") from error
