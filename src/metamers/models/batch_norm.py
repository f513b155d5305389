"""Batch normalisation folded into the convolutions that it follows (evaluation mode only)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

TOLERANCE = 1e-3


@dataclass(frozen=True)
class Pair:
    """A convolution whose output goes to a batch normalisation, by name."""

    convolution: str
    normalisation: str


def pairs(network: nn.Module, images: Tensor) -> list[Pair]:
    """Return the convolutions that a batch normalisation follows, seen in one forward pass.

    Only modules that run once count.
    """
    names = {module: name for name, module in network.named_modules()}
    producers: dict[int, nn.Module] = {}
    kept: list[Tensor] = []
    calls: dict[nn.Module, int] = {}
    found: list[tuple[nn.Module, nn.Module]] = []

    def produced(module: nn.Module, arguments: Any, output: Tensor) -> None:  # noqa: ANN401
        calls[module] = calls.get(module, 0) + 1
        producers[id(output)] = module
        kept.append(output)  # an id is only unique while its tensor lives

    def consumed(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        calls[module] = calls.get(module, 0) + 1
        if id(arguments[0]) in producers:
            found.append((producers[id(arguments[0])], module))

    handles = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            handles.append(module.register_forward_hook(produced))
        elif isinstance(module, nn.BatchNorm2d):
            handles.append(module.register_forward_pre_hook(consumed))
    try:
        with torch.no_grad():
            network(images)
    finally:
        for handle in handles:
            handle.remove()
    return [
        Pair(names[first], names[second])
        for first, second in found
        if calls[first] == 1 and calls[second] == 1
    ]


def fold(network: nn.Module, images: Tensor, keep: str = "") -> int:
    """Fold the batch normalisations of a network, in place, and return how many.

    Parameters
    ----------
    network
        In evaluation mode.
    images
        A batch to try it on; the outputs before and after must agree.
    keep
        Name of a module whose own output must not change.

    Raises
    ------
    ValueError
        If the outputs differ by more than a thousandth of their size: a convolution's output
        was then used elsewhere too.
    """
    folded = [pair for pair in pairs(network, images) if keep != pair.convolution]
    if not folded:
        return 0
    with torch.no_grad():
        before = network(images)
        for pair in folded:
            _fold_pair(network, pair)
        error = float((network(images) - before).abs().max())
    largest = float(before.abs().max())
    if not error <= TOLERANCE * largest:
        raise ValueError(
            f"folding batch normalisation changed the output by {error:.2g}, where the largest is "
            f"{largest:.2g}; set engine.fold_batch_norm to false"
        )
    return len(folded)


def _fold_pair(network: nn.Module, pair: Pair) -> None:
    convolution: Any = network.get_submodule(pair.convolution)
    normalisation: Any = network.get_submodule(pair.normalisation)
    weight, bias = fuse_conv_bn_weights(
        convolution.weight,
        convolution.bias,
        normalisation.running_mean,
        normalisation.running_var,
        normalisation.eps,
        normalisation.weight,
        normalisation.bias,
    )
    convolution.weight, convolution.bias = weight, bias
    convolution.requires_grad_(False)
    parent, _, child = pair.normalisation.rpartition(".")
    setattr(network.get_submodule(parent), child, _remainder(normalisation))


def _remainder(normalisation: Any) -> nn.Module:  # noqa: ANN401
    """Return what is left of a batch normalisation: nothing, or timm's activation after it."""
    if hasattr(normalisation, "act") and hasattr(normalisation, "drop"):
        return nn.Sequential(normalisation.drop, normalisation.act)
    return nn.Identity()
