"""A synthesis job, from top to bottom: load the models, make batch after batch, keep the progress.

A job may be interrupted at any instant. What it has done is in its checkpoint, and the same job,
begun again, goes on from there with the same bits.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from types import FrameType

import numpy as np
import torch
from torch import Tensor

from metamers import snakemake_script
from metamers.execution import batching, devices, outputs, precision
from metamers.execution.batching import Batch, Progress
from metamers.execution.checkpoints import Checkpoint
from metamers.execution.device_ensemble import DeviceEnsemble, to_device
from metamers.execution.loading import load_features
from metamers.execution.outputs import SynthesisOutputs
from metamers.execution.settings import ExecutionSettings
from metamers.execution.spec import SynthesisSpec
from metamers.synthesis.chunks import pad
from metamers.synthesis.settings import Bound, SynthesisSettings, Turn, turns
from metamers.synthesis.solver import synthesize
from metamers.synthesis.state import State, Synthesis


def deal(image_ids: Sequence[str], shard: str) -> list[int]:
    """Return which images belong to a shard: every n-th, from the shard's own number."""
    index, count = (int(part) for part in shard.split("-of-"))
    return list(range(index, len(image_ids), count))


def run(
    spec: SynthesisSpec,
    engine: ExecutionSettings,
    image_ids: Sequence[str],
    pixels: Tensor,
    cache: Path,
    checkpoint_path: Path,
) -> SynthesisOutputs:
    """Make the metamers of a shard.

    On a GPU, the job waits for one that no other job of this machine has.

    Parameters
    ----------
    spec, engine
        What is to be done, and how.
    image_ids, pixels
        All reference images, of which the shard's are taken: uint8, ``(n, 3, side, side)``.
    cache
        Folder of the weights, which are there already: nothing is fetched.
    checkpoint_path
        Where progress is kept until the job is done (`metamers.execution.checkpoints.remove`).

    Raises
    ------
    metamers.models.weights.errors.WeightsError
        If weights are missing or wrong.
    FloatingPointError
        If a loss or a pixel is no finite number; the progress before it is in the checkpoint.
    metamers.synthesis.solver.Interrupted
        After SIGTERM or SIGINT; the progress is then in the checkpoint.
    """
    rows = deal(image_ids, spec.shard)
    ids, references = [image_ids[row] for row in rows], pixels[rows]
    images = references.float() / 255
    with devices.acquire_device(engine.device) as device:
        precision.prepare(engine.precision, device)
        engine = replace(engine, device=str(device))
        features, weights, modules = load_features(spec, engine, images, cache)
        digest = spec.digest(engine, references, ids, weights)
        checkpoint = Checkpoint(checkpoint_path, digest)
        progress = _resume(checkpoint, engine, len(ids))
        settings = SynthesisSettings.of(spec.recipe)
        plan, _ = turns(settings, len(features), spec.seed)
        ensemble = DeviceEnsemble.prepare(
            features,
            pad(images[: engine.chunk_size], engine.chunk_size),
            engine,
            [turn.models for turn in plan],
            progress.choices,
        )
        progress.choices = ensemble.choices
        job = _Job(spec, engine, settings, plan, ensemble, images, ids, checkpoint, progress)
        job.make_all()
    return SynthesisOutputs(
        outputs.join_batches(spec, engine, progress, ids, digest, weights, modules),
        outputs.trace(spec, progress, ids),
        outputs.gradient_agreement(spec, progress, ids),
    )


