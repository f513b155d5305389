"""Check that a file is the one that a row means: its first bytes, end, size and sha256."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from metamers import files
from metamers.models.weights.errors import (
    TruncatedFileError,
    UnreadableFileError,
    WebPageError,
    WeightsError,
    WrongHashError,
)
from metamers.models.weights.row import WeightsRow

HASH_PREFIX = 8
"""Fewest hex digits that identify a file (torch.hub's file names carry eight)."""

QUARANTINE = "quarantine"

LONGEST_HEADER = 100_000_000
"""Bytes that a safetensors header may have (the format's own limit)."""

WEB_PAGE_STARTS = (b"<!doctype", b"<html", b"<head", b"<?xml", b"<script")


@dataclass(frozen=True)
class Stamp:
    """The sha256 of a file, valid as long as its size and time of modification stay the same."""

    path: str
    size: int
    modified_ns: int
    sha256: str


def check(path: Path, weights: WeightsRow, expected: str, stamps: Path | None = None) -> str:
    """Return the sha256 of a file that is what its row means.

    Parameters
    ----------
    path
        The file.
    weights
        Its row; a ``size`` of 0 is not compared.
    expected
        All 64 hex digits, or at least the first eight; empty: not compared.
    stamps
        Folder of the stamps of files hashed before.

    Raises
    ------
    WebPageError, TruncatedFileError, UnreadableFileError, WrongHashError
        If it begins like a web page, ends too early, is no checkpoint, or is another file.
    """
    check_form(path, weights)
    size = path.stat().st_size
    if weights.size and size != weights.size:
        raise TruncatedFileError(
            f"{str(path)!r} has {size} bytes; the row of {weights.file!r} says {weights.size}"
        )
    digest = sha256_of(path, stamps)
    if not digest.startswith(expected.lower()):
        raise WrongHashError(
            f"{str(path)!r} has the sha256 {digest}; expected is {expected} "
            f"({weights.file!r} from {origin(weights)})"
        )
    return digest


def check_form(path: Path, weights: WeightsRow) -> None:
    """Refuse a file whose first bytes or end show that it is no whole checkpoint.

    Raises
    ------
    WebPageError, TruncatedFileError, UnreadableFileError
        If it is a web page, has no end, or is no zip, safetensors, pickle, gzip or ONNX file.
    """
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        raise TruncatedFileError(f"{str(path)!r} is empty; expected is {weights.file!r}")
    if head.lstrip().lower().startswith(WEB_PAGE_STARTS):
        raise WebPageError(
            f"{str(path)!r} is a web page, not weights: it begins with {head[:40]!r}; "
            f"expected is {weights.file!r} from {origin(weights)}"
        )
    if head.startswith(b"PK"):
        if not is_zip(path):
            raise TruncatedFileError(
                f"{str(path)!r} begins as a zip file (as torch writes) and has no end: "
                f"{path.stat().st_size} bytes came"
            )
    elif path.suffix == ".safetensors" or head[8:10] == b'{"':
        _check_safetensors(path, head)
    elif weights.file.endswith(".onnx") and head[:1] == b"\x08":
        pass  # a message of protobuf, which says nothing of its length
    elif head[:1] != b"\x80" and head[:2] != b"\x1f\x8b":
        raise UnreadableFileError(
            f"{str(path)!r} begins with {head[:16]!r}; expected is a torch checkpoint, "
            "a safetensors file, a pickle or an ONNX file"
        )


def is_zip(path: Path) -> bool:
    """Return whether a file is a zip file with an end that can be read."""
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:  # says so, instead of False, of a file in several parts
        return False


def sha256_of(path: Path, stamps: Path | None = None) -> str:
    """Return a file's sha256, from ``stamps`` where the same file was hashed before.

    A stamp counts as long as the file's path, size and modification time are unchanged, so that a
    job does not read half a gigabyte to learn what the last one knew.
    """
    stamp_file = stamps and _stamp_file(path, stamps)
    if stamp_file and stamp_file.exists():
        stamp = Stamp(**json.loads(stamp_file.read_text()))
        if stamp == _stamp(path, stamp.sha256):
            return stamp.sha256
    digest = files.sha256_of(path)
    if stamps:
        remember(path, digest, stamps)
    return digest


def remember(path: Path, digest: str, stamps: Path) -> None:
    """Stamp a file whose sha256 is known, so that `sha256_of` need not read it."""
    content = json.dumps(asdict(_stamp(path, digest)), indent=1)
    files.write_atomically(_stamp_file(path, stamps), content.encode())


def forget(path: Path, stamps: Path) -> None:
    """Remove a file's stamp, so that it is hashed again."""
    _stamp_file(path, stamps).unlink(missing_ok=True)


def set_aside(path: Path, reason: str, cache: Path) -> Path:
    """Move a file into the cache's quarantine, write the reason beside it, return its new path."""
    now = datetime.now(UTC)
    target = cache / QUARANTINE / f"{now:%Y%m%dT%H%M%S.%f}Z-{path.name.removesuffix('.part')}"
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(path, target)
    target.with_name(f"{target.name}.reason.txt").write_text(f"{now:%Y-%m-%d %H:%M:%S} {reason}\n")
    return target


@contextmanager
def setting_aside(path: Path, cache: Path) -> Iterator[None]:
    """Set a file of the cache aside if the block finds it wrong, and raise the error again.

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


def pinned_hash(weights: WeightsRow) -> str:
    """Return the hex digits that a row pins: all 64, or at least eight; ``""`` if none.

    Raises
    ------
    WrongHashError
        If they are no hex digits, or too few.
    """
    pinned = (weights.sha256 or weights.sha256_prefix).lower()
    if pinned and (not HASH_PREFIX <= len(pinned) <= 64 or set(pinned) - set("0123456789abcdef")):
        raise WrongHashError(
            f"the row of {weights.file!r} pins the sha256 {pinned!r}; "
            f"expected are {HASH_PREFIX} to 64 hex digits"
        )
    return pinned


def origin(weights: WeightsRow) -> str:
    """Return where a row's file comes from, in a few words."""
    if weights.source in ("package", "sdist", "wheel"):
        return f"the Python package {weights.package!r}"
    if weights.source == "archive":
        return f"{weights.path!r} in {weights.url}"
    return weights.url or weights.path or weights.source


def _check_safetensors(path: Path, head: bytes) -> None:
    """Compare the file's length with what its header says (safetensors format, version 0)."""
    length = int.from_bytes(head[:8], "little")
    size = path.stat().st_size
    if head[8:9] != b"{":
        raise UnreadableFileError(
            f"{str(path)!r} is not a safetensors file; it begins with {head[:16]!r}"
        )
    if 8 + length > size:
        raise TruncatedFileError(f"{str(path)!r} ends within its header: {size} bytes came")
    if length > LONGEST_HEADER:
        raise UnreadableFileError(
            f"{str(path)!r} has a safetensors header of {length:,} bytes; at most "
            f"{LONGEST_HEADER:,} are allowed by the format"
        )
    with path.open("rb") as file:
        file.seek(8)
        content = file.read(length)
    try:
        entries = [entry for name, entry in json.loads(content).items() if name != "__metadata__"]
        expected = 8 + length + max((entry["data_offsets"][1] for entry in entries), default=0)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise UnreadableFileError(
            f"{str(path)!r} has a malformed safetensors header: {type(error).__name__}: {error}"
        ) from error
    if size != expected:
        raise TruncatedFileError(
            f"{str(path)!r} has {size} bytes; its safetensors header says {expected}"
        )


def _stamp(path: Path, digest: str) -> Stamp:
    status = path.stat()
    return Stamp(str(path.resolve()), status.st_size, status.st_mtime_ns, digest)


def _stamp_file(path: Path, stamps: Path) -> Path:
    return stamps / f"{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:24]}.json"
