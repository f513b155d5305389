"""Files that say what made them, and that show any damage.

A file of a run carries a record: its place, the job that made it, all that decided it, and the
seals of the files that it was made from. Its seal is the sha256 of the file itself, record
included, with 64 zeros where the seal stands. No torch here.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from metamers.files import write_atomically

# Parquet keeps a file's notes under names that begin so; so do pages.
KEY = "metamers.record"
_MARK = b"metamers.seal:sha256:"
_DIGITS = 64
_OPEN = _MARK.decode() + "0" * _DIGITS
_PNG_END = 12  # bytes of a PNG's last chunk
_PNG_SUM = 4  # bytes of a chunk's check sum, which follows the seal there
_AT_ONCE = 1 << 22
_COMMENTED = (".svg", ".html", ".md")
FORMATS = (".parquet", ".safetensors", ".json", ".png", *_COMMENTED)


class SealError(ValueError):
    """A file is damaged, or carries no record; the message says which, without its name."""


@dataclass(frozen=True)
class Record:
    """What made a file.

    Attributes
    ----------
    path
        Its place in the run's folder.
    rule, wildcards
        The job.
    decided_by
        All that the file depends on, besides the inputs (`metamers.config.decided`).
    inputs
        The seal of each file that it was made from, by its place in the run's folder; where
        that one was made from none, what decided it stands beside it. Of a file that is no
        run's, the sha256.
    failed
        Why the file holds a word of apology and not its result; empty otherwise.
    """

    path: str
    rule: str
    wildcards: Mapping[str, str]
    decided_by: Mapping[str, Any]
    inputs: Mapping[str, Mapping[str, Any]]
    failed: str = ""

    def text(self) -> str:
        """Return it as JSON in ASCII, which may stand in a comment of HTML or XML."""
        fields = asdict(self)
        if not self.failed:
            del fields["failed"]
        text = json.dumps(fields, sort_keys=True)
        # These stand within texts only, where the escapes mean the same.
        for sign in ("<", ">", "--"):
            text = text.replace(sign, "".join(f"\\u{ord(letter):04x}" for letter in sign))
        return text


_records: dict[Path, Record] = {}


def expect(records: Mapping[str, Record]) -> None:
    """Let the files that this process will write carry these records, by their paths.

    A process of the workflow runs one job. In any other process files carry none.
    """
    _records.clear()
    _records.update({Path(path).absolute(): record for path, record in records.items()})


def expect_failed(path: str | Path, reason: str) -> None:
    """Let a file that this process will write say that it is no result, and why."""
    path = Path(path).absolute()
    _records[path] = replace(_records[path], failed=reason)


def notes_for(path: str | Path) -> dict[str, str]:
    """Return what a file's own notes must hold: its record and an open seal; empty for none."""
    record = _records.get(Path(path).absolute())
    return {} if record is None else {"record": record.text(), "seal": _OPEN}


def seal(path: str | Path) -> None:
    """Put the seal into a file whose notes hold `notes_for` it; nothing for a file without."""
    if notes_for(path):
        with Path(path).open("r+b") as file:
            place = _place(file, Path(path))
            file.seek(place)
            file.write(_digest(file, place, _width(path)).encode())
            if Path(path).suffix == ".png":
                file.write(_png_sum(file, place))


def seal_page(path: str | Path) -> None:
    """Put record and seal into a file of text, JSON or pixels that was written without."""
    notes, path = notes_for(path), Path(path)
    if notes:
        write_atomically(path, _embedded(path.read_bytes(), notes, path))
        seal(path)


def sealed_safetensors(content: bytes, path: str | Path) -> bytes:
    """Return a safetensors file with the notes for its path, and its header in order.

    What equals then has equal bytes: the library writes metadata in any order.
    """
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = header.get("__metadata__", {}) | notes_for(path)
    text = json.dumps(header, sort_keys=True).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def seal_of(path: str | Path) -> str:
    """Return the seal that a file carries, without comparing it.

    Raises
    ------
    SealError
        If it carries none.
    OSError
        If it cannot be read.
    """
    with Path(path).open("rb") as file:
        file.seek(_place(file, Path(path)))
        return file.read(_DIGITS).decode("ascii", "replace")


