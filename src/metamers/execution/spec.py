"""One synthesis job, in full, and the hash of all that decides its result."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor, nn

from metamers.config.plan import Condition
from metamers.execution.settings import ExecutionSettings
from metamers.storage import provenance

# Whose code computes activations; timm and torchvision have the architectures.
LIBRARIES = ("torch", "torchvision", "timm")


@dataclass(frozen=True)
class SynthesisSpec:
    """One synthesis job, in full; its hash identifies its checkpoint.

    Attributes
    ----------
    condition
        Which cell of the experiments it belongs to.
    models
        Rows of the zoo, in the order of the set.
    depth
        Fraction of the depth that the stage means.
    bound, recipe, seed
        Values of the configuration.
    shard
        Which slice of the images, as ``000-of-004``.
    revision
        Of the algorithm (`metamers.config.revisions`).
    """

    condition: Condition
    models: Sequence[Mapping[str, Any]]
    depth: float
    bound: Mapping[str, Any]
    recipe: Mapping[str, Any]
    seed: int
    shard: str
    revision: int

    def digest(
        self,
        engine: ExecutionSettings,
        references: Tensor,
        image_ids: Sequence[str],
        weights: Mapping[str, str],
    ) -> str:
        """Return a hash of all that decides the metamers' bits on a machine.

        Neither the commit nor the version of this library is in it: an edit that changes
        results raises the revision, and one that does not leaves unfinished work valid.

        Parameters
        ----------
        engine
            How the work is done; of it what decides the bits.
        references
            The images of the shard, uint8.
        image_ids
            Theirs.
        weights
            For each model the hash of what was loaded (`content_digest`).
        """
        return provenance.digest(
            {
                "work": repr(self),
                "engine": engine.reproducibility_settings(),
                "device": engine.torch_device().type,
                "ids": list(image_ids),
                "references": hashlib.sha256(references.numpy().tobytes()).hexdigest(),
                "weights": dict(weights),
                "libraries": {name: version(name) for name in LIBRARIES},
            }
        )


def content_digest(network: nn.Module) -> str:
    """Return a hash of all parameters and buffers of a network on the host, with their names."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
