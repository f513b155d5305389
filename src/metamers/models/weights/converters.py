"""Converters for checkpoints whose names or layout cannot be described in a row of the zoo."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from metamers.models.weights import onnx_file, restricted_pickle

Entries = Mapping[str, Tensor]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CAFFE_MEAN = (122.679, 116.669, 104.006)
"""Red, green, blue, in 0..255: what the Keras SqueezeNet's inputs are less of."""

FIRE_MODULES = {2: 3, 3: 4, 4: 6, 5: 7, 6: 9, 7: 10, 8: 11, 9: 12}
"""Keras's number of each fire module, and torchvision's index in ``features``."""


def keras_squeezenet(layers: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, Tensor]:
    """Return torchvision's names and layout for SqueezeNet 1.1 as Keras stores it.

    Kernels are height, width, in, out there, and the input is BGR in 0..255 less the Caffe mean.
    Both are folded into the first convolution, so that the network takes RGB normalised with
    ImageNet's mean and standard deviation.
    """
    modules = {"conv1": "features.0", "conv10": "classifier.1"} | {
        f"fire{fire}/{part}": f"features.{index}.{part.replace('squeeze1x1', 'squeeze')}"
        for fire, index in FIRE_MODULES.items()
        for part in ("squeeze1x1", "expand1x1", "expand3x3")
    }
    entries: dict[str, Tensor] = {}
    for layer, (kernel, bias) in layers.items():
        module = modules.get(layer, layer)
        transposed = np.ascontiguousarray(
            np.transpose(np.asarray(kernel), (3, 2, 0, 1)), dtype=np.float32
        )
        entries[f"{module}.weight"] = torch.from_numpy(transposed)
        entries[f"{module}.bias"] = torch.from_numpy(np.array(bias, dtype=np.float32))
    return fold_caffe_input(entries, "features.0")


def fold_caffe_input(entries: Entries, first: str) -> dict[str, Tensor]:
    """Return the entries with Caffe's input convention folded into the convolution ``first``.

    For an RGB image ``x`` in [0, 1], ``first((x - mean) / std)`` is then what it was for the
    channels reversed, ``255 x`` less the Caffe mean.
    """
    mean, std, caffe_mean = (
        torch.tensor(values, dtype=torch.float64)
        for values in (IMAGENET_MEAN, IMAGENET_STD, CAFFE_MEAN)
    )
    kernel = entries[f"{first}.weight"].double().flip(1)
    shift = kernel.sum(dim=(2, 3)) @ (255 * mean - caffe_mean)
    return dict(entries) | {
        f"{first}.weight": (kernel * 255 * std[:, None, None]).float(),
        f"{first}.bias": (entries[f"{first}.bias"].double() + shift).float(),
    }


def robustbench(content: Mapping) -> dict[str, Tensor]:
    """Return the network's entries of a RobustBench checkpoint, in each layout its loader takes.

    That is: bare, or under ``state_dict`` or ``model``; names with or without ``module.``, then
    ``model.``; with or without the mean and standard deviation of a normalisation, which the row
    states. The loader itself falls back to ``strict=False``; here the names must match.
    """
    for key in ("state_dict", "model"):
        if isinstance(content.get(key), Mapping):
            content = content[key]
    names = {re.sub(r"^(module\.)?(model\.)?", "", name): name for name in content}
    return {
        name: content[stored]
        for name, stored in names.items()
        if name not in ("normalize.mean", "normalize.std")
    }


def old_timm_swin(entries: Entries) -> dict[str, Tensor]:
    """Return timm's present names for a Swin transformer of timm before 0.9.

    Downsampling moved to the start of the next stage, the head one name deeper, and two tables
    that follow from the window size are no longer stored. Present names pass unchanged.
    """
    if "head.fc.weight" in entries:
        return dict(entries)
    derived = re.compile(r"\.(relative_position_index|attn_mask)$")
    return {
        _moved_swin_name(name): value for name, value in entries.items() if not derived.search(name)
    }


