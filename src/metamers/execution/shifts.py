"""A synthesis job at work: taken up where it was left, interruptible, its progress kept."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from types import FrameType

import numpy as np
import torch
from torch import Tensor

from metamers import snakemake_script
from metamers.execution import batching, devices
from metamers.execution.batching import Batch, Progress
from metamers.execution.checkpoints import Checkpoint
from metamers.execution.device_ensemble import DeviceEnsemble, Features, to_device
from metamers.execution.settings import ExecutionSettings
from metamers.execution.spec import SynthesisSpec
from metamers.synthesis.chunks import pad
from metamers.synthesis.settings import Bound, SynthesisSettings, turns
from metamers.synthesis.solver import synthesize
from metamers.synthesis.state import State, Synthesis


@dataclass(frozen=True)
class BatchRun:
    """A job at work.

    Attributes
    ----------
    work, engine
        What is to be done, and how.
    crew
        The models.
    images, ids
        The references of the shard, ``(n, 3, side, side)`` in [0, 1], on the host.
    checkpoint, progress
        Where the progress is kept, and the progress.
    """

    work: SynthesisSpec
    engine: ExecutionSettings
    crew: DeviceEnsemble
    images: Tensor
    ids: Sequence[str]
    checkpoint: Checkpoint
    progress: Progress

    @classmethod
    def begin(
        cls,
        work: SynthesisSpec,
        engine: ExecutionSettings,
        features: Mapping[str, Features],
        images: Tensor,
        ids: Sequence[str],
        checkpoint: Checkpoint,
    ) -> BatchRun:
        """Take a job up where it was left, with the choices that were made then.

        Parameters are those that the attributes are called after; ``features`` are the models',
        on the host.
        """
        progress = checkpoint.load()
        progress.complete(len(ids), engine.batch_size, engine.chunk_size)
        _note_device(progress, devices.describe(engine.torch_device()))
        _keep_threads(progress)
        plan, _ = turns(SynthesisSettings.of(work.recipe), len(features), work.seed)
        chunk = pad(images[: engine.chunk_size], engine.chunk_size)
        crew = DeviceEnsemble.of(
            features, chunk, engine, [turn.models for turn in plan], progress.choices
        )
        progress.choices = crew.choices
        return cls(work, engine, crew, images, ids, checkpoint, progress)

    def finish(self) -> None:
        """Make all images that are not made yet.

        Raises
        ------
        FloatingPointError
            If a loss or a pixel is no finite number.
        metamers.synthesis.solver.Interrupted
            After SIGTERM or SIGINT, which are obeyed when a step ends.
        """
        settings = SynthesisSettings.of(self.work.recipe)
        plan, _ = turns(settings, len(self.crew.functions), self.work.seed)
        steps = [0, *accumulate(turn.steps for turn in plan)]
        total, title = steps[-1] * len(self.ids), str(self.work.condition)
        with (
            snakemake_script.progress(total, title, unit="image-step") as bar,
            stop_on_signal() as stop,
        ):
            bar.advance(self._done(steps))

            def make(part: Batch) -> Synthesis:
                def on_turn(state: State) -> None:
                    moved = (steps[state.turn] - steps[state.turn - 1]) * len(part.rows)
                    bar.advance(moved, loss=f"{np.nanmean(state.records[-1].losses):.4f}")
                    self._note(part, state)

                made = self._make(part, settings, on_turn, stop)
                turns_done = part.state.turn if part.state else 0
                if turns_done < len(plan):  # every image had reached its target
                    bar.advance((steps[-1] - steps[turns_done]) * len(part.rows))
                return made

            batching.run_batches(self.progress, make, self._save, self.engine.chunk_size)

    def _make(
        self,
        part: Batch,
        settings: SynthesisSettings,
        on_turn: Callable[[State], None],
        stop: Callable[[], bool],
    ) -> Synthesis:
        crew, places = self.crew, self.crew.places(len(part.rows))
        crew.fleet.turn = part.state.turn if part.state else 0
        images = self.images[torch.from_numpy(part.rows)]
        try:
            return synthesize(
                crew.functions,
                to_device(images, crew.device, crew.choices.channels_last),
                [self.ids[row] for row in part.rows],
                Bound.of(dict(self.work.bound)),
                settings,
                self.work.seed,
                state=part.state,
                on_turn=on_turn,
                stop=stop,
                places=places,
                graphs=crew.graphs(places),
                chunk_size=self.engine.chunk_size,
            )
        except FloatingPointError as error:
            where = f"{self.work.condition}, stage {self.work.condition.stage!r}"
            raise FloatingPointError(f"{where}: {error}") from error

    def _note(self, part: Batch, state: State) -> None:
        """Keep what a turn came to, and now and then write it down."""
        part.state = state
        self.crew.fleet.turn = state.turn
        if state.turn % self.engine.checkpoint_every == 0:
            self.checkpoint.save(self.progress)

    def _save(self) -> None:
        self.checkpoint.save(self.progress)
        logging.info("the progress is in %s", self.checkpoint.path)

    def _done(self, steps: Sequence[int]) -> int:
        """Return the steps that are done, counted for each image."""
        finished = sum(len(part.rows) for part in self.progress.finished) * steps[-1]
        begun = [(part.state, len(part.rows)) for part in self.progress.waiting]
        return finished + sum(steps[state.turn] * n for state, n in begun if state is not None)


@contextmanager
def stop_on_signal() -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether SIGTERM or SIGINT came since."""
    asked: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        asked.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _note_device(progress: Progress, name: str) -> None:
    if progress.devices and progress.devices[-1] != name:
        logging.warning(
            "this job was begun on %s and goes on on %s: bits may differ from those of a job "
            "that is done on one",
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
