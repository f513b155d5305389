"""Finished metamers on disk: one safetensors file per condition and shard."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import safe_open
from torch import Tensor

from metamers import seals
from metamers.files import write_atomically

# Arrays with a row for each image.
PER_IMAGE = ("losses_before", "losses_after", "losses_stored", "steps", "evaluations")


@dataclass(frozen=True)
class Metamers:
    """The metamers of one condition, or of one shard of it.

    Attributes
    ----------
    image_ids
        One per image.
    models
        Members of the set, in order.
    floats
        The metamers as they were optimised, ``(n, 3, side, side)``, float32 in [0, 1].
    pixels
        The same in 8 bits: what is evaluated.
    losses_before, losses_after, losses_stored
        ``(n, models)``, see `metamers.synthesis.state.Synthesis`.
    steps, evaluations
        What each image took, ``(n,)``.
    notes
        What made them: condition, settings, bound, seed, engine, version, commit, device.
    """

    image_ids: Sequence[str]
    models: Sequence[str]
    floats: Tensor
    pixels: Tensor
    losses_before: np.ndarray
    losses_after: np.ndarray
    losses_stored: np.ndarray
    steps: np.ndarray
    evaluations: np.ndarray
    notes: Mapping[str, Any]


def save(path: str | Path, metamers: Metamers) -> None:
    """Write the file, whole or not at all."""
    tensors = {
        "floats": metamers.floats.contiguous(),
        "pixels": metamers.pixels.contiguous(),
    } | {name: torch.from_numpy(getattr(metamers, name)) for name in PER_IMAGE}
    metadata = {
        "image_ids": json.dumps(list(metamers.image_ids)),
        "models": json.dumps(list(metamers.models)),
        "notes": json.dumps(metamers.notes, sort_keys=True),
    }
    content = safetensors.torch.save(tensors, metadata)
    write_atomically(path, seals.sealed_safetensors(content, path))
    seals.seal(path)


def load(paths: str | Path | Sequence[str | Path]) -> Metamers:
    """Return the metamers of one file, or of all shards of a condition, by image id.

    Raises
    ------
    ValueError
        If the files are not of one condition, or an image is there twice.
    """
    files = [paths] if isinstance(paths, str | Path) else list(paths)
    parts = [_load(Path(path)) for path in files]
    first = parts[0]
    for path, part in zip(files, parts, strict=True):
        if part.notes["condition"] != first.notes["condition"] or part.models != first.models:
            raise ValueError(
                f"{path} is of condition {part.notes['condition']!r}; "
                f"{files[0]} is of {first.notes['condition']!r}"
            )
    image_ids = [image_id for part in parts for image_id in part.image_ids]
    if len(set(image_ids)) != len(image_ids):
        raise ValueError(f"an image is in two of the shards {[str(file) for file in files]}")
    order = sorted(range(len(image_ids)), key=image_ids.__getitem__)
    arrays = {
        name: np.concatenate([getattr(part, name) for part in parts])[order] for name in PER_IMAGE
    }
    return Metamers(
        image_ids=[image_ids[index] for index in order],
        models=first.models,
        floats=torch.cat([part.floats for part in parts])[order],
        pixels=torch.cat([part.pixels for part in parts])[order],
        notes=first.notes,
        **arrays,
    )


def notes_of(path: str | Path) -> dict[str, Any]:
    """Return a file's notes, without its images."""
    with safe_open(path, framework="pt") as file:
        return dict(json.loads(file.metadata()["notes"]))


def content_digest(metamers: Metamers) -> str:
    """Return a hash of the images that are evaluated, and of their ids."""
    digest = hashlib.sha256(json.dumps(list(metamers.image_ids)).encode())
    digest.update(metamers.pixels.numpy().tobytes())
    return digest.hexdigest()[:32]


def loss_rows(metamers: Metamers, columns: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the rows of table ``optimisation``: one per image and member."""
    target = metamers.notes["settings"]["budget"].get("until_loss")
    return [
        dict(columns)
        | {
            "image_id": image_id,
            "model": model,
            "loss_before": float(metamers.losses_before[row, column]),
            "loss_after": float(metamers.losses_after[row, column]),
            "loss_stored": float(metamers.losses_stored[row, column]),
            "steps": int(metamers.steps[row]),
            "evaluations": int(metamers.evaluations[row]),
            "target": target,
            "reached": target and bool(metamers.losses_stored[row, column] <= target),
        }
        for row, image_id in enumerate(metamers.image_ids)
        for column, model in enumerate(metamers.models)
    ]


def _load(path: Path) -> Metamers:
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return Metamers(
        image_ids=json.loads(metadata["image_ids"]),
        models=json.loads(metadata["models"]),
        floats=tensors["floats"],
        pixels=tensors["pixels"],
        **{name: tensors[name].numpy() for name in PER_IMAGE},
        notes=json.loads(metadata["notes"]),
    )
