"""No operation is wasted: operations counted, and what a turn does between its steps."""

import pytest
import torch
import yaml
from fixtures import ROOT, small_network
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from metamers.models import classifier as classifiers
from metamers.models import stages
from metamers.models.zoo import ModelSpec
from metamers.synthesis.objective import Assignment, ModelObjective, Workspace, combined_gradient
from metamers.synthesis.projected_step import ProjectedStep
from metamers.synthesis.settings import STRATEGIES, Bound, SynthesisSettings, turns
from metamers.synthesis.solver import synthesize

ZOO = yaml.safe_load((ROOT / "config/models.yaml").read_text())
RANDOM = {"weights": {"source": "random", "seed": 0}}
LOOKS = 4  # a model's forward passes beside its steps: references, start, end, end in 8 bits


def network(name, depth):
    spec = ModelSpec.of({"name": name} | ZOO[name] | RANDOM)
    classifier = classifiers.build(spec)
    return classifier, stages.module_at(classifier.network, spec, "stage", depth)


def by_hand(classifier, module, images):
    """Operations of the convolutions up to the stage, from their shapes."""
    counted = []

    def count(layer, arguments, output):
        height, width = layer.kernel_size
        inputs = layer.in_channels // layer.groups
        counted.append(2 * output.numel() * inputs * height * width)

    layers = [layer for layer in classifier.modules() if isinstance(layer, nn.Conv2d)]
    handles = [layer.register_forward_hook(count) for layer in layers]
    stages.Features(classifier, module)(images)
    for handle in handles:
        handle.remove()
    return sum(counted)


def seen_by_the_counter(features):
    # The counter's hooks refuse a leaf in `torch.autograd.grad`: give it a copy.
    return lambda images: features(images.clone())


@pytest.mark.parametrize("depth", [0.2, 0.8])
@pytest.mark.parametrize("name", ["squeezenet1_1", "efficientnet_lite0"])
def test_step_costs_the_truncated_forward_and_its_input_gradient(name, depth):
    classifier, module = network(name, depth)
    references = torch.rand((3, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    forward = by_hand(classifier, module, references)
    features = seen_by_the_counter(stages.Features(classifier, module))
    target = ModelObjective.prepare(features, references)
    with FlopCounterMode(display=False) as counter:
        target.gradient(references.flip(0))
    # The gradient of a convolution by its input costs what the convolution does; a gradient by
    # its weights would cost as much again, and so would a second forward.
    assert counter.get_total_flops() == 2 * forward
    with FlopCounterMode(display=False) as counter:
        classifier(references)
    assert forward < counter.get_total_flops()  # no layer after the stage runs


@pytest.mark.parametrize("ensemble", STRATEGIES)
def test_synthesis_costs_its_steps_and_four_looks(ensemble, references):
    networks = {f"net{seed}": small_network(seed) for seed in range(3)}
    recipe = settings(ensemble)
    with FlopCounterMode(display=False) as counter:
        small_network(0)(references)
    forward = counter.get_total_flops()
    plan, _ = turns(recipe, 3, seed=0)
    gradients = sum(turn.steps * max(1, len(turn.models)) for turn in plan)
    choices = sum(3 for turn in plan if not turn.models)
    traced = {name: seen_by_the_counter(network) for name, network in networks.items()}
    with FlopCounterMode(display=False) as counter:
        synthesize(traced, references[:4], list("abcd"), FREE, recipe, seed=0)
    # With `worst_model` each model's images are padded to a chunk, so that it may cost more.
    expected = forward * (2 * gradients + 3 * LOOKS + choices)
    padded = 2 * forward * 2 * gradients if ensemble == "worst_model" else 0
    assert expected <= counter.get_total_flops() <= expected + padded


FREE = Bound()


def settings(ensemble="round_robin", **changes):
    budget = {"total_steps": 24, "steps_per_turn": 4}
    return SynthesisSettings.of(
        {"preset": "paper", "budget": budget, "ensemble": ensemble, "gradient": "l2_normalised"}
        | changes
    )


class Watch(TorchDispatchMode):
    """Notes the operations that wait for the device, and the large tensors that are made."""

    WAITING = ("aten._local_scalar_dense", "aten.nonzero", "aten.is_nonzero", "aten.item")

    def __init__(self, numel):
        super().__init__()
        self.numel, self.waiting, self.made = numel, [], []

    def __torch_dispatch__(self, operation, types, arguments=(), names=None):
        given = {a.data_ptr() for a in arguments if isinstance(a, torch.Tensor)}
        given |= {a.data_ptr() for a in (names or {}).values() if isinstance(a, torch.Tensor)}
        result = operation(*arguments, **(names or {}))
        if str(operation).startswith(self.WAITING):
            self.waiting.append(str(operation))
        large = isinstance(result, torch.Tensor) and result.numel() >= self.numel
        if large and result.data_ptr() not in given:
            self.made.append(str(operation))
        return result


@pytest.mark.parametrize(
    ("optimizer", "ensemble"),
    [
        *(("sgd", one) for one in ("round_robin", "random_order", "mean_gradient")),
        *((one, "mean_gradient") for one in ("nesterov", "adam", "lbfgs")),
    ],
)
def test_nothing_waits_for_the_device_before_a_turn_ends(networks, references, optimizer, ensemble):
    turn_ends = []
    counts = []
    with Watch(references.numel()) as watch:

        def on_turn(state):
            turn_ends.append(state.turn)
            counts.append(len(watch.waiting))

        rule = "raw" if optimizer == "lbfgs" else "l2_normalised"
        recipe = settings(ensemble, optimizer=optimizer, gradient=rule)
        synthesize(networks, references, list("abcd"), FREE, recipe, on_turn=on_turn)
    assert len(turn_ends) >= 2
    assert set(counts) == {counts[0]}  # what waits is done once, before the first turn


def test_step_makes_no_tensor_but_those_of_the_network(networks, references):
    bound = Bound("linf", "initial", 0.1)
    images = references.flip(0).contiguous()
    shares = [Assignment(0, ModelObjective.prepare(networks["net0"], references))]
    memory = Workspace.allocate(shares, images)
    descent = ProjectedStep.of(settings(), bound, images.clone())
    smallest = min(images.numel(), torch.as_tensor(shares[0].target.activations).numel())
    with Watch(smallest) as watch:
        leaf = images.detach().requires_grad_(True)
        found = networks["net0"](leaf)
        torch.autograd.grad(found, leaf, torch.ones_like(found))
    alone = [name for name in watch.made if "ones_like" not in name]
    with Watch(smallest) as watch:
        descent.step_(images, combined_gradient(shares, images, memory), 0.1, 0, {})
    assert watch.made == alone
