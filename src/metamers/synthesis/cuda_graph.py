"""A model's gradient replayed from a CUDA graph."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from metamers.synthesis.objective import ModelObjective

_WARM_UP_STEPS = 3


def capture_gradient(target: ModelObjective) -> ModelObjective:
    """Return an objective whose gradient is replayed from a CUDA graph: one launch, same kernels.

    The graph holds on to the memory of the references' activations, which must be on the GPU.
    """
    images = target.references.clone()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # what libraries set up when they are first called
        for _ in range(_WARM_UP_STEPS):
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
