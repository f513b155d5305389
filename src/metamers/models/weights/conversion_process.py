"""The process that converts one checkpoint: it gives up what it can do, and then reads the file.

``python -P -m metamers.models.weights.conversion_process REQUEST``, from `conversion`. On Linux it
gives up, for good and before the file is opened:

* the network: a network namespace of its own, whose only device is down. Where the kernel allows an
  unprivileged process none, Python's sockets alone are refused;
* memory, time of the processor, the size of what it writes: limits of `resource`;
* for Python code: sockets, processes, and changes of files, by an audit hook. Machine code is not
  held by that: with it, a file could write where the user may.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

from metamers.models.weights.conversion import REFUSED
from metamers.models.weights.errors import UnreadableFileError, WeightsError
from metamers.models.weights.row import Layout

NEW_USER, NEW_NETWORK = 0x10000000, 0x40000000  # CLONE_NEWUSER, CLONE_NEWNET of sched.h
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl.h

REFUSED_EVENTS = ("os.", "socket.", "subprocess.", "shutil.", "ctypes.", "pty.")
HARMLESS_EVENTS = ("os.listdir", "os.scandir")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def main() -> None:
    """Give up what is not needed, and do what the request asks for."""
    asked = json.loads(sys.argv[1])
    if not deny_network():  # before torch: a process of several threads gets no namespace
        print(
            f"{asked['path']!r}: the kernel gave no namespace; Python's sockets alone are refused"
        )
    from metamers.models.weights import state_dict  # noqa: F401  (maps gigabytes)

    limit(asked["memory"], asked["seconds"])
    sys.addaudithook(refuse_event)
    sys.exit(convert(asked))


def convert(asked: dict[str, Any]) -> int:
    """Convert the file of a request; print the reason, and return `REFUSED`, if it is refused."""
    from metamers.models.weights import state_dict

    path = Path(asked["path"])
    try:
        state_dict.write_entries(path, Layout(**asked["layout"]), Path(asked["part"]))
    except WeightsError as error:
        return _refused(error)
    except (MemoryError, RuntimeError) as error:  # torch's own of memory is a RuntimeError
        told = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        return _refused(UnreadableFileError(f"{str(path)!r} cannot be converted: {told}"))
    return 0


def deny_network() -> bool:
    """Leave the network for good, and end with the parent; return whether the kernel allowed it."""
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(DIE_WITH_PARENT, signal.SIGKILL)
    # Without root, a namespace of users has to come first.
    return libc.unshare(NEW_NETWORK) == 0 or libc.unshare(NEW_USER | NEW_NETWORK) == 0


def limit(memory: int, seconds: int) -> None:
    """Limit what this process may take from now on: bytes of memory and of files, and seconds."""
    limits = {
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_FSIZE: memory,
        resource.RLIMIT_CORE: 0,
    }
    mapped = Path("/proc/self/statm")
    if mapped.exists():  # Linux: elsewhere, what is mapped is not known, nor held to its limit
        pages = int(mapped.read_text().split()[0])
        limits[resource.RLIMIT_AS] = pages * resource.getpagesize() + memory
    for kind, most in limits.items():
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


def refuse_event(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse what reading a file of weights never does (an audit hook)."""
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
    if writes or (event.startswith(REFUSED_EVENTS) and event not in HARMLESS_EVENTS):
        raise PermissionError(f"a file of weights asked for {event!r}")


def _refused(error: WeightsError) -> int:
    print(json.dumps({"kind": type(error).__name__, "message": str(error)}))
    return REFUSED


if __name__ == "__main__":
    main()
