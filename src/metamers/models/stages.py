"""Stages: from a fraction of a network's depth to a module, and the forward that stops there."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from metamers.models.zoo import ModelSpec

_PASS_THROUGH = {
    "CatBackward0",
    "CloneBackward0",
    "PermuteBackward0",
    "TransposeBackward0",
    "UnsafeViewBackward0",
    "ViewBackward0",
}
_RECTIFIERS = {"ReluBackward0", "HardtanhBackward0"}


def block_names(network: nn.Module, patterns: Sequence[str]) -> list[str]:
    """Return the names of the modules that match, in the order they stand in the network.

    A dot separates levels: ``blocks.*`` matches ``blocks.3``, not ``blocks.3.0``.

    Raises
    ------
    ValueError
        If a pattern matches nothing.
    """
    names = [name for name, _ in network.named_modules() if name]
    for pattern in patterns:
        if not any(_matches(name, pattern) for name in names):
            raise ValueError(
                f"the pattern {pattern!r} matches no module; the network's first modules are "
                f"{names[:8]}"
            )
    return [name for name in names if any(_matches(name, pattern) for pattern in patterns)]


def index_at(fraction: float, n_blocks: int) -> int:
    """Return which block ends a fraction of the depth: the index ``ceil(fraction * n) - 1``.

    Raises
    ------
    ValueError
        If the fraction is outside (0, 1].
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"a stage's depth is {fraction!r}; it must lie in (0, 1]")
    # 0.8 * 15 is 12.000000000000002 in floating point, and must be 12.
    return math.ceil(round(fraction * n_blocks, 9)) - 1


def module_at(network: nn.Module, spec: ModelSpec, stage: str, fraction: float) -> str:
    """Return the name of the module whose output is the stage's activation.

    The row's own entry for the stage, if it has one; else the block at the fraction of the
    depth (paper, section 4.4: early, middle and late are 20, 50 and 80 %).
    """
    if stage in spec.stages:
        name = spec.stages[stage]
        if name not in dict(network.named_modules()):
            raise ValueError(f"model {spec.name!r}, stage {stage!r}: there is no module {name!r}")
        return name
    blocks = block_names(network, spec.blocks)
    return blocks[index_at(fraction, len(blocks))]


class _Stop(Exception):  # noqa: N818  (no error: it ends a forward that has done its work)
    """Raised by a hook to end the forward pass once the stage's activation is known."""


class Features(nn.Module):
    """The activation of one module; the forward pass ends there.

    Calling it on images, ``(n, 3, side, side)`` in [0, 1], returns the module's output as it
    is (``(n, …)``, not flattened). No later layer runs.

    Parameters
    ----------
    classifier
        A network of images.
    module
        Name of the module within ``classifier.network``, or within ``classifier`` if it has
        no ``network``.
    identity_relu
        Whether the rectifiers that end the module pass gradients through unchanged, as the
        predecessor's ``fake_relu`` does at its target layer (Feather et al. 2023).

    Raises
    ------
    ValueError
        If there is no such module, or the network is in training mode, where an image's
        activation depends on chance or on its batch.
    """

    def __init__(self, classifier: nn.Module, module: str, identity_relu: bool = False) -> None:
        super().__init__()
        self.classifier = classifier
        self.module = module
        self.identity_relu = identity_relu
        network = getattr(classifier, "network", classifier)
        modules = dict(network.named_modules())
        if module not in modules:
            raise ValueError(f"there is no module {module!r}; the first are {list(modules)[1:9]}")
        if network.training:
            raise ValueError("the network is in training mode; call its eval() first")
        self._target = [modules[module]]  # in a list, so that it is not registered twice

    def forward(self, images: Tensor) -> Tensor:
        """Return the activation of the module for images in [0, 1]."""
        held: list[Tensor] = []

        def stop(module: nn.Module, arguments: Any, output: Tensor) -> NoReturn:  # noqa: ANN401
            held.append(output)
            raise _Stop

        handle = self._target[0].register_forward_hook(stop)
        try:
            self.classifier(images)
        except _Stop:
            pass
        finally:
            handle.remove()
        if not held:
            raise RuntimeError(f"the module {self.module!r} did not run in the forward pass")
        if self.identity_relu:
            pass_gradients_through(held[0])
        return held[0]


class ActivationRecorder:
    """Collects a module's output while the whole forward runs (a context manager).

    The output is copied, since a later layer may overwrite it in place.
    """

    def __init__(self, classifier: nn.Module, module: str) -> None:
        network = getattr(classifier, "network", classifier)
        self._target = dict(network.named_modules())[module]
        self.activation: Tensor | None = None

    def __enter__(self) -> ActivationRecorder:
        """Register the hook."""
        self._handle = self._target.register_forward_hook(self._hear)
        return self

    def __exit__(self, *exception: object) -> None:
        """Remove the hook."""
        self._handle.remove()

    def _hear(self, module: nn.Module, arguments: Any, output: Tensor) -> None:  # noqa: ANN401
        self.activation = output.clone()


def pass_gradients_through(activation: Tensor) -> None:
    """Make the rectifiers that produced an activation pass gradients as if they were not there.

    The values stay; only the backward of the last rectifiers (through concatenations and
    reshapes, not through arithmetic) becomes the identity.
    """
    pending = [activation.grad_fn]
    while pending:
        node = pending.pop()
        if node is None:
            continue
        if node.name() in _RECTIFIERS:
            node.register_hook(_identity)
        elif node.name() in _PASS_THROUGH:
            pending.extend(parent for parent, _ in node.next_functions)


def _identity(
    inputs: tuple[Tensor | None, ...], outputs: tuple[Tensor | None, ...]
) -> tuple[Tensor | None, ...]:
    return outputs


def _matches(name: str, pattern: str) -> bool:
    levels, wanted = name.split("."), re.split(r"\.(?![^\[]*\])", pattern)
    return len(levels) == len(wanted) and all(map(fnmatchcase, levels, wanted))


def as_vectors(activation: Tensor) -> Tensor:
    """Return an activation with one row per image: ``(n, features)``."""
    return torch.flatten(activation, 1)
