"""Models of a set that does not fit on the device: each is moved there for its turns."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from metamers.execution.memory import GIB
from metamers.synthesis.objective import Activations


def evictions(
    resident: Sequence[str],
    wanted: str,
    sizes: Mapping[str, int],
    budget: float,
    next_use: Mapping[str, int],
) -> list[str]:
    """Return which models leave the device so that another one fits.

    Those that are needed last go first (Belady's rule, which no other beats). Models that take
    turns would drive each other out if the one used longest ago went.

    Parameters
    ----------
    resident
        Models on the device.
    wanted
        The one that is to come.
    sizes
        Bytes of each.
    budget
        Bytes for all of them. A model that alone is larger comes all the same.
    next_use
        For each resident the turn in which it is next used.
    """
    leaving: list[str] = []
    held = sum(sizes[name] for name in resident)
    for name in sorted(resident, key=lambda name: (-next_use[name], name)):
        if held + sizes[wanted] <= budget:
            break
        leaving.append(name)
        held -= sizes[name]
    return leaving


class Movable(Protocol):
    """What a `ModelOffloader` moves."""

    def to_device(self) -> None:
        """Copy it to the device."""

    def to_host(self) -> None:
        """Free its memory on the device."""


@dataclass(frozen=True)
class Weights:
    """The parameters and buffers of a frozen network, which stay on the host as well.

    Attributes
    ----------
    held
        Each tensor of the network, and its values on the host (pinned, if there is a GPU).
    device
        Where they are used.
    """

    held: Sequence[tuple[Tensor, Tensor]]
    device: torch.device

    @classmethod
    def take_over(cls, network: nn.Module, device: torch.device) -> Weights:
        """Take over the tensors of a network that is on the host."""
        tensors = [*network.parameters(), *network.buffers()]
        if device.type == "cuda":
            return cls([(t, t.data.pin_memory()) for t in tensors], device)
        return cls([(t, t.data) for t in tensors], device)

    @property
    def nbytes(self) -> int:
        """Return what they take on the device."""
        return sum(values.nbytes for _, values in self.held)

    def to_device(self) -> None:
        """Copy them to the device, in the layout that they have."""
        for tensor, values in self.held:
            tensor.data = values.to(self.device, non_blocking=True, copy=True)

    def to_host(self) -> None:
        """Let the network have its values on the host; those on the device are freed."""
        for tensor, values in self.held:
            tensor.data = values


@dataclass
class ModelOffloader:
    """The models of a set, of which as many are on the device as the budget allows.

    Attributes
    ----------
    models
        What is moved, by name.
    sizes
        Bytes of each.
    budget
        Bytes for all that are on the device at once.
    uses
        For each model the turns that need it, in order (`metamers.synthesis.settings.turns`).
    turn
        The present one; whoever runs the turns sets it.
    """

    models: Mapping[str, Movable]
    sizes: Mapping[str, int]
    budget: float
    uses: Mapping[str, Sequence[int]]
    turn: int = 0
    resident: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Return whether all models fit on the device together."""
        return sum(self.sizes.values()) <= self.budget

    def load(self, name: str) -> None:
        """Move a model to the device, unless it is there."""
        if name in self.resident:
            return
        next_use = {other: self._next_use(other) for other in self.resident}
        for other in evictions(self.resident, name, self.sizes, self.budget, next_use):
            self.models[other].to_host()
            self.resident.remove(other)
        self.models[name].to_device()
        self.resident.append(name)

    def features(self, name: str, function: Activations) -> Activations:
        """Return a model's function from images to activations, which loads the model first."""

        def load_and_run(images: Tensor) -> Tensor:
            self.load(name)
            return function(images)

        return load_and_run

    def log(self) -> None:
        """Write into the log what fits and what does not."""
        total = sum(self.sizes.values()) / GIB
        if self.is_whole:
            logging.info("the set's weights, %.2f GiB, stay on the device", total)
            return
        logging.info(
            "the set's weights, %.2f GiB, are more than the %.2f GiB that they may take on the "
            "device: each model is moved there for its turns",
            total,
            self.budget / GIB,
        )

    def _next_use(self, name: str) -> int:
        turns = self.uses[name]
        place = bisect_left(turns, self.turn)
        return turns[place] if place < len(turns) else 2**62


def uses_of(turns: Sequence[Sequence[int]], names: Sequence[str]) -> dict[str, list[int]]:
    """Return for each model the turns that need it; a turn of no model needs all."""
    uses: dict[str, list[int]] = {name: [] for name in names}
    for index, models in enumerate(turns):
        for model in models or range(len(names)):
            uses[names[model]].append(index)
    return uses