def _moved_swin_name(name: str) -> str:
    name = re.sub(r"^head\.(weight|bias)$", r"head.fc.\1", name)
    return re.sub(
        r"^layers\.(\d+)\.downsample", lambda m: f"layers.{int(m[1]) + 1}.downsample", name
    )


def robustbench_old_timm_swin(content: Mapping) -> dict[str, Tensor]:
    """Return `old_timm_swin` of `robustbench`."""
    return old_timm_swin(robustbench(content))


def xcit(content: Mapping) -> dict[str, Tensor]:
    """Return timm's names for an XCiT of its authors, bare or under ``model``.

    The position embedding's module has another name, and the class attention's query, key and
    value are one tensor, which is cut in three. timm's names pass unchanged.
    """
    entries = content["model"] if isinstance(content.get("model"), Mapping) else content
    converted: dict[str, Tensor] = {}
    for stored, value in entries.items():
        name = stored.replace("pos_embeder.", "pos_embed.")
        joint = re.fullmatch(r"(cls_attn_blocks\.\d+\.attn)\.qkv\.(weight|bias)", name)
        if joint is None:
            converted[name] = value
            continue
        for part, third in zip("qkv", value.chunk(3), strict=True):
            converted[f"{joint[1]}.{part}.{joint[2]}"] = third
    return converted


POSITIONS = 16
"""Patches along a side of 224 pixels, for which timm's network has position embeddings."""

DINOV2_MODULES = {
    r"^embeddings\.cls_token$": "cls_token",
    r"^embeddings\.patch_embeddings\.projection\.": "patch_embed.proj.",
    r"^encoder\.layer\.(\d+)\.": r"blocks.\1.",
    r"\.attention\.output\.dense\.": ".attn.proj.",
    r"\.layer_scale(\d)\.lambda1$": r".ls\1.gamma",
    r"^layernorm\.": "norm.",
}


def onnx_dinov2(entries: Entries) -> dict[str, Tensor]:
    """Return timm's names for a transformer in transformers' layout of DINOv2, from ONNX.

    Query, key and value become one tensor. The exporter left the position embeddings of the class
    token and of the patches unnamed; those of the patches are resampled as the exported graph does
    at 224 pixels, by a bicubic filter without antialiasing.
    """
    own = dict(entries)
    token, patches = own.pop("embeddings.Concat_6"), own.pop("embeddings.Reshape_1")
    side = round(patches.shape[1] ** 0.5)
    grid = patches.reshape(1, side, side, -1).movedim(-1, 1)
    grid = functional.interpolate(grid, size=(POSITIONS, POSITIONS), mode="bicubic")
    converted = {"pos_embed": torch.cat([token, grid.flatten(2).transpose(1, 2)], dim=1)}
    for stored in list(own):
        joint = re.fullmatch(r"(.*\.attention\.attention)\.query\.(weight|bias)", stored)
        if joint:
            parts = [own.pop(f"{joint[1]}.{p}.{joint[2]}") for p in ("query", "key", "value")]
            qkv = joint[1].replace(".attention.attention", f".attn.qkv.{joint[2]}")
            own[qkv] = torch.cat(parts)
    for stored, value in own.items():
        name = stored
        for pattern, replacement in DINOV2_MODULES.items():
            name = re.sub(pattern, replacement, name)
        converted[name] = value
    return converted


READERS: dict[str, Callable[[Path], object]] = {
    "keras_squeezenet": restricted_pickle.read_numpy_pickle,
    "onnx_dinov2": onnx_file.read,
}
"""Converters whose file is not a torch or safetensors file, and what reads it."""

CONVERTERS: dict[str, Callable[[Mapping], dict[str, Tensor]]] = {
    "keras_squeezenet": keras_squeezenet,
    "robustbench": robustbench,
    "old_timm_swin": old_timm_swin,
    "onnx_dinov2": onnx_dinov2,
    "robustbench_old_timm_swin": robustbench_old_timm_swin,
    "xcit": xcit,
}
"""What a row's ``weights.layout.convert`` may name."""