def opened(path: str | Path) -> tuple[Record, str]:
    """Return the record and the seal of a file that is whole.

    Raises
    ------
    SealError
        If the file is not as it was written, or carries no record.
    OSError
        If it cannot be read.
    """
    path = Path(path)
    with path.open("rb") as file:
        place = _place(file, path)
        found = _digest(file, place, _width(path))
        file.seek(place)
        seal = file.read(_DIGITS).decode("ascii", "replace")
        whole = path.suffix != ".png" or file.read(_PNG_SUM) == _png_sum(file, place)
    if seal != found or not whole:
        raise SealError(f"its content has the sha256 {found}, and its seal says {seal}")
    try:
        return Record(**json.loads(_record_text(path))), seal
    except (ValueError, TypeError, KeyError) as error:
        raise SealError(f"its record cannot be read: {error}") from error


def notes_of(path: str | Path) -> dict[str, str]:
    """Return the texts in the notes of a Parquet or safetensors file, by their names."""
    path = Path(path)
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        found = pq.read_metadata(path).metadata or {}
        prefix = KEY.partition(".")[0] + "."
        return {k.decode().removeprefix(prefix): v.decode() for k, v in found.items()}
    with path.open("rb") as file:
        return json.loads(_region(file, path.suffix)[1]).get("__metadata__", {})


def _width(path: str | Path) -> int:
    """Return how many bytes the seal covers: in a PNG, a sum over it follows."""
    return _DIGITS + (_PNG_SUM if Path(path).suffix == ".png" else 0)


def _digest(file: BinaryIO, place: int, width: int) -> str:
    """Return the sha256 of a file whose seal, so many bytes from a place on, is zeros."""
    digest = hashlib.sha256()
    file.seek(0)
    left = place
    while left:
        part = file.read(min(left, _AT_ONCE))
        digest.update(part)
        left -= len(part)
    digest.update(b"0" * width)
    file.seek(place + width)
    while part := file.read(_AT_ONCE):
        digest.update(part)
    file.seek(place)
    return digest.hexdigest()


def _place(file: BinaryIO, path: Path) -> int:
    """Return where the seal's digits begin."""
    start, region = _region(file, path.suffix)
    mark = region.rfind(_MARK)
    if mark < 0 or len(region) < mark + len(_MARK) + _width(path):
        raise SealError("it carries no seal: it is cut off, or this workflow did not write it")
    return start + mark + len(_MARK)


def _region(file: BinaryIO, suffix: str) -> tuple[int, bytes]:
    """Return the part of a file where its notes are, and where the part begins."""
    size = file.seek(0, os.SEEK_END)
    if suffix == ".safetensors":
        file.seek(0)
        length = int.from_bytes(file.read(8), "little")
        return 8, file.read(min(length, size))
    if suffix == ".parquet" and size >= 8:
        file.seek(size - 8)
        length = min(int.from_bytes(file.read(4), "little"), size - 8)
        file.seek(size - 8 - length)
        return size - 8 - length, file.read(length)
    file.seek(0)
    return 0, file.read()


def _png_sum(file: BinaryIO, place: int) -> bytes:
    """Return the check sum of the chunk of a PNG that ends with the seal at a place."""
    file.seek(0)
    chunk = file.read(place + _DIGITS)
    file.seek(place + _DIGITS)
    return zlib.crc32(chunk[chunk.rfind(b"tEXt" + KEY.encode()) :]).to_bytes(4, "big")


def _embedded(content: bytes, notes: Mapping[str, str], path: Path) -> bytes:
    line = f"{KEY}:{notes['record']}\n{notes['seal']}".encode()
    if path.suffix in _COMMENTED:
        return content.rstrip(b"\n") + b"\n<!-- " + line + b" -->\n"
    if path.suffix == ".json":
        return json.dumps(json.loads(content) | dict(notes), indent=2).encode()
    if path.suffix == ".png":
        chunk = b"tEXt" + KEY.encode() + b"\0" + line.removeprefix(f"{KEY}:".encode())
        length = (len(chunk) - 4).to_bytes(4, "big")
        return content[:-_PNG_END] + length + chunk + b"0" * _PNG_SUM + content[-_PNG_END:]
    raise ValueError(f"{path}: no record can be put into such a file; those of {FORMATS} carry one")


def _record_text(path: Path) -> str:
    if path.suffix in (".parquet", ".safetensors"):
        return notes_of(path)["record"]
    with path.open("rb") as file:
        _, region = _region(file, path.suffix)
    if path.suffix == ".json":
        return json.loads(region)["record"]
    found = region[region.rindex(KEY.encode()) + len(KEY) + 1 : region.rindex(_MARK)]
    return found.decode("ascii")
