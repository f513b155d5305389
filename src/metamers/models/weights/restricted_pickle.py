"""Read pickles as plain data: names outside a short list are refused, so that no code runs."""

from __future__ import annotations

import contextlib
import io
import pickle
import re
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from metamers.models.weights.errors import (
    TruncatedFileError,
    UnreadableFileError,
    UnsafePickleError,
)

Plain = type | Callable[..., object]

NUMBERS = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|c8|c16)")
"""Numpy's names of the types that are read: none that holds a pointer."""


class PlainDtype:
    """A type of numbers, in place of ``numpy.dtype``, which a pickle can also make of pointers."""

    def __init__(self, name: str, *_: object) -> None:
        if not isinstance(name, str) or not NUMBERS.fullmatch(name):
            met = repr(name[:40]) if isinstance(name, str) else f"a {type(name).__name__}"
            raise UnsafePickleError(f"has a numpy type that is {met}, not a number's")
        self.dtype = np.dtype(name)

    def __setstate__(self, state: tuple[object, ...]) -> None:
        """Take over the byte order; a pickle of a number's type says no more."""
        _, order, *parts = state[:5]  # version, order, subarray, names and fields of a structure
        if order not in ("<", ">", "|", "=") or any(part is not None for part in parts):
            raise UnsafePickleError("has a numpy type with parts, so it is not a number's")
        self.dtype = self.dtype.newbyteorder(cast(Any, order))


class PlainArray:
    """An array of numbers, in place of ``numpy.ndarray``, which reads memory where it is told."""

    def __init__(self, *_: object) -> None:
        self.array: NDArray[Any] = np.empty(0)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take over what `numpy.ndarray.__reduce__` writes: shape, type, order and bytes."""
        _, shape, dtype, is_fortran, content = state
        self.array = plain_array(content, dtype, shape, "F" if is_fortran else "C").array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: ANN401
        """Return numpy's array."""
        return np.array(self.array, dtype=dtype, copy=copy)


def plain_array(
    content: bytes | str, dtype: PlainDtype, shape: tuple[int, ...], order: str
) -> PlainArray:
    """Return an array of a pickle's bytes; those of Python 2 are text.

    Raises
    ------
    UnsafePickleError
        If it is not an array of numbers.
    """
    if not isinstance(dtype, PlainDtype):
        raise UnsafePickleError(f"has an array whose type is a {type(dtype).__name__}")
    raw = content.encode("latin1") if isinstance(content, str) else bytes(content)
    made = PlainArray()
    made.array = np.frombuffer(raw, dtype=dtype.dtype).reshape(
        shape, order="F" if order == "F" else "C"
    )
    return made


def plain_scalar(dtype: PlainDtype, content: bytes | str) -> bool | int | float | complex:
    """Return the Python number that a pickled numpy scalar holds.

    Raises
    ------
    UnsafePickleError
        If it is no number.
    """
    return plain_array(content, dtype, (), "C").array.item()


def plain_bytes(text: str, encoding: str) -> bytes:
    """Return the bytes that pickles of protocol 0 to 2 hold as text.

    Raises
    ------
    UnsafePickleError
        If the encoding is another one than pickle's: encodings are looked up by running code.
    """
    if encoding not in ("latin1", "latin-1"):
        raise UnsafePickleError("asks for another encoding than latin1, which bytes have")
    return text.encode("latin1")


def _new_array(*_: object) -> PlainArray:
    return PlainArray()


ARRAYS: dict[str, Plain] = {
    "_codecs.encode": plain_bytes,
    "numpy.ndarray": PlainArray,
    "numpy.dtype": PlainDtype,
    # numpy has moved these twice; pickles name the module of their day.
    "numpy.core.numeric._frombuffer": plain_array,
    "numpy._core.numeric._frombuffer": plain_array,
    "numpy.core.multiarray._reconstruct": _new_array,
    "numpy._core.multiarray._reconstruct": _new_array,
}
"""What a pickle of numpy arrays names, and what is called in its place."""

PLAIN_DATA: dict[str, Plain] = ARRAYS | {
    "numpy.core.multiarray.scalar": plain_scalar,
    "numpy._core.multiarray.scalar": plain_scalar,
    "argparse.Namespace": Namespace,
}
"""What torch checkpoints may name beside tensors: arguments and numbers of a training script."""


class _Inert:
    """Stands for anything that a pickle names, and does nothing."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


# Python's own unpickler, not the one in C, which takes 34 GB for a memo of one high number.
_PythonUnpickler: Any = pickle._Unpickler  # typeshed knows little of it


class _Unpickler(_PythonUnpickler):  # type: ignore[misc]
    dispatch: ClassVar = dict(_PythonUnpickler.dispatch)

    def load_build(self) -> None:
        """Set the state of one of our own objects; never attributes of a function or a class."""
        state = self.stack.pop()
        if not isinstance(self.stack[-1], PlainDtype | PlainArray | _Inert):
            raise UnsafePickleError("sets attributes of what is not an array")
        self.stack[-1].__setstate__(state)

    dispatch[pickle.BUILD[0]] = load_build
    # Read as bytes are: an array of bytes would be made, at its stated length, before it is read.
    dispatch[pickle.BYTEARRAY8[0]] = _PythonUnpickler.load_binbytes8


class _PlainDataUnpickler(_Unpickler):
    def __init__(self, file: io.BytesIO, allowed: Mapping[str, Plain]) -> None:
        # latin1: how numpy arrays of Python 2 are read (numpy.load's documentation).
        super().__init__(file, encoding="latin1")
        self._allowed = allowed

    def find_class(self, module: str, name: str) -> Plain:
        if f"{module}.{name}" not in self._allowed:
            raise refusal(f"{module}.{name}")
        return self._allowed[f"{module}.{name}"]


def read_numpy_pickle(path: Path) -> object:
    """Return the lists, dicts, numbers, strings and arrays (`PlainArray`) of a pickle.

    Raises
    ------
    UnsafePickleError
        If it names anything else; nothing that it names is imported or called.
    TruncatedFileError, UnreadableFileError
        If it ends too early; if it is no pickle.
    """
    file = io.BytesIO(path.read_bytes())
    try:
        content = _PlainDataUnpickler(file, ARRAYS).load()
    except UnsafePickleError as error:
        raise UnsafePickleError(f"{str(path)!r} {error}") from error
    except EOFError as error:
        raise TruncatedFileError(f"{str(path)!r} ends within its pickle") from error
    except Exception as error:  # a made-up pickle can make any of them
        kind = TruncatedFileError if "truncated" in str(error) else UnreadableFileError
        raise kind(f"{str(path)!r} is not a complete pickle: {error}") from error
    if file.read(1):
        raise UnreadableFileError(f"{str(path)!r} goes on after its pickle; expected is one pickle")
    return content


class _NamingUnpickler(_Unpickler):
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


def refusal(name: str) -> UnsafePickleError:
    """Return the error for a pickle that names something which is not plain data."""
    return UnsafePickleError(
        f"asks for {name[:80]!r}, which is not plain data, so it was not read and nothing "
        "in it was run. If you trust its origin, convert it to safetensors elsewhere: "
        "docs/weights.md, section 'Checkpoints with code in them'"
    )
