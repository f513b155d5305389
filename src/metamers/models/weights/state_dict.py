"""From a checkpoint's file to the state dict of an architecture, without running its code."""

from __future__ import annotations

import contextlib
import json
import pickle
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from metamers.models.weights import restricted_pickle, verification
from metamers.models.weights.converters import CONVERTERS, READERS
from metamers.models.weights.errors import (
    OtherArchitectureError,
    RenamedKeysError,
    TruncatedFileError,
    UnreadableFileError,
    UnsafePickleError,
    WeightsError,
)
from metamers.models.weights.row import Layout, WeightsRow

SHOWN = 4
"""How many names an error lists."""

LARGEST_UNPACKING = 16
"""How many times its size a checkpoint may unpack to."""

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
INTEGERS = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)

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
    entries = _entries(path, layout)
    expected = model.state_dict()
    if layout.by_order:
        entries = _by_order(entries, expected, path)
    return _matched(entries, expected, path)


def write_entries(path: Path, layout: Layout, target: Path) -> None:
    """Write a checkpoint's tensors into a safetensors file, under the names that the layout gives.

    The format sorts them; its metadata say their order.

    Raises
    ------
    WeightsError
        If the file cannot be read as plain data, or is not of the layout, or has tensors that are
        not arrays of real numbers.
    """
    entries = _entries(path, layout)
    for name, tensor in entries.items():
        _refuse_other_kinds(name, tensor, (*FLOATS, *INTEGERS), "real numbers", path)
    # Each in memory of its own: some are views of others.
    apart = {name: tensor.detach().clone().contiguous() for name, tensor in entries.items()}
    save_file(apart, target, {"order": json.dumps(list(apart))})


def _entries(path: Path, layout: Layout) -> Mapping[str, Tensor]:
    if layout.convert and layout.convert not in CONVERTERS:
        raise WeightsError(
            f"weights.layout.convert is {layout.convert!r}; allowed are {sorted(CONVERTERS)}"
        )
    content = READERS.get(layout.convert, read_checkpoint)(path)
    kept = _kept(_descend(content, layout.nested, path), layout, path)
    entries: Mapping[str, Any] = _renamed(kept, layout, path)
    if layout.convert:
        entries = _converted(entries, layout.convert, path)
    _refuse_other_things(entries, path)
    return entries


def read_checkpoint(path: Path) -> object:
    """Return what a safetensors file or a torch checkpoint holds; no code of it is run.

    Beside tensors and containers, a torch checkpoint may hold `restricted_pickle.PLAIN_DATA`.

    Raises
    ------
    UnsafePickleError
        If it asks for anything else.
    WebPageError, TruncatedFileError, UnreadableFileError
        If it is a web page, ends too early, or is no checkpoint.
    """
    verification.check_form(path, WeightsRow(source="local", file=path.name))
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    plain: list[Any] = [(value, name) for name, value in restricted_pickle.PLAIN_DATA.items()]
    try:
        if verification.is_zip(path):
            _refuse_zip_bomb(path)
        with (
            torch.serialization.safe_globals(plain),
            warnings.catch_warnings(action="ignore", category=UserWarning),
        ):
            return torch.load(path, map_location="cpu", weights_only=True)
    except UnsafePickleError as error:
        raise UnsafePickleError(f"{str(path)!r} {error}") from error
    except pickle.UnpicklingError as error:
        raise _unpickling_error(path, str(error)) from error
    except EOFError as error:
        raise TruncatedFileError(f"{str(path)!r} ends within its pickle") from error
    except WeightsError:
        raise
    except Exception as error:  # a made-up pickle can make any of them
        raise UnreadableFileError(
            f"{str(path)!r} is not a torch checkpoint: {type(error).__name__}: {error}"
        ) from error


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, "pt") as file:
            order = (file.metadata() or {}).get("order")
        entries = load_file(path)
        return {name: entries[name] for name in json.loads(order)} if order else entries
    except Exception as error:  # a made-up header can make any of them
        raise UnreadableFileError(f"{str(path)!r} is not a safetensors file: {error}") from error


