"""Settings that are timed before they are used: memory layout, backend of a step, threads."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from metamers.synthesis.cuda_graph import capture_gradient
from metamers.synthesis.objective import Activations, ModelObjective

GAIN = 0.03  # what a candidate must save to be taken instead of the first
TOLERANCE = 1e-2  # of the gradient's norm; a candidate that is further off is wrong
WARM, TIMED = 2, 5
# How a step runs. The first is the reference; a graph runs its kernels, a compiler makes others.
BACKENDS = ("eager", "graph", "compiled")

Step = Callable[[], Tensor]


@dataclass(frozen=True)
class TunedSettings:
    """What was chosen for a job, and is kept when it resumes: other kernels give other bits.

    Attributes
    ----------
    channels_last
        Memory layout of images and weights.
    backends
        For each model how its step is run, one of `BACKENDS`.
    threads
        Of the processor, for one operation; some kernels sum in another order with another
        number of them. 0 on a GPU.
    """

    channels_last: bool
    backends: Mapping[str, str]
    threads: int

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> TunedSettings:
        """Read what `plain` returns."""
        return cls(bool(values["channels_last"]), dict(values["backends"]), int(values["threads"]))

    def plain(self) -> dict[str, Any]:
        """Return the choices as plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Trial:
    """How a candidate did.

    Attributes
    ----------
    seconds
        Median time of a step; infinite if it did not run.
    deviation
        Of its gradient from the first candidate's, relative to the latter's norm.
    error
        Why it did not run; empty if it did.
    """

    seconds: float
    deviation: float = 0.0
    error: str = ""

    def __str__(self) -> str:
        """Return the trial in a few words."""
        if self.error:
            return f"does not run ({self.error})"
        return f"{1000 * self.seconds:.2f} ms, gradient off by {self.deviation:.1g}"


def fastest(
    title: str,
    candidates: Mapping[str, Callable[[], Step]],
    clock: Callable[[], float] = time.perf_counter,
) -> str:
    """Return the name of the candidate whose steps are fastest, and log how all did.

    The first is the reference: another is taken only if its gradient agrees with the first's
    and it is faster by a few percent.

    Parameters
    ----------
    title
        What is tried, for the log.
    candidates
        By name, a function that prepares a step; the step returns its gradient.
    clock
        Seconds; it must wait for the device (`clock_of`).

    Raises
    ------
    Exception
        What the first candidate raises; what the others raise counts against them.
    """
    names = list(candidates)
    expected, seconds = _time(candidates[names[0]], clock)
    trials = {names[0]: Trial(seconds)}
    for name in names[1:]:
        trials[name] = _try(candidates[name], expected, clock)
    chosen = min(names, key=lambda name: _handicapped(trials[name], name == names[0]))
    results = "; ".join(f"{name} {trial}" for name, trial in trials.items())
    logging.info("%s: %s; taken: %s", title, results, chosen)
    return chosen


def traced(features: Activations, images: Tensor) -> Activations:
    """Return the operations of a forward that stops at the stage, in a straight line.

    No hook and no exception is left in it, so that a compiler sees all of it at once. It is for
    chunks of the shape of ``images`` alone.
    """
    with torch.no_grad():
        return make_fx(features)(images)


def compiled(features: Activations, images: Tensor) -> Activations:
    """Return a forward to the stage that `torch.compile` has made for chunks of this shape."""
    function: Any = torch.compile(traced(features, images), dynamic=False)
    return function


def backend_candidates(features: Activations, images: Tensor) -> dict[str, Callable[[], Step]]:
    """Return for each of `BACKENDS` the function that prepares a step on a chunk of images."""

    def objective(function: Activations) -> ModelObjective:
        return ModelObjective.prepare(function, images, chunk_size=len(images))

    def prepare(target: ModelObjective) -> Step:
        moved = images.flip(0)
        return lambda: target.gradient(moved)[0]

    return {
        "eager": lambda: prepare(objective(features)),
        "graph": lambda: prepare(capture_gradient(objective(features))),
        "compiled": lambda: prepare(objective(compiled(features, images))),
    }


def clock_of(device: torch.device) -> Callable[[], float]:
    """Return a clock that waits until the device has done what it was given."""

    def clock() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    return clock


def _handicapped(trial: Trial, first: bool) -> float:
    if first:
        return trial.seconds * (1 - GAIN)
    return trial.seconds if trial.deviation <= TOLERANCE else float("inf")


def _try(prepare: Callable[[], Step], expected: Tensor, clock: Callable[[], float]) -> Trial:
    try:
        found, seconds = _time(prepare, clock)
    except Exception as error:  # whatever a compiler may raise
        return Trial(float("inf"), error=f"{type(error).__name__}: {str(error).splitlines()[:1]}")
    difference = torch.linalg.vector_norm(found - expected) / torch.linalg.vector_norm(expected)
    return Trial(seconds, float(difference))


def _time(prepare: Callable[[], Step], clock: Callable[[], float]) -> tuple[Tensor, float]:
    """Return a step's gradient, and its median time after some steps that warm up."""
    step = prepare()
    for _ in range(WARM):
        gradient = step()
    marks = [clock()]
    for _ in range(TIMED):
        step()
        marks.append(clock())
    return gradient.clone(), median(b - a for a, b in pairwise(marks))
