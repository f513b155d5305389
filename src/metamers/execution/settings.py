"""How the work is done: the configuration's ``engine`` section."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch

from metamers.config import revisions
from metamers.execution.devices import device_of


@dataclass(frozen=True)
class ExecutionSettings:
    """How the work is done: the configuration's ``engine`` section.

    It decides how metamers are computed, never which.

    Attributes
    ----------
    device
        ``auto``, ``cpu``, ``cuda`` or ``cuda:<n>``.
    batch_size
        Images at a time, at most: fewer when memory runs out.
    chunk_size
        Of a batch, images that a network is given at a time; always as many, since that decides
        the rounding.
    fold_batch_norm
        Whether batch normalisation is folded into convolutions (a few parts per million).
    channels_last
        Whether tensors are laid out with channels last; ``auto``: if that is faster.
    precision
        ``float32``, ``tf32`` or ``bf16`` (`metamers.execution.precision`).
    checkpoint_every
        Turns between checkpoints.
    compile
        ``auto``: on a GPU the fastest of eager steps, CUDA graphs and compiled ones; ``never``.
    threads
        On a CPU ``given``: as many as the job has; ``auto``: the fastest number up to that.
    model_memory
        GiB that the weights of a set may take on the device; None: half of what a GPU has free.
    """

    device: str
    batch_size: int
    chunk_size: int
    fold_batch_norm: bool
    channels_last: bool | Literal["auto"]
    precision: str
    checkpoint_every: int
    compile: Literal["auto", "never"] = "never"
    threads: Literal["given", "auto"] = "given"
    model_memory: float | None = None

    def torch_device(self) -> torch.device:
        """Return the device that ``auto`` stands for, or the one named."""
        return device_of(self.device)

    @property
    def memory_format(self) -> torch.memory_format:
        """Return the layout of images and weights; for ``auto``, the one that is usually faster."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def reproducibility_settings(self) -> dict[str, Any]:
        """Return the settings that decide the metamers' bits; the others may change midway."""
        return revisions.reproducibility_settings(asdict(self))
