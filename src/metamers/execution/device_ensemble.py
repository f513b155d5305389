"""The models of a set on a device: their memory layout, backends, threads and memory."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from metamers.execution import autotuning, memory
from metamers.execution.autotuning import Step, TunedSettings
from metamers.execution.memory import GIB
from metamers.execution.offloading import ModelOffloader, Weights, uses_of
from metamers.execution.precision import Bfloat16Features
from metamers.execution.settings import ExecutionSettings
from metamers.models import stages
from metamers.synthesis.chunks import padded_rows
from metamers.synthesis.objective import Activations, ModelObjective, Placement

# Of the memory that a GPU has free, what the weights of a set may take if nothing is said.
WEIGHTS_SHARE = 0.5

Features = stages.Features | Bfloat16Features


@dataclass(frozen=True)
class BytesPerImage:
    """Bytes that a model takes for each image: kept for its reference, and during a step."""

    activation: int
    step: int


@dataclass(frozen=True)
class DeviceEnsemble:
    """The models of a set, ready on their device.

    Attributes
    ----------
    functions
        For each model images to the activation at the stage.
    offloader
        Moves them between host and device.
    needs
        Memory for each image, by model.
    choices
        Layout, backends and threads that were chosen.
    device
        Where they work.
    chunk_size
        Images that a model is given at a time.
    """

    functions: Mapping[str, Activations]
    offloader: ModelOffloader
    needs: Mapping[str, BytesPerImage]
    choices: TunedSettings
    device: torch.device
    chunk_size: int

    @classmethod
    def prepare(
        cls,
        features: Mapping[str, Features],
        images: Tensor,
        engine: ExecutionSettings,
        turns: Sequence[Sequence[int]],
        choices: TunedSettings | None = None,
    ) -> DeviceEnsemble:
        """Lay models out on the device, measure what they take, and time what is to be chosen.

        Parameters
        ----------
        features
            By name, in the order of the set.
        images
            A chunk of references, on the host, to measure and time with.
        engine
            How the job is to be done.
        turns
            Which models each turn needs, by index; none means all.
        choices
            Those that the job began with, which are kept; None: they are made here.
        """
        device = engine.torch_device()
        layout = choices.channels_last if choices else _layout(features, images, engine, turns)
        offloader = assembled(features, engine, turns, layout)
        offloader.log()
        placed = to_device(images, device, layout)
        functions = {name: offloader.features(name, one) for name, one in features.items()}
        needs = {name: _need(one, placed) for name, one in functions.items()}
        if choices is None:
            chosen = _backends(features, offloader, placed, engine)
            choices = TunedSettings(layout, chosen, _threads(functions, placed, engine))
        for name in [name for name, backend in choices.backends.items() if backend == "compiled"]:
            functions[name] = offloader.features(name, autotuning.compiled(features[name], placed))
        return cls(functions, offloader, needs, choices, device, engine.chunk_size)

    def places(self, n_images: int) -> dict[str, Placement]:
        """Return where the references' activations of a batch are kept, and log it."""
        padded = len(padded_rows(n_images, self.chunk_size))
        sizes = {name: need.activation * padded for name, need in self.needs.items()}
        working = self.chunk_size * max(need.step for need in self.needs.values())
        free = memory.free_on(self.device)
        host = memory.spare(memory.free_on_host(), 0) if self.device.type == "cuda" else 0
        places = memory.place_activations(sizes, memory.spare(free, working), host)
        listed = ", ".join(f"{name} {sizes[name] / GIB:.3f} {places[name]}" for name in sizes)
        logging.info(
            "%d images; GiB free %.2f, for a step %.2f, for activations of the references: %s",
            *(n_images, free / GIB, working / GIB, listed),
        )
        return places

    def graphs(self, places: Mapping[str, Placement]) -> list[str]:
        """Return the models whose steps are replayed from CUDA graphs.

        What a graph has recorded must stay where it was; the bits are those of an eager step.
        """
        graphs = [name for name, backend in self.choices.backends.items() if backend == "graph"]
        return [name for name in graphs if places[name] == "device" and self.offloader.is_whole]


