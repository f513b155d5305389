"""Ways to run a step of one model: as it is written, replayed from a CUDA graph, compiled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from metamers.execution.autotuning import Step
from metamers.synthesis.objective import Activations, ModelObjective

# The first is the reference. A graph runs the same kernels; a compiler makes others.
WAYS = ("eager", "graph", "compiled")
_WARM = 3


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


def captured(target: ModelObjective) -> ModelObjective:
    """Return a target whose gradient is replayed from a CUDA graph: one launch, same kernels.

    The graph holds on to the memory of the references' activations, which must be on the GPU.
    """
    images = target.references.clone()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # what libraries set up when they are first called
        for _ in range(_WARM):
            target.gradient(images)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        gradient, losses = target.gradient(images)

    def replay(given: Tensor) -> tuple[Tensor, Tensor]:
        images.copy_(given)
        graph.replay()
        return gradient, losses.clone()

    return replace(target, replay=replay)


def candidates(features: Activations, images: Tensor) -> dict[str, Callable[[], Step]]:
    """Return for each way the function that prepares a step on a chunk of images."""

    def objective(function: Activations) -> ModelObjective:
        return ModelObjective.of(function, images, chunk_size=len(images))

    def prepare(target: ModelObjective) -> Step:
        moved = images.flip(0)
        return lambda: target.gradient(moved)[0]

    return {
        "eager": lambda: prepare(objective(features)),
        "graph": lambda: prepare(captured(objective(features))),
        "compiled": lambda: prepare(objective(compiled(features, images))),
    }
