"""A synthesis job: the models of a set, the images of a shard, batches, and progress kept."""

from __future__ import annotations

import logging
import signal
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metamers import __version__, folding, job, pretrained, provenance, stages
from metamers.bounds import Bound
from metamers.checkpoints import Checkpoint, Progress
from metamers.metamer_files import Metamers
from metamers.plan import Condition
from metamers.recipes import Settings, turns
from metamers.synthesis import State, Synthesis, synthesize, to_8_bits
from metamers.targets import SMALLEST_BATCH
from metamers.zoo import ModelSpec


def device_of(name: str) -> torch.device:
    """Return the device that ``auto`` stands for (CUDA if there is one), or the one named."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


@dataclass(frozen=True)
class Engine:
    """How the work is done: the configuration's ``engine`` section. It changes no meaning.

    Attributes
    ----------
    device
        ``auto``, ``cpu``, ``cuda`` or ``cuda:<n>``.
    batch_size
        Images at a time, at most.
    fold_batch_norm
        Whether batch normalisation is folded into convolutions (a few parts per million).
    channels_last
        Whether tensors are laid out with channels last.
    precision
        ``float32``.
    checkpoint_every
        Turns between checkpoints.
    """

    device: str
    batch_size: int
    fold_batch_norm: bool
    channels_last: bool
    precision: str
    checkpoint_every: int

    def torch_device(self) -> torch.device:
        """Return the device that ``auto`` stands for, or the one named."""
        return device_of(self.device)

    @property
    def memory_format(self) -> torch.memory_format:
        """Return the layout of images and weights."""
        return torch.channels_last if self.channels_last else torch.contiguous_format


@dataclass(frozen=True)
class Work:
    """One synthesis job, in full: what its checkpoint is known by.

    Attributes
    ----------
    condition
        Which cell of the experiments it belongs to.
    models
        Rows of the zoo, in the order of the set.
    depth
        Fraction of the depth that the stage means.
    bound, recipe, seed
        Values of the configuration.
    shard
        Which slice of the images, as ``000-of-004``.
    revision
        Of the algorithm (`metamers.revisions`).
    """

    condition: Condition
    models: Sequence[Mapping[str, Any]]
    depth: float
    bound: Mapping[str, Any]
    recipe: Mapping[str, Any]
    seed: int
    shard: str
    revision: int

    def digest(self, engine: Engine, references: Tensor, image_ids: Sequence[str]) -> str:
        """Return a hash of all that decides the metamers' bits."""
        return provenance.digest(
            {
                "work": repr(self),
                "engine": repr(engine),
                "ids": list(image_ids),
                "references": int(references.to(torch.int64).sum()),
                "torch": torch.__version__,
                "version": __version__,
            }
        )


def deal(image_ids: Sequence[str], shard: str) -> list[int]:
    """Return which images belong to a shard: every n-th, from the shard's own number."""
    index, count = (int(part) for part in shard.split("-of-"))
    return list(range(index, len(image_ids), count))


