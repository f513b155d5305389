"""Unfinished syntheses on disk: written whole or not at all, and never taken for another job's.

They lie outside the outputs that Snakemake knows of, which it deletes when a job fails. A batch
that is done has its own file, written once; the file of the job has the batches in work.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from metamers.execution.autotuning import TunedSettings
from metamers.execution.batching import Batch, Finished, Progress
from metamers.files import write_atomically
from metamers.synthesis.gradient_agreement import Agreement
from metamers.synthesis.state import Record, State, Synthesis

FORMAT = "metamers-checkpoint-4"
_HASH_LENGTH = 64


class CheckpointError(ValueError):
    """A checkpoint cannot be used; the message says why."""


@dataclass(frozen=True)
class Checkpoint:
    """Where a job keeps its progress.

    Attributes
    ----------
    path
        The file of the batches in work; those that are done lie beside it.
    job
        Digest of everything that defines the job.
    """

    path: Path
    job: str

    def save(self, progress: Progress) -> None:
        """Write the progress: to new files, flushed to the disk, which then take their places.

        Done batches first: killed in between, the job finds one both done and in work, and
        takes it as done.
        """
        for finished in progress.finished:
            path = self._path_of(finished)
            if not path.exists():
                self._write(path, {"rows": finished.rows.tolist()}, _pack_synthesis(finished))
        tensors: dict[str, Tensor] = {}
        waiting = []
        for index, part in enumerate(progress.waiting):
            turn = None if part.state is None else part.state.turn
            waiting.append({"rows": part.rows.tolist(), "turn": turn})
            tensors |= _pack_state(str(index), part.state)
        notes = {
            "waiting": waiting,
            "choices": progress.choices and progress.choices.plain(),
            "devices": progress.devices,
        }
        self._write(self.path, notes, tensors)

    def load(self) -> Progress:
        """Return the progress to go on from: none if there is no checkpoint that can be used.

        A file that cannot be used is set aside, beside its place, and the log says why.
        """
        for draft in self.path.parent.glob(f".{self.path.name}*.tmp"):
            draft.unlink()  # of a process that was killed as it wrote
        progress = Progress()
        for _, notes, tensors in self._readable(finished_files(self.path)):
            rows = np.asarray(notes["rows"])
            progress.finished.append(Finished(rows, _unpack_synthesis(tensors)))
        done = {row for finished in progress.finished for row in finished.rows.tolist()}
        for path, notes, tensors in self._readable([self.path] if self.path.exists() else []):
            progress.choices = notes["choices"] and TunedSettings.of(notes["choices"])
            progress.devices = notes["devices"]
            progress.waiting = [
                Batch(np.asarray(part["rows"]), _unpack_state(str(index), part["turn"], tensors))
                for index, part in enumerate(notes["waiting"])
                if not done.intersection(part["rows"])
            ]
            logging.info("going on from %s", path)
        return progress

    def _path_of(self, finished: Finished) -> Path:
        return self.path.with_name(f"{self.path.name}.done-{finished.rows[0]:05d}")

    def _write(self, path: Path, notes: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        metadata = {"format": FORMAT, "job": self.job, "notes": json.dumps(notes)}
        payload = safetensors.torch.save(tensors, metadata)

        def write(draft: Path) -> None:
            with draft.open("wb") as file:  # in two pieces: a payload may be gigabytes
                file.write(hashlib.sha256(payload).hexdigest().encode())
                file.write(payload)

        write_atomically(path, write)

    def _readable(
        self, paths: list[Path]
    ) -> Iterator[tuple[Path, dict[str, Any], dict[str, Tensor]]]:
        """Yield the content of the files that are the job's, and set the others aside."""
        for path in paths:
            try:
                yield path, *self._read(path)
            except CheckpointError as error:
                aside = set_aside(path)
                logging.warning("checkpoint %s is not used: %s; kept as %s", path, error, aside)

    def _read(self, path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
        payload = _verified(path.read_bytes())
        metadata = _metadata(payload)
        if metadata.get("format") != FORMAT:
            raise CheckpointError(f"its format is {metadata.get('format')!r}, not {FORMAT!r}")
        if metadata["job"] != self.job:
            raise CheckpointError(f"it belongs to another job, {metadata['job']}, not {self.job}")
        return json.loads(metadata["notes"]), safetensors.torch.load(payload)


def finished_files(path: Path) -> list[Path]:
    """Return the files of a job's batches that are done, beside the file of the job."""
    return sorted(path.parent.glob(f"{path.name}.done-?????"))


def remove(path: Path) -> None:
    """Delete a job's checkpoint, since its results are written. Refused ones stay."""
    for file in (*finished_files(path), path):
        file.unlink(missing_ok=True)


def set_aside(path: Path) -> Path:
    """Rename a file that cannot be used, and return its new name."""
    for number in range(1, 1000):
        aside = path.with_name(f"{path.name}.refused-{number}")
        if not aside.exists():
            return path.rename(aside)
    raise CheckpointError(f"there are 999 refused checkpoints beside {path}: delete some")


def _verified(content: bytes) -> bytes:
    checksum, payload = content[:_HASH_LENGTH], content[_HASH_LENGTH:]
    if hashlib.sha256(payload).hexdigest().encode() != checksum:
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


def _pack_agreements(name: str, agreements: Sequence[Agreement]) -> dict[str, Tensor]:
    if not agreements:
        return {}
    return {
        f"{name}.agreement_turns": torch.tensor([one.turn for one in agreements]),
        f"{name}.agreement_steps": torch.tensor([one.step for one in agreements]),
        f"{name}.cosines": torch.from_numpy(np.stack([one.cosines for one in agreements])),
    }


def _unpack_agreements(name: str, tensors: dict[str, Tensor]) -> list[Agreement]:
    if f"{name}.cosines" not in tensors:
        return []
    turns, steps = (tensors[f"{name}.agreement_{which}"].tolist() for which in ("turns", "steps"))
    cosines = tensors[f"{name}.cosines"].numpy()
    return [Agreement(*row) for row in zip(turns, steps, cosines, strict=True)]


def _pack_state(name: str, state: State | None) -> dict[str, Tensor]:
    if state is None:
        return {}
    images = {
        f"{name}.images": state.images.cpu().contiguous(),
        f"{name}.stopped": torch.from_numpy(state.stopped),
    }
    images |= {
        f"{name}.memory.{key}": kept.cpu().contiguous() for key, kept in state.memory.items()
    }
    along = _pack_records(name, state.records) | _pack_agreements(name, state.agreements)
    return images | along


def _unpack_state(name: str, turn: int | None, tensors: dict[str, Tensor]) -> State | None:
    if turn is None:
        return None
    along = _unpack_records(name, tensors), _unpack_agreements(name, tensors)
    prefix = f"{name}.memory."
    memory = {key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)}
    return State(
        turn, tensors[f"{name}.images"], *along, memory, tensors[f"{name}.stopped"].numpy()
    )


def _pack_synthesis(finished: Finished) -> dict[str, Tensor]:
    synthesis = finished.synthesis
    records = _pack_records("done", synthesis.records)
    return (
        records
        | _pack_agreements("done", synthesis.agreements)
        | {
            "metamers": synthesis.metamers,
            "losses_before": torch.from_numpy(synthesis.losses_before),
            "losses_after": torch.from_numpy(synthesis.losses_after),
            "losses_stored": torch.from_numpy(synthesis.losses_stored),
            "steps": torch.from_numpy(synthesis.steps),
            "evaluations": torch.from_numpy(synthesis.evaluations),
        }
    )


def _unpack_synthesis(tensors: dict[str, Tensor]) -> Synthesis:
    return Synthesis(
        metamers=tensors["metamers"],
        losses_before=tensors["losses_before"].numpy(),
        losses_after=tensors["losses_after"].numpy(),
        losses_stored=tensors["losses_stored"].numpy(),
        steps=tensors["steps"].numpy(),
        evaluations=tensors["evaluations"].numpy(),
        records=_unpack_records("done", tensors),
        agreements=_unpack_agreements("done", tensors),
    )
