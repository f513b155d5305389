"""From a checkpoint's file to the state dict of an architecture, without running its code."""

from __future__ import annotations

import json
import pickle
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from metamers.models.weights import restricted_pickle, verification
from metamers.models.weights.converters import CONVERTERS, READERS
from metamers.models.weights.errors import (
    OtherArchitectureError,
    RenamedKeysError,
    TruncatedFileError,
    UnreadableFileError,
    WeightsError,
)
from metamers.models.zoo import Layout, Weights

SHOWN = 4
"""How many names an error lists."""

COUNTER = "num_batches_tracked"

TORCH_NAMES = ("torch.", "collections.OrderedDict", "_codecs.encode")
"""What each torch checkpoint names."""


def state_dict(path: Path, layout: Layout, model: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint under exactly the names and shapes of ``model``.

    The layout is applied in this order: ``nested``, ``keep``, ``drop`` (names as they are stored),
    ``rename``, ``convert``, ``by_order``. The counters ``num_batches_tracked``, which old
    checkpoints lack and inference never reads, are filled in.

    Parameters
    ----------
    path
        A safetensors file, a torch checkpoint, or what the layout's converter reads.
    layout
        The row's ``weights.layout``.
    model
        The architecture itself, without a normalisation in front.

    Raises
    ------
    WeightsError
        If the file cannot be read as plain data, or its names or shapes, after the layout, are
        not those of the model; the subclass says in which way.
    """
    if layout.convert and layout.convert not in CONVERTERS:
        raise WeightsError(
            f"weights.layout.convert is {layout.convert!r}; allowed are {sorted(CONVERTERS)}"
        )
    content = READERS.get(layout.convert, read_checkpoint)(path)
    entries = _renamed(_kept(_descend(content, layout.nested, path), layout, path), layout, path)
    if layout.convert:
        entries = CONVERTERS[layout.convert](entries)
    _refuse_other_things(entries, path)
    expected = model.state_dict()
    if layout.by_order:
        entries = _by_order(entries, expected, path)
    return _matched(entries, expected, path)


def read_checkpoint(path: Path) -> object:
    """Return what a safetensors file or a torch checkpoint holds; no code of it is run.

    Beside tensors and containers, a torch checkpoint may hold `restricted.PLAIN_DATA`.

    Raises
    ------
    UnsafePickleError
        If it asks for anything else.
    WebPageError, TruncatedFileError, UnreadableFileError
        If it is a web page, ends too early, or is no checkpoint.
    """
    verification.check_form(path, Weights(source="local", file=path.name))
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    plain = [(value, name) for name, value in restricted_pickle.PLAIN_DATA.items()]
    try:
        # numpy makes the class of a dtype on the fly; torch asks for it by its own name.
        with (
            torch.serialization.safe_globals([*plain, *_NUMBER_DTYPES]),
            warnings.catch_warnings(action="ignore", category=UserWarning),
        ):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _unpickling_error(path, str(error)) from error
    except EOFError as error:
        raise TruncatedFileError(f"{str(path)!r} ends within its pickle") from error
    except (RuntimeError, ValueError, KeyError, AttributeError, TypeError) as error:
        if isinstance(error, WeightsError):
            raise
        raise UnreadableFileError(f"{str(path)!r} is no torch checkpoint: {error}") from error


_NUMBER_DTYPES = [type(torch.empty(0, dtype=kind).numpy().dtype) for kind in (
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
    torch.float16, torch.float32, torch.float64, torch.complex64, torch.complex128,
)]  # fmt: skip


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, json.JSONDecodeError) as error:
        raise UnreadableFileError(f"{str(path)!r} is no safetensors file: {error}") from error


def _unpickling_error(path: Path, message: str) -> WeightsError:
    """Return our error for torch's, which tells only sometimes what the pickle asked for."""
    asked = re.search(r"GLOBAL (\S+)", message)
    if asked:
        return restricted_pickle.refusal(path, asked.group(1))
    for name in restricted_pickle.names_in(_pickle_of(path)):
        if name not in restricted_pickle.PLAIN_DATA and not name.startswith(TORCH_NAMES):
            return restricted_pickle.refusal(path, name)
    return UnreadableFileError(f"{str(path)!r} is no torch checkpoint: {message.splitlines()[0]}")


def _pickle_of(path: Path) -> bytes:
    if not zipfile.is_zipfile(path):
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("data.pkl")]
        return archive.read(pickles[0]) if pickles else b""