def split(n_images: int, batch_size: int) -> list[np.ndarray]:
    """Return the indices of the images of each batch: nearly equal, none of a single image."""
    n_batches = max(1, -(-n_images // max(batch_size, SMALLEST_BATCH)))
    while n_batches > 1 and n_images // n_batches < SMALLEST_BATCH:
        n_batches -= 1
    return np.array_split(np.arange(n_images), n_batches)


def prepare_features(
    spec: ModelSpec,
    stage: str,
    depth: float,
    engine: Engine,
    cache: Path,
    images: Tensor,
    identity_relu: bool,
) -> stages.Features:
    """Return a model's function from images to the stage's activation, on the device."""
    classifier = pretrained.classifier(spec, cache)
    module = stages.module_at(classifier.network, spec, stage, depth)
    if engine.fold_batch_norm:
        folded = folding.fold(classifier, images[:SMALLEST_BATCH].cpu(), keep=f"network.{module}")
        logging.info("%s: %d batch normalisations folded", spec.name, folded)
    classifier.to(engine.torch_device()).to(memory_format=engine.memory_format)
    logging.info("%s: %s is %s", spec.name, stage, module)
    return stages.Features(classifier, module, identity_relu)


def run(
    work: Work,
    engine: Engine,
    image_ids: Sequence[str],
    pixels: Tensor,
    cache: Path,
    checkpoint_path: Path,
) -> tuple[Metamers, list[dict[str, Any]]]:
    """Return the metamers of a shard, and the rows of table ``traces``.

    Parameters
    ----------
    work, engine
        What is to be done, and how.
    image_ids, pixels
        All reference images, of which the shard's are taken: uint8, ``(n, 3, side, side)``.
    cache
        Folder of the weights.
    checkpoint_path
        Where progress is kept until the job is done.

    Raises
    ------
    metamers.synthesis.Interrupted
        After SIGTERM or SIGINT; the progress is then in the checkpoint.
    """
    mine = deal(image_ids, work.shard)
    ids, references = [image_ids[i] for i in mine], pixels[mine]
    settings = Settings.of(work.recipe)
    device = engine.torch_device()
    images = (references.float() / 255).to(device).contiguous(memory_format=engine.memory_format)
    features = {
        row["name"]: prepare_features(
            ModelSpec.of(row),
            work.condition.stage,
            work.depth,
            engine,
            cache,
            images,
            settings.target_relu == "identity_gradient",
        )
        for row in work.models
    }
    digest = work.digest(engine, references, ids)
    checkpoint = Checkpoint(checkpoint_path, digest, device)
    parts = _batches(work, engine, settings, features, images, ids, checkpoint)
    metamers = _joined(work, engine, settings, parts, ids, digest)
    rows = _trace_rows(work, parts, ids, split(len(ids), engine.batch_size))
    return metamers, rows


def _batches(
    work: Work,
    engine: Engine,
    settings: Settings,
    features: Mapping[str, stages.Features],
    images: Tensor,
    ids: Sequence[str],
    checkpoint: Checkpoint,
) -> list[Synthesis]:
    progress = checkpoint.load()
    batches = split(len(ids), engine.batch_size)
    plan, _ = turns(settings, len(features), work.seed)
    steps = sum(turn.steps for turn in plan)
    with job.progress(steps * len(batches), str(work.condition)) as bar, asked_to_stop() as stop:
        bar.advance(_steps_done(progress, plan, steps))
        for batch in batches[len(progress.finished) :]:

            def on_turn(state: State) -> None:
                progress.current = state
                turn = plan[state.turn - 1]
                bar.advance(turn.steps, loss=f"{state.records[-1].losses.mean():.4f}")
                if state.turn % engine.checkpoint_every == 0:
                    checkpoint.save(progress)

            try:
                synthesis = synthesize(
                    features,
                    images[torch.from_numpy(batch).to(images.device)],
                    [ids[index] for index in batch],
                    Bound.of(dict(work.bound)),
                    settings,
                    work.seed,
                    state=progress.current,
                    on_turn=on_turn,
                    stop=stop,
                )
            except BaseException:
                checkpoint.save(progress)
                logging.info("stopped; the progress is in %s", checkpoint.path)
                raise
            progress.finished.append(synthesis)
            progress.current = None
            checkpoint.save(progress)
    return progress.finished


def _steps_done(progress: Progress, plan: Sequence[Any], steps: int) -> int:
    current = sum(turn.steps for turn in plan[: progress.current.turn]) if progress.current else 0
    return steps * len(progress.finished) + current


@contextmanager
def asked_to_stop() -> Any:  # noqa: ANN401
    """Yield a function that says whether SIGTERM or SIGINT came since."""
    asked: list[int] = []

    def note(number: int, frame: Any) -> None:  # noqa: ANN401
        asked.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _joined(
    work: Work,
    engine: Engine,
    settings: Settings,
    parts: Sequence[Synthesis],
    ids: Sequence[str],
    digest: str,
) -> Metamers:
    floats = torch.cat([part.metamers for part in parts])
    device = engine.torch_device()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return Metamers(
        image_ids=list(ids),
        models=[row["name"] for row in work.models],
        floats=floats,
        pixels=to_8_bits(floats),
        losses_before=np.concatenate([part.losses_before for part in parts]),
        losses_after=np.concatenate([part.losses_after for part in parts]),
        losses_stored=np.concatenate([part.losses_stored for part in parts]),
        notes={
            "condition": work.condition.columns(),
            "settings": settings.stamp(),
            "bound": dict(work.bound),
            "depth": work.depth,
            "seed": work.seed,
            "revision": work.revision,
            "job": digest,
            "version": __version__,
            "commit": provenance.commit(),
            "torch": torch.__version__,
            "device": name,
        },
    )


def _trace_rows(
    work: Work, parts: Sequence[Synthesis], ids: Sequence[str], batches: Sequence[np.ndarray]
) -> list[dict[str, Any]]:
    columns = work.condition.columns()
    names = [row["name"] for row in work.models]
    return [
        columns
        | {
            "image_id": ids[image],
            "turn": record.turn,
            "step": record.step,
            "model": names[int(record.models[row])],
            "loss": float(record.losses[row]),
            "rate": record.rate,
        }
        for part, batch in zip(parts, batches, strict=True)
        for record in part.records
        for row, image in enumerate(batch)
    ]