@contextmanager
def stop_on_signal() -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether SIGTERM or SIGINT has come."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass(frozen=True)
class _Job:
    """A job at work: what it was asked, what it works with, and its progress."""

    spec: SynthesisSpec
    engine: ExecutionSettings
    settings: SynthesisSettings
    plan: Sequence[Turn]
    ensemble: DeviceEnsemble
    images: Tensor
    ids: Sequence[str]
    checkpoint: Checkpoint
    progress: Progress

    def make_all(self) -> None:
        """Make all images that are not made yet."""
        steps = [0, *accumulate(turn.steps for turn in self.plan)]
        total, title = steps[-1] * len(self.ids), str(self.spec.condition)
        if not self.spec.shard.endswith("-of-001"):
            title += f" {self.spec.shard}"
        done = self._steps_done(steps)
        with (
            snakemake_script.progress(total, title, "image-step", done) as bar,
            stop_on_signal() as stop,
        ):

            def make(batch: Batch) -> Synthesis:
                def on_turn(state: State) -> None:
                    moved = (steps[state.turn] - steps[state.turn - 1]) * len(batch.rows)
                    bar.advance(moved, loss=f"{np.nanmean(state.records[-1].losses):.4f}")
                    self._record(batch, state)

                made = self._make(batch, on_turn, stop)
                turns_done = batch.state.turn if batch.state else 0
                if turns_done < len(self.plan):  # every image had reached its target
                    bar.advance((steps[-1] - steps[turns_done]) * len(batch.rows))
                return made

            batching.run_batches(self.progress, make, self._save, self.engine.chunk_size)

    def _make(
        self, batch: Batch, on_turn: Callable[[State], None], stop: Callable[[], bool]
    ) -> Synthesis:
        ensemble, places = self.ensemble, self.ensemble.places(len(batch.rows))
        ensemble.offloader.turn = batch.state.turn if batch.state else 0
        images = self.images[torch.from_numpy(batch.rows)]
        try:
            return synthesize(
                ensemble.functions,
                to_device(images, ensemble.device, ensemble.choices.channels_last),
                [self.ids[row] for row in batch.rows],
                Bound.of(dict(self.spec.bound)),
                self.settings,
                self.spec.seed,
                state=batch.state,
                on_turn=on_turn,
                stop=stop,
                places=places,
                graphs=ensemble.graphs(places),
                chunk_size=self.engine.chunk_size,
            )
        except FloatingPointError as error:
            where = f"{self.spec.condition}, stage {self.spec.condition.stage!r}"
            raise FloatingPointError(f"{where}: {error}") from error

    def _record(self, batch: Batch, state: State) -> None:
        """Keep the state after a turn; every few turns, write it down."""
        batch.state = state
        self.ensemble.offloader.turn = state.turn
        if state.turn % self.engine.checkpoint_every == 0:
            self.checkpoint.save(self.progress)

    def _save(self) -> None:
        self.checkpoint.save(self.progress)
        logging.info("the progress is in %s", self.checkpoint.path)

    def _steps_done(self, steps: Sequence[int]) -> int:
        """Return the steps that are done, counted for each image."""
        finished = sum(len(batch.rows) for batch in self.progress.finished) * steps[-1]
        begun = [(batch.state, len(batch.rows)) for batch in self.progress.waiting]
        return finished + sum(steps[state.turn] * n for state, n in begun if state is not None)


def _resume(checkpoint: Checkpoint, engine: ExecutionSettings, n_images: int) -> Progress:
    """Return the progress to go on from, with batches for all images that are not done."""
    progress = checkpoint.load()
    progress.complete(n_images, engine.batch_size, engine.chunk_size)
    _record_device(progress, devices.describe(engine.torch_device()))
    _keep_threads(progress)
    return progress


def _record_device(progress: Progress, name: str) -> None:
    if progress.devices and progress.devices[-1] != name:
        logging.warning(
            "this job was begun on %s and continues on %s: its bits may differ from those of a "
            "job that is done on one device",
            *(progress.devices[-1], name),
        )
    if name not in progress.devices[-1:]:
        progress.devices.append(name)


def _keep_threads(progress: Progress) -> None:
    """Go on with as many threads as before: with another number some kernels sum otherwise."""
    threads = progress.choices.threads if progress.choices else 0
    if threads and threads != torch.get_num_threads():
        logging.warning("this job was begun with %d threads, and goes on with as many", threads)
        torch.set_num_threads(threads)
