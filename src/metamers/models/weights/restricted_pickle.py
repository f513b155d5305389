"""Read pickles as plain data: names outside a short list are refused, so that no code runs."""

from __future__ import annotations

import contextlib
import io
import pickle
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from metamers.models.weights.errors import (
    TruncatedFileError,
    UnreadableFileError,
    UnsafePickleError,
)

Plain = type | Callable[..., object]

# numpy has moved this function twice; pickles name the module of their day.
_RECONSTRUCT: Plain = np.empty(0).__reduce__()[0]  # type: ignore[assignment]

SCALAR_KINDS = "biufc"


def plain_scalar(dtype: np.dtype, content: bytes | str) -> bool | int | float | complex:
    """Return the Python number that a pickled numpy scalar holds.

    Raises
    ------
    UnsafePickleError
        If it is no number.
    """
    if not isinstance(dtype, np.dtype) or dtype.kind not in SCALAR_KINDS:
        raise UnsafePickleError(f"a pickled numpy scalar has the type {dtype!r}, not a number's")
    raw = content.encode("latin1") if isinstance(content, str) else content
    return np.frombuffer(raw, dtype=dtype, count=1)[0].item()


def plain_bytes(text: str, encoding: str) -> bytes:
    """Return the bytes that pickles of protocol 0 to 2 hold as text.

    Raises
    ------
    UnsafePickleError
        If the encoding is another one than pickle's: encodings are looked up by running code.
    """
    if encoding not in ("latin1", "latin-1"):
        raise UnsafePickleError(f"a pickle asks for the encoding {encoding!r}; bytes have latin1")
    return text.encode("latin1")


def plain_array(content: bytes, dtype: np.dtype, shape: tuple[int, ...], order: str) -> np.ndarray:
    """Return the array that pickles of protocol 5 hold as a buffer."""
    return np.frombuffer(content, dtype=dtype).reshape(shape, order="F" if order == "F" else "C")


ARRAYS: dict[str, Plain] = {
    "_codecs.encode": plain_bytes,
    "numpy.core.numeric._frombuffer": plain_array,
    "numpy._core.numeric._frombuffer": plain_array,
    "numpy.ndarray": np.ndarray,
    "numpy.dtype": np.dtype,
    "numpy.core.multiarray._reconstruct": _RECONSTRUCT,
    "numpy._core.multiarray._reconstruct": _RECONSTRUCT,
}
"""What a pickle of numpy arrays names."""

PLAIN_DATA: dict[str, Plain] = ARRAYS | {
    "numpy.core.multiarray.scalar": plain_scalar,
    "numpy._core.multiarray.scalar": plain_scalar,
    "argparse.Namespace": Namespace,
}
"""What torch checkpoints may name beside tensors: arguments and numbers of a training script."""


class _PlainDataUnpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, allowed: Mapping[str, Plain], path: Path) -> None:
        # latin1: how numpy arrays of Python 2 are read (numpy.load's documentation).
        super().__init__(file, encoding="latin1")
        self._allowed = allowed
        self._path = path

    def find_class(self, module: str, name: str) -> Plain:
        if f"{module}.{name}" not in self._allowed:
            raise refusal(self._path, f"{module}.{name}")
        return self._allowed[f"{module}.{name}"]


def read_numpy_pickle(path: Path) -> object:
    """Return the lists, dicts, numbers, strings and numpy arrays of a pickle.

    Raises
    ------
    UnsafePickleError
        If it names anything else; nothing that it names is imported or called.
    TruncatedFileError, UnreadableFileError
        If it ends too early; if it is no pickle.
    """
    file = io.BytesIO(path.read_bytes())
    try:
        content = _PlainDataUnpickler(file, ARRAYS, path).load()
    except EOFError as error:
        raise TruncatedFileError(f"{str(path)!r} ends within its pickle") from error
    except pickle.UnpicklingError as error:
        kind = TruncatedFileError if "truncated" in str(error) else UnreadableFileError
        raise kind(f"{str(path)!r} is no whole pickle: {error}") from error
    if file.read(1):
        raise UnreadableFileError(f"{str(path)!r} goes on after its pickle; expected is one pickle")
    return content


class _Inert:
    """Stands for anything that a pickle names, and does nothing."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


class _NamingUnpickler(pickle.Unpickler):
    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)
        super().__init__(self._file, encoding="latin1")
        self.names: list[str] = []

    def left(self) -> bool:
        return self._file.tell() < len(self._file.getbuffer())

    def find_class(self, module: str, name: str) -> Plain:
        self.names.append(f"{module}.{name}")
        return _Inert

    def persistent_load(self, pid: object) -> object:
        return _Inert()


def names_in(data: bytes) -> list[str]:
    """Return what a pickle names, up to where it cannot be followed; nothing is imported."""
    unpickler = _NamingUnpickler(data)
    # Whatever an inert thing cannot do, or a broken pickle, ends the list.
    with contextlib.suppress(Exception):
        while unpickler.left():  # torch's old format is several pickles in a row
            unpickler.load()
    return unpickler.names


def refusal(path: Path, name: str) -> UnsafePickleError:
    """Return the error for a pickle that names something which is not plain data."""
    return UnsafePickleError(
        f"{str(path)!r} asks for {name!r}, which is not plain data, so it was not read and nothing "
        "in it was run. If you trust its origin, convert it to safetensors elsewhere: "
        "docs/weights.md, section 'Checkpoints with code in them'"
    )
