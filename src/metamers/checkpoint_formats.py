"""From a checkpoint's file to the state dict of an architecture, without running its code."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from metamers import restricted
from metamers.weight_errors import (
    OtherArchitectureError,
    RenamedKeysError,
    UnreadableFileError,
    UnsafePickleError,
    WeightsError,
)
from metamers.zoo import Layout

SHOWN = 4


def state_dict(path: Path, layout: Layout, model: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint under exactly the names and shapes of ``model``.

    ``model`` is the architecture itself, without a normalisation in front. The counters
    ``num_batches_tracked``, which old checkpoints lack and inference never reads, are filled in.

    Raises
    ------
    WeightsError
        If the file cannot be read as plain data, or its names or shapes, after the layout, are
        not those of the model; the subclass says in which way.
    """
    content = READERS.get(layout.convert, read_checkpoint)(path)
    entries = _named(_descend(content, layout.nested, path), layout, path)
    if layout.convert:
        entries = _converter(layout.convert)(entries, model)
    expected = model.state_dict()
    if layout.by_order:
        entries = _by_order(entries, expected, path)
    return _matched(entries, expected, path)


def read_checkpoint(path: Path) -> Any:
    """Return what a safetensors file or a torch checkpoint holds; no code of it is run."""
    if path.suffix == ".safetensors":
        return load_file(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UnsafePickleError(
            f"{str(path)!r} holds more than tensors and was not loaded: {error}"
        ) from error
    except (RuntimeError, EOFError, ValueError) as error:
        raise UnreadableFileError(f"{str(path)!r} is no torch checkpoint: {error}") from error


def keras_squeezenet(layers: Mapping[str, Any], model: nn.Module) -> dict[str, Tensor]:
    """Return torchvision's names and layout for SqueezeNet 1.1 as Keras stores it.

    Kernels are height, width, in, out there, and the input is BGR in 0..255 less the Caffe mean.
    Both are folded into the first convolution, so that the network takes RGB normalised with
    ImageNet's mean and standard deviation.
    """
    blocks = dict(zip(range(2, 10), (3, 4, 6, 7, 9, 10, 11, 12), strict=True))
    modules = {"conv1": "features.0", "conv10": "classifier.1"} | {
        f"fire{fire}/{part}": f"features.{index}.{part.replace('squeeze1x1', 'squeeze')}"
        for fire, index in blocks.items()
        for part in ("squeeze1x1", "expand1x1", "expand3x3")
    }
    entries: dict[str, Tensor] = {}
    for layer, (kernel, bias) in layers.items():
        module = modules.get(layer, layer)
        entries[f"{module}.weight"] = torch.from_numpy(
            np.ascontiguousarray(np.transpose(kernel, (3, 2, 0, 1)), dtype=np.float32)
        )
        entries[f"{module}.bias"] = torch.from_numpy(np.array(bias, dtype=np.float32))
    return _fold_caffe_input(entries, "features.0")


def _fold_caffe_input(entries: dict[str, Tensor], first: str) -> dict[str, Tensor]:
    mean = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64)
    std = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64)
    caffe_mean = torch.tensor([122.679, 116.669, 104.006], dtype=torch.float64)
    kernel = entries[f"{first}.weight"].double().flip(1)
    per_channel = kernel.sum(dim=(2, 3))
    bias = entries[f"{first}.bias"].double() + per_channel @ (255 * mean - caffe_mean)
    return entries | {
        f"{first}.weight": (kernel * 255 * std[:, None, None]).float(),
        f"{first}.bias": bias.float(),
    }


READERS: dict[str, Callable[[Path], Any]] = {"keras_squeezenet": restricted.read_numpy_pickle}
CONVERTERS: dict[str, Callable[[Any, nn.Module], dict[str, Tensor]]] = {
    "keras_squeezenet": keras_squeezenet
}


def _converter(name: str) -> Callable[[Any, nn.Module], dict[str, Tensor]]:
    if name not in CONVERTERS:
        raise WeightsError(
            f"the row's layout names the converter {name!r}; there are {sorted(CONVERTERS)}"
        )
    return CONVERTERS[name]


def _descend(content: Any, nested: tuple[str, ...], path: Path) -> Mapping[str, Any]:
    for key in nested:
        if not isinstance(content, Mapping) or key not in content:
            met = sorted(map(str, content))[:SHOWN] if isinstance(content, Mapping) else content
            raise RenamedKeysError(
                f"{str(path)!r} has no entry {key!r} to descend to; its entries are {met!r}. "
                "Look at the row's weights.layout.nested"
            )
        content = content[key]
    if not isinstance(content, Mapping):
        raise RenamedKeysError(f"{str(path)!r} holds a {type(content).__name__}, no state dict")
    return content


def _named(entries: Mapping[str, Any], layout: Layout, path: Path) -> dict[str, Any]:
    kept = {
        name.removeprefix(layout.keep): value
        for name, value in entries.items()
        if name.startswith(layout.keep) and name not in layout.drop
    }
    if not kept:
        raise RenamedKeysError(
            f"{str(path)!r} has no entry that begins with {layout.keep!r}; it begins with "
            f"{list(entries)[:SHOWN]}. Look at the row's weights.layout"
        )
    return kept


def _by_order(
    entries: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path
) -> dict[str, Tensor]:
    if len(entries) != len(expected):
        raise OtherArchitectureError(
            f"{str(path)!r} has {len(entries)} entries; the architecture has {len(expected)}"
        )
    return dict(zip(expected, entries.values(), strict=True))


def _matched(
    entries: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path
) -> dict[str, Tensor]:
    counters = {n: t for n, t in expected.items() if n.endswith(".num_batches_tracked")}
    entries = counters | dict(entries)
    missing = [name for name in expected if name not in entries]
    unexpected = [name for name in entries if name not in expected]
    if missing or unexpected:
        raise RenamedKeysError(
            f"{str(path)!r} lacks {len(missing)} names ({missing[:SHOWN]}) and has "
            f"{len(unexpected)} that the architecture has not ({unexpected[:SHOWN]}). "
            "Look at the row's weights.layout"
        )
    other = [n for n in expected if entries[n].shape != expected[n].shape]
    if other:
        shapes = [(n, tuple(entries[n].shape), tuple(expected[n].shape)) for n in other[:SHOWN]]
        raise OtherArchitectureError(
            f"{str(path)!r} has {len(other)} tensors of other shapes than the architecture "
            f"(name, met, expected): {shapes}. Look at the row's architecture"
        )
    return {name: entries[name] for name in expected}
