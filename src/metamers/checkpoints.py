"""Unfinished syntheses on disk: written whole or not at all, and never taken for another job's.

They lie outside the outputs that Snakemake knows of, which it deletes when a job fails.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from safetensors import safe_open
from torch import Tensor

from metamers.synthesis import Record, State, Synthesis

FORMAT = "metamers-checkpoint-1"
_HASH_LENGTH = 64


class CheckpointError(ValueError):
    """A checkpoint cannot be used; the message says why."""


@dataclass
class Progress:
    """How far a job is: the batches that are finished, and the state of the current one."""

    finished: list[Synthesis] = field(default_factory=list)
    current: State | None = None


@dataclass(frozen=True)
class Checkpoint:
    """Where a job keeps its progress.

    Attributes
    ----------
    path
        The file.
    job
        Digest of everything that defines the job.
    device
        Where the tensors are to be when they are read.
    """

    path: Path
    job: str
    device: torch.device

    def save(self, progress: Progress) -> None:
        """Write the progress: to a new file, flushed to the disk, which then takes the place."""
        tensors: dict[str, Tensor] = {}
        for index, synthesis in enumerate(progress.finished):
            tensors |= _pack_synthesis(f"finished.{index}", synthesis)
        if progress.current is not None:
            tensors |= _pack_records("current", progress.current.records)
            tensors["current.images"] = progress.current.images.cpu().contiguous()
        notes = {
            "format": FORMAT,
            "job": self.job,
            "finished": str(len(progress.finished)),
            "turn": str(progress.current.turn) if progress.current else "",
        }
        write_whole(self.path, _sealed(safetensors.torch.save(tensors, notes)))

    def load(self) -> Progress:
        """Return the progress to go on from: none if there is no checkpoint that can be used.

        One that cannot be used is set aside, beside its place, and the log says why.
        """
        if not self.path.exists():
            return Progress()
        try:
            progress = self._read()
        except CheckpointError as error:
            aside = set_aside(self.path)
            logging.warning("checkpoint %s is not used: %s; kept as %s", self.path, error, aside)
            return Progress()
        logging.info("going on from %s", self.path)
        return progress

    def remove(self) -> None:
        """Delete the checkpoint: the job is done."""
        self.path.unlink(missing_ok=True)

    def _read(self) -> Progress:
        payload = _unsealed(self.path.read_bytes())
        tensors = safetensors.torch.load(payload)
        notes = _metadata(payload)
        if notes.get("format") != FORMAT:
            raise CheckpointError(f"its format is {notes.get('format')!r}, not {FORMAT!r}")
        if notes["job"] != self.job:
            raise CheckpointError(f"it belongs to another job, {notes['job']}, not {self.job}")
        finished = [
            _unpack_synthesis(f"finished.{index}", tensors)
            for index in range(int(notes["finished"]))
        ]
        if not notes["turn"]:
            return Progress(finished)
        images = tensors["current.images"].to(self.device)
        state = State(int(notes["turn"]), images, _unpack_records("current", tensors))
        return Progress(finished, state)


def write_whole(path: Path, payload: bytes) -> None:
    """Write a file so that after a power cut there is the old one or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with draft.open("wb") as file:
        file.write(payload)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def set_aside(path: Path) -> Path:
    """Rename a file that cannot be used, and return its new name."""
    for number in range(1, 1000):
        aside = path.with_name(f"{path.name}.refused-{number}")
        if not aside.exists():
            return path.rename(aside)
    raise CheckpointError(f"there are 999 refused checkpoints beside {path}: delete some")


def _sealed(payload: bytes) -> bytes:
    return hashlib.sha256(payload).hexdigest().encode() + payload


def _unsealed(content: bytes) -> bytes:
    seal, payload = content[:_HASH_LENGTH], content[_HASH_LENGTH:]
    if hashlib.sha256(payload).hexdigest().encode() != seal:
        raise CheckpointError("its hash is not that of its content: it is damaged")
    return payload


def _metadata(payload: bytes) -> dict[str, str]:
    length = int.from_bytes(payload[:8], "little")
    return json.loads(payload[8 : 8 + length])["__metadata__"]


def _pack_records(name: str, records: Sequence[Record]) -> dict[str, Tensor]:
    if not records:
        return {}
    return {
        f"{name}.turns": torch.tensor([record.turn for record in records]),
        f"{name}.steps": torch.tensor([record.step for record in records]),
        f"{name}.rates": torch.tensor([record.rate for record in records], dtype=torch.float64),
        f"{name}.models": torch.from_numpy(np.stack([record.models for record in records])),
        f"{name}.losses": torch.from_numpy(np.stack([record.losses for record in records])),
    }


def _unpack_records(name: str, tensors: dict[str, Tensor]) -> list[Record]:
    if f"{name}.turns" not in tensors:
        return []
    columns = (tensors[f"{name}.{column}"] for column in ("turns", "steps", "rates"))
    arrays = (tensors[f"{name}.{column}"].numpy() for column in ("models", "losses"))
    return [Record(*row) for row in zip(*(c.tolist() for c in columns), *arrays, strict=True)]


def _pack_synthesis(name: str, synthesis: Synthesis) -> dict[str, Tensor]:
    return _pack_records(name, synthesis.records) | {
        f"{name}.metamers": synthesis.metamers,
        f"{name}.losses_before": torch.from_numpy(synthesis.losses_before),
        f"{name}.losses_after": torch.from_numpy(synthesis.losses_after),
        f"{name}.losses_stored": torch.from_numpy(synthesis.losses_stored),
    }


def _unpack_synthesis(name: str, tensors: dict[str, Tensor]) -> Synthesis:
    return Synthesis(
        metamers=tensors[f"{name}.metamers"],
        losses_before=tensors[f"{name}.losses_before"].numpy(),
        losses_after=tensors[f"{name}.losses_after"].numpy(),
        losses_stored=tensors[f"{name}.losses_stored"].numpy(),
        records=_unpack_records(name, tensors),
    )


def read_metadata(path: Path) -> dict[str, str]:
    """Return the metadata of a safetensors file."""
    with safe_open(path, framework="pt") as file:
        return file.metadata()
