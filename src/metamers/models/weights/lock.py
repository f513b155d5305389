"""The lock of the weights: which sha256 each file had when it was first verified."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml
from filelock import FileLock

from metamers.files import write_atomically
from metamers.models.weights import verification
from metamers.models.weights.errors import WrongHashError
from metamers.models.weights.row import WeightsRow

HEADER = """\
# The sha256 of each file of weights, recorded when it was first verified (docs/weights.md).
# recorded: 'row' (config/models.yaml has the whole hash), 'prefix' (the row has its first
# digits), 'source' (the server stated it), 'first use' (nobody states one: this is what came).
"""

FIRST_USE = "first use"


@dataclass(frozen=True)
class Pin:
    """What a file was when it was first verified.

    Attributes
    ----------
    recorded
        Who vouches for the hash: ``row``, ``prefix``, ``source`` or ``first use``.
    """

    sha256: str
    size: int
    origin: str
    recorded: str


def read(path: Path) -> dict[str, Pin]:
    """Return the pins by file name; none if there is no lock yet."""
    if not path.is_file():
        return {}
    entries: Mapping[str, Mapping] = yaml.safe_load(path.read_text()) or {}
    return {name: Pin(**entry) for name, entry in entries.items()}


def record(path: Path, name: str, pin: Pin, guards: Path) -> None:
    """Add a pin to the lock; one that is there stays.

    Parameters
    ----------
    path
        The lock.
    name, pin
        The file's name in the cache, and what it was.
    guards
        Folder for the file by which processes wait for each other.

    Raises
    ------
    WrongHashError
        If the lock already has another hash for this file.
    """
    with _held(path, guards):
        pins = read(path)
        known = pins.get(name)
        if known and known.sha256 != pin.sha256:
            raise WrongHashError(
                f"{str(path)!r} pins {known.sha256} for {name!r} (recorded: {known.recorded}); "
                f"met was {pin.sha256}"
            )
        if not known:
            _write(path, pins | {name: pin})


def remove_unverified(path: Path, name: str, guards: Path) -> None:
    """Remove a pin that was recorded at first use; one that a source vouches for stays."""
    with _held(path, guards):
        pins = read(path)
        if name in pins and pins[name].recorded == FIRST_USE:
            _write(path, {key: pin for key, pin in pins.items() if key != name})


def expected_hash(weights: WeightsRow, path: Path) -> str:
    """Return the hex digits that a row's file must have, by its row and the lock; or ``""``.

    Raises
    ------
    WrongHashError
        If row and lock disagree.
    """
    pinned = verification.pinned_hash(weights)
    pin = read(path).get(weights.file)
    if pin is None:
        return pinned
    if not pin.sha256.startswith(pinned):
        raise WrongHashError(
            f"the row of {weights.file!r} pins {pinned}, and {str(path)!r} pins {pin.sha256} "
            f"(recorded: {pin.recorded}); remove the wrong one"
        )
    return pin.sha256


def hash_source(weights: WeightsRow, published: str) -> str:
    """Return the `Pin.recorded` of a file that was verified for the first time."""
    if len(verification.pinned_hash(weights)) == 64:
        return "row"
    if published:
        return "source"
    return "prefix" if verification.pinned_hash(weights) else FIRST_USE


def _held(path: Path, guards: Path) -> FileLock:
    guards.mkdir(parents=True, exist_ok=True)
    return FileLock(guards / f"{path.name}.guard")


def _write(path: Path, pins: Mapping[str, Pin]) -> None:
    entries = {name: asdict(pin) for name, pin in sorted(pins.items())}
    write_atomically(path, (HEADER + yaml.safe_dump(entries, width=100)).encode())
