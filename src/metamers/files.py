"""Write files so that no reader sees half of one, and name them by their content."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path


def write_atomically(path: str | Path, content: bytes | Callable[[Path], object]) -> None:
    """Write a file such that there is the old or the new one, whole, even after a power cut.

    Parameters
    ----------
    path
        The file; its folder is made if need be.
    content
        The bytes, or a function that writes them to the path it is given: a new, empty file
        beside ``path`` that is named after it, begins with a dot and ends in ``.tmp``.

    Raises
    ------
    OSError
        If the disk is full or the folder cannot be written; ``path`` is as it was then.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name[:200]}.{secrets.token_hex(6)}.tmp")
    try:
        draft.touch(exist_ok=False)
        mode = draft.stat().st_mode
        if isinstance(content, bytes):
            draft.write_bytes(content)
        else:
            content(draft)
        draft.chmod(mode)  # the umask's: safetensors, for one, writes files for their owner only
        sync(draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    sync(path.parent)


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's names, are on the disk and not only in memory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: str | Path) -> str:
    """Return the sha256 of a file's content, 64 hex digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
