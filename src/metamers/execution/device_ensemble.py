"""The models of a set at work on a device: laid out, moved, timed, and what they take."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from metamers.execution import autotuning, memory, ways
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
    """The models of a set, ready to work.

    Attributes
    ----------
    functions
        For each model images to the activation at the stage.
    fleet
        Moves them.
    needs
        Memory for each image, by model.
    choices
        Layout, ways and threads that were chosen.
    device
        Where they work.
    chunk_size
        Images that a model is given at a time.
    """

    functions: Mapping[str, Activations]
    fleet: ModelOffloader
    needs: Mapping[str, BytesPerImage]
    choices: TunedSettings
    device: torch.device
    chunk_size: int

    @classmethod
    def of(
        cls,
        features: Mapping[str, Features],
        images: Tensor,
        engine: ExecutionSettings,
        turns: Sequence[Sequence[int]],
        choices: TunedSettings | None = None,
    ) -> DeviceEnsemble:
        """Put models to work.

        Parameters
        ----------
        features
            By name, in the order of the set.
        images
            A chunk of references, on the host: what is tried out and measured on.
        engine
            How the work is to be done.
        turns
            Which models each turn needs, by index; none means all.
        choices
            Those of an earlier part of the job, which are kept to; None: they are made here.
        """
        device = engine.torch_device()
        layout = choices.channels_last if choices else _layout(features, images, engine, turns)
        fleet = assembled(features, engine, turns, layout)
        fleet.log()
        placed = to_device(images, device, layout)
        functions = {name: fleet.features(name, one) for name, one in features.items()}
        needs = {name: _need(one, placed) for name, one in functions.items()}
        if choices is None:
            chosen = _ways(features, fleet, placed, engine)
            choices = TunedSettings(layout, chosen, _threads(functions, placed, engine))
        for name in [name for name, way in choices.ways.items() if way == "compiled"]:
            functions[name] = fleet.features(name, ways.compiled(features[name], placed))
        return cls(functions, fleet, needs, choices, device, engine.chunk_size)

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
        graphs = [name for name, way in self.choices.ways.items() if way == "graph"]
        return [name for name in graphs if places[name] == "device" and self.fleet.is_whole]


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
    """Return the fleet of some models, laid out, none of which is on the device yet."""
    device = engine.torch_device()
    layout = torch.channels_last if channels_last else torch.contiguous_format
    weights = {
        name: Weights.of(one.classifier.to("cpu").to(memory_format=layout), device)
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
    target = ModelObjective.of(function, images, chunk_size=len(images))
    activation = torch.as_tensor(target.activations).nbytes
    step = memory.step_bytes(lambda: target.gradient(images), images.device)
    return BytesPerImage(-(-activation // len(images)), -(-step // len(images)))


def _layout(
    features: Mapping[str, Features],
    images: Tensor,
    engine: ExecutionSettings,
    turns: Sequence[Sequence[int]],
) -> bool:
    """Return whether channels come last: as it is said, or as it is faster."""
    if engine.channels_last != "auto":
        return engine.channels_last
    device = engine.torch_device()

    def prepare(channels_last: bool) -> Step:
        fleet = assembled(features, engine, turns, channels_last)
        placed = to_device(images, device, channels_last)
        targets = [_recomputed(fleet.features(name, one), placed) for name, one in features.items()]
        return lambda: torch.stack([target.gradient(placed.flip(0))[0] for target in targets])

    candidates = {"contiguous": partial(prepare, False), "channels_last": partial(prepare, True)}
    clock = autotuning.clock_of(device)
    return autotuning.fastest("memory layout", candidates, clock) == "channels_last"


def _ways(
    features: Mapping[str, Features],
    fleet: ModelOffloader,
    images: Tensor,
    engine: ExecutionSettings,
) -> dict[str, str]:
    """Return for each model the way to run its steps that is fastest here."""
    if engine.compile == "never" or not images.is_cuda or not fleet.is_whole:
        logging.info("steps run as they are written (compile: %s)", engine.compile)
        return dict.fromkeys(features, ways.WAYS[0])
    chosen = {}
    for name, one in features.items():
        fleet.load(name)
        clock = autotuning.clock_of(images.device)
        chosen[name] = autotuning.fastest(f"steps of {name}", ways.candidates(one, images), clock)
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
    return ModelObjective.of(function, images, "recomputed", len(images))
