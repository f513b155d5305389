"""Read pickles as plain data: names outside a short list are refused, so that no code runs."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from metamers.weight_errors import UnsafePickleError

# numpy has moved this function twice; pickles name the module of their day.
_RECONSTRUCT: Callable[..., Any] = np.empty(0).__reduce__()[0]

NUMPY_NAMES: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
}


class _PlainDataUnpickler(pickle.Unpickler):
    def __init__(self, data: bytes, allowed: dict[tuple[str, str], Any], path: Path) -> None:
        super().__init__(io.BytesIO(data), encoding="latin1")
        self._allowed = allowed
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._allowed:
            allowed = ", ".join(sorted(".".join(pair) for pair in self._allowed))
            raise UnsafePickleError(
                f"{str(self._path)!r} asks for '{module}.{name}', which is not plain data; "
                f"allowed are {allowed}. Nothing was run. See docs/weights.md, 'Pickles'"
            )
        return self._allowed[module, name]


def read_numpy_pickle(path: Path) -> Any:
    """Return the lists, dicts, numbers, strings and numpy arrays of a pickle.

    Raises
    ------
    UnsafePickleError
        If it names anything else; nothing that it names is imported or called.
    """
    return _PlainDataUnpickler(path.read_bytes(), NUMPY_NAMES, path).load()
