"""Write files so that no reader sees half of one, and name them by their content."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
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


def read_regular(path: str | Path, most: int) -> bytes:
    """Return the content of a file that is a file: reading a pipe or a device might not end.

    Raises
    ------
    OSError
        If it is anything else, has more than ``most`` bytes, or cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe without a writer: no waiting
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "is a folder, pipe or device, not a file", str(path))
        if status.st_size > most:
            raise OSError(errno.EFBIG, f"has {status.st_size:,} bytes, at most {most:,} are read")
        return file.read()


def sha256_of(path: str | Path) -> str:
    """Return the sha256 of a file's content, 64 hex digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
