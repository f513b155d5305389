"""Ways to run a step of one model: as it is written, replayed from a CUDA graph, compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from metamers.execution.autotuning import Step
from metamers.synthesis.cuda_graph import capture_gradient
from metamers.synthesis.objective import Activations, ModelObjective

# The first is the reference. A graph runs the same kernels; a compiler makes others.
WAYS = ("eager", "graph", "compiled")


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


def candidates(features: Activations, images: Tensor) -> dict[str, Callable[[], Step]]:
    """Return for each way the function that prepares a step on a chunk of images."""

    def objective(function: Activations) -> ModelObjective:
        return ModelObjective.of(function, images, chunk_size=len(images))

    def prepare(target: ModelObjective) -> Step:
        moved = images.flip(0)
        return lambda: target.gradient(moved)[0]

    return {
        "eager": lambda: prepare(objective(features)),
        "graph": lambda: prepare(capture_gradient(objective(features))),
        "compiled": lambda: prepare(objective(compiled(features, images))),
    }
