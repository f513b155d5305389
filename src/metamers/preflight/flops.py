"""What models cost: floating-point operations and memory, counted on shapes alone."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from metamers.models import classifier as classifiers
from metamers.models import stages
from metamers.models.classifier import Classifier
from metamers.models.zoo import ModelSpec
from metamers.synthesis.objective import inversion_loss


@dataclass(frozen=True)
class StepCost:
    """What one model costs at one stage, for one image of a given side.

    Operations are the multiplications and additions of convolutions, products of matrices and
    attention, as `torch.utils.flop_counter` counts them on the graph that a step runs.

    Attributes
    ----------
    module
        Name within the network, whose output is the stage's activation.
    forward_flops
        Of the forward that stops at the stage.
    gradient_flops
        Of the gradient of the loss by the image.
    whole_flops
        Of the forward to the logits.
    peak_bytes
        Most memory that is in use at once during a step, the weights left out.
    activation_bytes
        Of the stage's activation: what is kept of each reference.
    weight_bytes
        Of the model's parameters and buffers.
    """

    model: str
    stage: str
    module: str
    forward_flops: int
    gradient_flops: int
    whole_flops: int
    peak_bytes: int
    activation_bytes: int
    weight_bytes: int


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


def step_costs(spec: ModelSpec, depths: Mapping[str, float], side: int) -> list[StepCost]:
    """Return the cost of a step at each stage, without computing anything.

    Parameters
    ----------
    spec
        The row of the zoo; its weights are not needed.
    depths
        Fraction of the depth of each stage.
    side
        Side of the images, in pixels.
    """
    classifier = classifiers.build(spec).to("meta")
    whole_flops = forward_flops(classifier, side)
    weights = chain(classifier.parameters(), classifier.buffers())
    weight_bytes = sum(tensor.nbytes for tensor in weights)
    found = []
    for stage, fraction in depths.items():
        module = stages.module_at(classifier.network, spec, stage, fraction)
        features = stages.Features(classifier, module)
        flops, gradient_flops, activation = _count(features, side, gradient=True)
        cost = StepCost(
            model=spec.name,
            stage=stage,
            module=module,
            forward_flops=flops,
            gradient_flops=gradient_flops,
            whole_flops=whole_flops,
            peak_bytes=peak_bytes(features, side),
            activation_bytes=activation.nbytes,
            weight_bytes=weight_bytes,
        )
        found.append(cost)
    return found


def stage_cards(
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
        flops, _, output = _count(stages.Features(classifier, module), side)
        shape = "x".join(str(length) for length in output.shape[1:])
        result.append(StageCard(spec.name, stage, module, shape, round(flops / total, 3)))
    return result


def own_side(spec: ModelSpec) -> int:
    """Return the side of the images that a row's model was published for, in pixels."""
    return spec.input.get("size", 224)


def forward_flops(network: nn.Module, side: int) -> int:
    """Return the floating-point operations of the forward pass of one image."""
    return _count(network, side)[0]


def peak_bytes(features: nn.Module, side: int) -> int:
    """Return the most memory that a step on one image has in use at once, weights left out.

    ``features`` is on the device ``meta``. Every storage counts from the operation that makes
    it until nothing refers to it. What libraries take beside tensors (workspaces of
    convolutions) is not seen.
    """
    images = blank(side)
    with _LiveStorages() as live:
        _gradient(features(images), images)
    return live.peak + images.nbytes


def blank(side: int) -> Tensor:
    """Return one image that has a shape and no values, and that a gradient is wanted for.

    With a gradient asked for, torchvision's ViT does not take its fused attention, which the
    counter cannot see into.
    """
    return torch.empty(1, 3, side, side, device="meta", requires_grad=True)


def _count(network: nn.Module, side: int, gradient: bool = False) -> tuple[int, int, Tensor]:
    """Return the operations of the forward pass and of the gradient on one image, and the output.

    The network stays where it is: its tensors' shapes stand in for them.
    """
    tensors = chain(network.named_parameters(), network.named_buffers())
    shapes = {name: tensor.to("meta") for name, tensor in tensors}
    # A clone, since the counter's hooks refuse a leaf in `torch.autograd.grad`.
    images = blank(side).clone()
    with FlopCounterMode(display=False) as counter:
        output = functional_call(network, shapes, (images,))
        forward = counter.get_total_flops()
        if gradient:
            _gradient(output, images)
    return forward, counter.get_total_flops() - forward, output


def _gradient(activation: Tensor, images: Tensor) -> Tensor:
    target = torch.empty_like(activation, requires_grad=False)
    loss = inversion_loss(activation, target, torch.empty(len(images), device="meta"))
    (gradient,) = torch.autograd.grad(loss.sum(), images)
    return gradient


class _LiveStorages(TorchDispatchMode):
    """Follows the bytes of all storages that operations make, while they are referred to."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(
        self,
        operation: Callable[..., Any],
        types: Sequence[type],
        arguments: Sequence[Any] = (),
        options: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Run the operation, and note the storages of what it returns."""
        known = {id(t.untyped_storage()) for t in tree_leaves((arguments, options)) if _is(t)}
        outputs = operation(*arguments, **(options or {}))
        for tensor in filter(_is, tree_leaves(outputs)):
            storage = tensor.untyped_storage()
            if id(storage) not in known | self._seen:
                self._enter(storage)
        return outputs

    def _enter(self, storage: torch.UntypedStorage) -> None:
        key, size = id(storage), storage.nbytes()
        self._seen.add(key)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._leave, key, size)

    def _leave(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.live -= size


def _is(value: object) -> bool:
    return isinstance(value, Tensor)