def _descend(content: object, nested: tuple[str, ...], path: Path) -> Mapping:
    for key in nested:
        if not isinstance(content, Mapping) or key not in content:
            raise RenamedKeysError(
                f"{str(path)!r} has no entry {key!r} to descend to; there is {_shown(content)}. "
                "Look at the row's weights.layout.nested"
            )
        content = content[key]
    if not isinstance(content, Mapping):
        raise RenamedKeysError(
            f"{str(path)!r} holds {_shown(content)}, no state dict. "
            "Look at the row's weights.layout.nested"
        )
    return content


def _kept(entries: Mapping, layout: Layout, path: Path) -> dict:
    kept = {
        str(name).removeprefix(layout.keep): value
        for name, value in entries.items()
        if str(name).startswith(layout.keep) and name not in layout.drop
    }
    if not kept:
        raise RenamedKeysError(
            f"{str(path)!r} has no entry that begins with {layout.keep!r}; there is "
            f"{_shown(entries)}. Look at the row's weights.layout.keep"
        )
    return kept


def _renamed(entries: Mapping, layout: Layout, path: Path) -> dict:
    renamed: dict = {}
    for stored, value in entries.items():
        name = stored
        for pattern, replacement in layout.rename.items():
            name = re.sub(pattern, replacement, name)
        if name in renamed:
            raise RenamedKeysError(
                f"{str(path)!r}: two entries become {name!r} by the row's weights.layout.rename, "
                f"the second is {stored!r}"
            )
        renamed[name] = value
    return renamed


def _refuse_other_things(entries: Mapping, path: Path) -> None:
    other = {name: value for name, value in entries.items() if not isinstance(value, Tensor)}
    if other:
        name, value = next(iter(other.items()))
        raise RenamedKeysError(
            f"{str(path)!r} has {len(other)} entries that are no tensors; the first, {name!r}, is "
            f"{_shown(value)}. Look at the row's weights.layout.nested"
        )


def _by_order(
    entries: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path
) -> dict[str, Tensor]:
    if len(entries) != len(expected):
        raise OtherArchitectureError(
            f"{str(path)!r} has {len(entries)} entries; the architecture has {len(expected)}, and "
            "they are to be matched by order. Look at the row's architecture"
        )
    return dict(zip(expected, entries.values(), strict=True))


def _matched(
    entries: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path
) -> dict[str, Tensor]:
    counters = {n: t for n, t in expected.items() if n.endswith(COUNTER)}
    entries = counters | dict(entries)
    missing = [name for name in expected if name not in entries]
    unexpected = [name for name in entries if name not in expected]
    _refuse_other_shapes(entries, expected, path)
    if not missing and not unexpected:
        return {name: entries[name] for name in expected}
    met = (
        f"{str(path)!r} lacks {len(missing)} of {len(expected)} names, {missing[:SHOWN]}, and has "
        f"{len(unexpected)} that the architecture does not know, {unexpected[:SHOWN]}"
    )
    same_shapes = _shapes(entries, unexpected) == _shapes(expected, missing)
    if missing and unexpected and not same_shapes:
        raise OtherArchitectureError(
            f"{met}; their shapes differ too. Look at the row's architecture and file"
        )
    raise RenamedKeysError(f"{met}. Look at the row's weights.layout")


def _shapes(entries: Mapping[str, Tensor], names: list[str]) -> Counter[torch.Size]:
    return Counter(entries[name].shape for name in names if not name.endswith(COUNTER))


def _refuse_other_shapes(
    entries: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path
) -> None:
    other = [
        (name, tuple(entries[name].shape), tuple(tensor.shape))
        for name, tensor in expected.items()
        if name in entries and entries[name].shape != tensor.shape
    ]
    if other:
        raise OtherArchitectureError(
            f"{str(path)!r} has {len(other)} tensors of other shapes than the architecture; "
            f"(name, met, expected): {other[:SHOWN]}. Look at the row's architecture and file"
        )


def _shown(content: object) -> str:
    if isinstance(content, Mapping):
        return f"a mapping of {len(content)} entries, {list(content)[:SHOWN]}"
    return f"a {type(content).__name__}"
