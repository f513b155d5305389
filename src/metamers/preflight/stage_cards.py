"""The card of a model's stages: which modules they are, what they put out, how deep they lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from metamers.models import classifier as classifiers
from metamers.models import stages
from metamers.models.classifier import Classifier
from metamers.models.zoo import ModelSpec


@dataclass(frozen=True)
class StageCard:
    """One stage of one model.

    Attributes
    ----------
    module
        Name within the network, whose output is the stage's activation.
    shape
        Of the activation of one image, as ``512x28x28``.
    flops_share
        Floating-point operations of the forward pass up to and with the module, over those
        of the whole; multiplications and additions of convolutions, products of matrices and
        attention, nothing else.
    """

    model: str
    stage: str
    module: str
    shape: str
    flops_share: float


def cards(
    spec: ModelSpec,
    depths: Mapping[str, float],
    side: int = 0,
    classifier: Classifier | None = None,
) -> list[StageCard]:
    """Return a card per stage, without computing anything: shapes alone pass through.

    Parameters
    ----------
    spec
        The row.
    depths
        Fraction of the depth of each stage.
    side
        Side of the images, in pixels; 0: the row's ``input.size``, or 224.
    classifier
        The row's network, where it is built already.
    """
    classifier = classifier or classifiers.build(spec)
    side = side or own_side(spec)
    total = forward_flops(classifier, side)
    result = []
    for stage, fraction in depths.items():
        module = stages.module_at(classifier.network, spec, stage, fraction)
        flops, output = _measure(stages.Features(classifier, module), side)
        shape = "x".join(str(length) for length in output.shape[1:])
        result.append(StageCard(spec.name, stage, module, shape, round(flops / total, 3)))
    return result


def own_side(spec: ModelSpec) -> int:
    """Return the side of the images that a row's model was published for, in pixels."""
    return spec.input.get("size", 224)


def forward_flops(network: nn.Module, side: int) -> int:
    """Return the floating-point operations of the forward pass of one image."""
    return _measure(network, side)[0]


def _measure(network: nn.Module, side: int) -> tuple[int, Tensor]:
    tensors = chain(network.named_parameters(), network.named_buffers())
    shapes = {name: tensor.to("meta") for name, tensor in tensors}
    # With a gradient asked for, torchvision's ViT does not take its fused attention, which the
    # counter cannot see into.
    images = torch.empty(1, 3, side, side, device="meta", requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        output = functional_call(network, shapes, (images,))
    return counter.get_total_flops(), output
