"""Is this file the one that a row means? Sizes, first bytes and sha256."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from metamers.weight_errors import TruncatedFileError, WebPageError, WrongHashError
from metamers.zoo import Weights

HASH_PREFIX = 8
"""Fewest hex digits that identify a file (torch.hub's file names carry eight)."""


@dataclass(frozen=True)
class Stamp:
    """A file that was hashed: as long as size and time stay, its sha256 does."""

    path: str
    size: int
    modified_ns: int
    sha256: str


def sha256_of(path: Path, stamps: Path | None = None) -> str:
    """Return a file's sha256, from ``stamps`` where the same file was hashed before.

    A stamp counts as long as the file's path, size and modification time are unchanged, so that a
    job does not read half a gigabyte to learn what the last one knew.
    """
    status = path.stat()
    key = (str(path.resolve()), status.st_size, status.st_mtime_ns)
    stamp_file = stamps and stamps / f"{hashlib.sha256(key[0].encode()).hexdigest()[:24]}.json"
    if stamp_file and stamp_file.exists():
        stamp = Stamp(**json.loads(stamp_file.read_text()))
        if (stamp.path, stamp.size, stamp.modified_ns) == key:
            return stamp.sha256
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if stamp_file:
        write_atomically(stamp_file, json.dumps(asdict(Stamp(*key, digest))).encode())
    return digest


def write_atomically(path: Path, content: bytes) -> None:
    """Write a small file such that a reader sees the old or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
    os.replace(file.name, path)


def pinned_hash(weights: Weights) -> str:
    """Return the hex digits that a row pins, all 64 or a prefix of at least eight, or ``""``."""
    pinned = (weights.sha256 or weights.sha256_prefix).lower()
    if pinned and not HASH_PREFIX <= len(pinned) <= 64:
        raise WrongHashError(
            f"the row of {weights.file!r} pins the sha256 {pinned!r}; "
            f"expected are {HASH_PREFIX} to 64 hex digits"
        )
    return pinned


def check(path: Path, weights: Weights, pinned: str, stamps: Path | None = None) -> str:
    """Return the sha256 of a file that is what its row means.

    Raises
    ------
    WebPageError, TruncatedFileError, WrongHashError
        If it begins like a web page, is shorter or longer than the row's size, or has another
        hash than ``pinned`` (a prefix suffices; empty: not compared).
    """
    with path.open("rb") as file:
        head = file.read(512).lstrip().lower()
    if head.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise WebPageError(
            f"{str(path)!r} is a web page, not weights: it begins with {head[:40]!r}; "
            f"expected was {weights.file!r} from {origin(weights)}"
        )
    size = path.stat().st_size
    if size == 0 or (weights.size and size != weights.size):
        raise TruncatedFileError(
            f"{str(path)!r} has {size} bytes; expected are {weights.size or 'more than 0'}"
        )
    digest = sha256_of(path, stamps)
    if not digest.startswith(pinned):
        raise WrongHashError(
            f"{str(path)!r} has the sha256 {digest}; expected is {pinned} ({weights.file!r} from "
            f"{origin(weights)})"
        )
    return digest


def origin(weights: Weights) -> str:
    """Return where a row's file comes from, in a few words."""
    if weights.source in ("package", "sdist"):
        return f"the Python package {weights.package!r}"
    return weights.url or weights.path or weights.source