def to_device(images: Tensor, device: torch.device, channels_last: bool) -> Tensor:
    """Return images on a device, in a layout."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return images.to(device).contiguous(memory_format=layout)


def assembled(
    features: Mapping[str, Features],
    engine: ExecutionSettings,
    turns: Sequence[Sequence[int]],
    channels_last: bool,
) -> ModelOffloader:
    """Return the offloader of some models, in a memory layout; none is on the device yet."""
    device = engine.torch_device()
    layout = torch.channels_last if channels_last else torch.contiguous_format
    weights = {
        name: Weights.take_over(one.classifier.to("cpu").to(memory_format=layout), device)
        for name, one in features.items()
    }
    sizes = {name: one.nbytes for name, one in weights.items()}
    return ModelOffloader(weights, sizes, _budget(engine), uses_of(turns, list(features)))


def _budget(engine: ExecutionSettings) -> float:
    """Return the bytes that the weights of a set may take on the device."""
    device = engine.torch_device()
    if engine.model_memory is not None:
        return engine.model_memory * GIB
    return WEIGHTS_SHARE * memory.free_on(device) if device.type == "cuda" else float("inf")


def _need(function: Activations, images: Tensor) -> BytesPerImage:
    """Measure on a few images what a model takes for each."""
    target = ModelObjective.prepare(function, images, chunk_size=len(images))
    activation = torch.as_tensor(target.activations).nbytes
    step = memory.step_bytes(lambda: target.gradient(images), images.device)
    return BytesPerImage(-(-activation // len(images)), -(-step // len(images)))


def _layout(
    features: Mapping[str, Features],
    images: Tensor,
    engine: ExecutionSettings,
    turns: Sequence[Sequence[int]],
) -> bool:
    """Return whether channels come last: as the engine says, or for ``auto`` what is faster."""
    if engine.channels_last != "auto":
        return engine.channels_last
    device = engine.torch_device()

    def prepare(channels_last: bool) -> Step:
        offloader = assembled(features, engine, turns, channels_last)
        placed = to_device(images, device, channels_last)
        targets = [
            _recomputed(offloader.features(name, one), placed) for name, one in features.items()
        ]
        return lambda: torch.stack([target.gradient(placed.flip(0))[0] for target in targets])

    candidates = {"contiguous": partial(prepare, False), "channels_last": partial(prepare, True)}
    clock = autotuning.clock_of(device)
    return autotuning.fastest("memory layout", candidates, clock) == "channels_last"


def _backends(
    features: Mapping[str, Features],
    offloader: ModelOffloader,
    images: Tensor,
    engine: ExecutionSettings,
) -> dict[str, str]:
    """Return for each model the backend that runs its steps fastest here."""
    if engine.compile == "never" or not images.is_cuda or not offloader.is_whole:
        logging.info("steps run eagerly (compile: %s)", engine.compile)
        return dict.fromkeys(features, autotuning.BACKENDS[0])
    chosen = {}
    for name, one in features.items():
        offloader.load(name)
        clock = autotuning.clock_of(images.device)
        chosen[name] = autotuning.fastest(
            f"steps of {name}", autotuning.backend_candidates(one, images), clock
        )
    return chosen


def _threads(
    functions: Mapping[str, Activations], images: Tensor, engine: ExecutionSettings
) -> int:
    """Return how many threads work: those given, or the fastest number up to that; 0 on a GPU."""
    given = torch.get_num_threads()
    if images.is_cuda:
        return 0
    if engine.threads == "given" or given == 1:
        return given
    targets = [_recomputed(function, images) for function in functions.values()]
    moved = images.flip(0)

    def prepare(count: int) -> Step:
        torch.set_num_threads(count)
        return lambda: torch.stack([target.gradient(moved)[0] for target in targets])

    counts = [given >> halvings for halvings in range(given.bit_length())]
    candidates = {f"{count}": partial(prepare, count) for count in counts}
    chosen = int(autotuning.fastest("threads", candidates, autotuning.clock_of(images.device)))
    torch.set_num_threads(chosen)
    return chosen


def _recomputed(function: Activations, images: Tensor) -> ModelObjective:
    """Return an objective of one chunk that keeps no activation."""
    return ModelObjective.prepare(function, images, "recomputed", len(images))
