"""Checkpoints that are pickles, each converted once to safetensors by a process with limits.

What reading a pickle can do is done to that process alone (`conversion_process`), which has no
network, and little memory and time. All others read its safetensors. No torch here.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from filelock import FileLock

from metamers import files
from metamers.models.weights import errors, verification
from metamers.models.weights.row import Layout, WeightsRow

_LOG = logging.getLogger(__name__)

REVISION = 1
"""Raised when a converter or a reader gives something else for the same file and layout."""

REFUSED = 3
"""Exit status of the process for a file that it refuses, for the reason that it prints."""

FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that end the process and are not the file's fault."""


@dataclass(frozen=True)
class Limits:
    """What converting one file may take.

    Attributes
    ----------
    memory
        Bytes beyond what is mapped before the file is opened.
    seconds
        Of time, and of the processor's.
    """

    memory: int
    seconds: int

    @classmethod
    def of(cls, path: Path) -> Limits:
        """Return the limits for a file: several times what an honest one of its size takes."""
        size = path.stat().st_size
        return cls(memory=(4 << 30) + 4 * size, seconds=300 + size // 5_000_000)


def converted(
    weights: WeightsRow, path: Path, cache: Path, rehash: bool = False
) -> tuple[WeightsRow, Path]:
    """Return a row and a safetensors file of the same weights as a row and its verified file.

    A file that has been converted is not opened again; what is left of an interrupted or damaged
    conversion is replaced. A safetensors file without a converter is returned as it is.

    Parameters
    ----------
    weights, path
        The row, and its file.
    cache
        Folder of weights; conversions are in ``converted/``, by sha256 and layout.
    rehash
        Read the whole conversion even if it was verified before.

    Raises
    ------
    WeightsError
        If the file is refused, or takes more than its `Limits`, or ends the process.
    ChildProcessError
        If the process was ended from outside.
    """
    if path.suffix == ".safetensors" and not weights.layout.convert:
        return weights, path
    stamps = cache / "verified"
    target = _target(weights.layout, path, cache)
    if rehash:
        verification.forget(target, stamps)
    if not _is_whole(target, stamps):
        guards = cache / "locks"
        guards.mkdir(parents=True, exist_ok=True)
        with FileLock(guards / f"{target.parent.name}.lock"):
            if not _is_whole(target, stamps):
                _convert(weights.layout, path, target, stamps)
    # The layout has been applied; what is left of it is that names do not matter.
    layout = Layout(by_order=weights.layout.by_order)
    return WeightsRow(source="local", file=target.name, path=str(target), layout=layout), target


def _target(layout: Layout, path: Path, cache: Path) -> Path:
    decides = [REVISION, verification.sha256_of(path, cache / "verified"), asdict(layout)]
    key = hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:24]
    return cache / "converted" / key / f"{path.name}.safetensors"


def _is_whole(target: Path, stamps: Path) -> bool:
    note = target.with_name("sha256")
    if not (note.is_file() and target.is_file()):
        return False
    return verification.sha256_of(target, stamps) == note.read_text().strip()


def _convert(layout: Layout, path: Path, target: Path, stamps: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part, limits = target.with_suffix(".part"), Limits.of(path)
    asked = {"path": str(path), "part": str(part), "layout": asdict(layout)} | asdict(limits)
    try:
        with tempfile.TemporaryFile() as said:
            ended = _run(json.dumps(asked), limits.seconds, said)
            said.seek(0)
            _require_success(path, limits, ended, said.read(100_000).decode(errors="replace"))
        with part.open("rb") as file:
            os.fsync(file.fileno())
        digest = files.sha256_of(part)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            target.parent.rmdir()  # where nothing came into it
    verification.remember(target, digest, stamps)
    files.write_atomically(target.with_name("sha256"), f"{digest}\n".encode())


def _run(asked: str, seconds: int, said: IO[bytes]) -> int | None:
    """Return the exit status of the process; None where its time was up."""
    module = f"{__package__}.conversion_process"
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", module, asked],  # -P: no module of the working directory
        stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # and what it may have started
        process.wait()


def _require_success(path: Path, limits: Limits, ended: int | None, said: str) -> None:
    last = said.strip().rpartition("\n")[2]
    if ended == 0:
        if last:
            _LOG.warning("%s", last[:300])
        return
    if ended == REFUSED:
        raise _refusal(path, last)
    how = f"ended with status {ended}, {last[:300]!r}"
    if ended is None:
        how = f"was not done after {limits.seconds} s"
    elif ended < 0:
        how = f"was ended by {signal.Signals(-ended).name}"
    message = (
        f"{str(path)!r} was not converted to safetensors: the process that does it {how}; it may "
        f"take {limits.memory:,} bytes of memory and {limits.seconds} s"
    )
    if ended is not None and -ended in FROM_OUTSIDE:
        raise ChildProcessError(f"{message}. Was it stopped, or is there less memory than that?")
    raise errors.UnreadableFileError(
        f"{message}, which is far more than genuine weights need: it is damaged or malicious"
    )


def _refusal(path: Path, line: str) -> errors.WeightsError:
    """Return the error that the process printed; it is not trusted to be one."""
    with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
        said = json.loads(line)
        kind = getattr(errors, str(said["kind"]), None)
        if isinstance(kind, type) and issubclass(kind, errors.WeightsError):
            return kind(str(said["message"])[:2000])
    return errors.UnreadableFileError(f"{str(path)!r} was refused: {line[:300]!r}")