def _refuse_zip_bomb(path: Path) -> None:
    """Refuse a zip file that unpacks to far more than it holds; torch packs nothing."""
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > LARGEST_UNPACKING * path.stat().st_size:
        raise UnreadableFileError(
            f"{str(path)!r} has {path.stat().st_size:,} bytes and unpacks to {unpacked:,}; "
            "expected is a torch checkpoint, which is not compressed"
        )


def _unpickling_error(path: Path, message: str) -> WeightsError:
    """Return our error for torch's, which does not always say what the pickle asked for."""
    asked = re.findall(r"GLOBAL (\S+)", message)[:1] or [
        name
        for name in restricted_pickle.names_in(_pickle_of(path))
        if name not in restricted_pickle.PLAIN_DATA and not name.startswith(TORCH_NAMES)
    ]
    if asked:
        return UnsafePickleError(f"{str(path)!r} {restricted_pickle.refusal(asked[0])}")
    # torch's own text advises to run what is in the file; its reason is a line further down.
    reason = re.search(r"WeightsUnpickler error:\s*(.+)", message)
    said = reason[1] if reason else message.splitlines()[0]
    return UnreadableFileError(f"{str(path)!r} is not a torch checkpoint: {said}")


def _pickle_of(path: Path) -> bytes:
    """Return the pickle in a torch checkpoint; of a broken zip file, nothing."""
    if not verification.is_zip(path):
        return path.read_bytes()
    with contextlib.suppress(Exception), zipfile.ZipFile(path) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))
    return b""


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
            f"{str(path)!r} holds {_shown(content)}, not a state dict. "
            "Look at the row's weights.layout.nested"
        )
    return content


def _converted(entries: Mapping, converter: str, path: Path) -> Mapping[str, Tensor]:
    try:
        return CONVERTERS[converter](entries)
    except Exception as error:  # what a file of another layout makes it raise
        raise RenamedKeysError(
            f"{str(path)!r} is not of the layout that weights.layout.convert {converter!r} reads: "
            f"{type(error).__name__}: {error}"
        ) from error


def _kept(entries: Mapping, layout: Layout, path: Path) -> dict:
    strange = [name for name in entries if not isinstance(name, str)]
    if strange:
        raise RenamedKeysError(
            f"{str(path)!r} has entries without a name: the first is {_shown(strange[0])}. "
            "Look at the row's weights.layout.nested"
        )
    kept = {
        name.removeprefix(layout.keep): value
        for name, value in entries.items()
        if name.startswith(layout.keep) and name not in layout.drop
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
            f"{str(path)!r} has {len(other)} entries that are not tensors; the first, {name!r}, is "
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
    _refuse_other_numbers(entries, expected, path)
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


def _refuse_other_numbers(
    entries: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path
) -> None:
    """Refuse integers or complex numbers for weights, the reverse, and weights that are none."""
    for name, tensor in expected.items():
        met = entries.get(name)
        if met is None or name.endswith(COUNTER):
            continue
        kinds = FLOATS if tensor.is_floating_point() else INTEGERS
        _refuse_other_kinds(name, met, kinds, str(tensor.dtype), path)
        if not torch.isfinite(met).all():
            raise UnreadableFileError(
                f"{str(path)!r} has NaN or infinite numbers in {name!r}; the file is damaged, or "
                "its training failed"
            )


def _refuse_other_kinds(
    name: str, met: Tensor, kinds: tuple[torch.dtype, ...], expected: str, path: Path
) -> None:
    if met.layout != torch.strided or met.device.type != "cpu" or met.dtype not in kinds:
        raise OtherArchitectureError(
            f"{str(path)!r} has {name!r} as {met.dtype} ({met.layout}, {met.device}); expected is "
            f"{expected}. Look at the row's architecture and file"
        )


def _shown(content: object) -> str:
    """Describe something without its values, which a malicious file may have chosen."""
    if isinstance(content, Mapping):
        names = [name[:80] if isinstance(name, str) else type(name).__name__ for name in content]
        return f"a mapping of {len(content)} entries, {names[:SHOWN]}"
    return f"a {type(content).__name__}"
