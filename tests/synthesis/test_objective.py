"""Losses and gradients of a batch, wherever the references' activations are kept."""

import pytest
import torch

from metamers.synthesis.objective import (
    Assignment,
    ModelObjective,
    Workspace,
    combined_gradient,
    inversion_loss,
    worst_model_assignments,
)
from metamers.synthesis.settings import Bound, SynthesisSettings
from metamers.synthesis.solver import synthesize

FREE = Bound()
IMAGES = torch.rand((2, 3, 16, 16), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def images(references):
    return references.flip(0).contiguous()


def test_loss_is_the_relative_distance_worked_by_hand():
    targets = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    metamers = torch.tensor([[3.0, 1.0], [2.0, 2.0]])
    torch.testing.assert_close(inversion_loss(metamers, targets), torch.tensor([3 / 5, 2 / 2]))


def test_loss_is_0_where_equal_and_1_where_the_activation_vanishes():
    assert inversion_loss(IMAGES, IMAGES).tolist() == [0, 0]
    torch.testing.assert_close(inversion_loss(torch.zeros_like(IMAGES), IMAGES), torch.ones(2))


def test_loss_refuses_silent_references_and_other_shapes():
    with pytest.raises(ValueError, match=r"references \[1\] are all zeros"):
        inversion_loss(IMAGES, IMAGES * torch.tensor([1.0, 0.0]).view(2, 1, 1, 1))
    with pytest.raises(ValueError, match="targets"):
        inversion_loss(IMAGES, IMAGES[:1])


def test_gradient_is_that_of_the_inversion_loss(networks, references, images):
    network = networks["net0"]
    leaf = images.clone().requires_grad_(True)
    losses = inversion_loss(network(leaf), network(references))
    (expected,) = torch.autograd.grad(losses.sum(), leaf)
    gradient, found = ModelObjective.prepare(network, references).gradient(images)
    # float32, other order of sums
    torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(found, losses.detach(), rtol=1e-6, atol=0)


def test_gradient_at_the_reference_itself_is_zero(networks, references):
    gradient, losses = ModelObjective.prepare(networks["net0"], references).gradient(references)
    assert torch.equal(gradient, torch.zeros_like(gradient))
    assert torch.equal(losses, torch.zeros_like(losses))


@pytest.mark.parametrize("place", ["host", "recomputed"])
@pytest.mark.parametrize("ensemble", ["round_robin", "mean_gradient", "worst_model"])
def test_place_of_the_activations_changes_no_bit(networks, references, image_ids, place, ensemble):
    budget = {"total_steps": 24, "steps_per_turn": 2}
    recipe = SynthesisSettings.of({"preset": "paper", "budget": budget, "ensemble": ensemble})
    kept = synthesize(networks, references, image_ids, FREE, recipe)
    places = dict.fromkeys(networks, place)
    other = synthesize(networks, references, image_ids, FREE, recipe, places=places)
    assert torch.equal(other.metamers, kept.metamers)
    assert (other.losses_after == kept.losses_after).all()


def test_recomputed_activations_are_not_kept_and_computed_once_per_turn(
    networks, references, image_ids
):
    calls = []

    def network(images):
        calls.append(images.requires_grad)
        return networks["net0"](images)

    assert ModelObjective.prepare(network, references, "recomputed").activations is None
    calls.clear()
    budget = {"total_steps": 8, "steps_per_turn": 4}
    recipe = SynthesisSettings.of({"preset": "paper", "budget": budget})
    synthesize({"net": network}, references, image_ids, FREE, recipe, places={"net": "recomputed"})
    # reference; turns of one look and four steps; three looks at the end, each with a reference
    assert calls == [False] + 2 * [False, *[True] * 4] + 3 * [False, False]


def test_gradient_of_half_precision_features_is_taken_in_float32(networks, references, images):
    def halved(images):
        return networks["net0"](images).bfloat16()

    target = ModelObjective.prepare(halved, references)
    assert torch.as_tensor(target.activations).dtype == torch.float32
    gradient, losses = target.gradient(images)
    expected, exact = ModelObjective.prepare(networks["net0"], references).gradient(images)
    assert gradient.dtype == losses.dtype == torch.float32
    # bfloat16 has 8 bits: relative errors of 2^-9 in values whose differences are of their size
    torch.testing.assert_close(losses, exact, rtol=1e-2, atol=0)
    assert (gradient - expected).norm() < 0.02 * expected.norm()


def test_memory_is_used_and_its_contents_do_not_matter(networks, references, images):
    targets = [ModelObjective.prepare(network, references) for network in networks.values()]
    for shares in (
        [Assignment(i, t) for i, t in enumerate(targets)],
        worst_model_assignments(targets, images),
    ):
        memory = Workspace.allocate(shares, images)
        first, _ = combined_gradient(shares, images, memory)
        again = first.clone()
        for tensor in (*memory.differences, memory.total):
            torch.as_tensor(tensor if tensor is not None else 0.0).fill_(float("nan"))
        second, _ = combined_gradient(shares, images, memory)
        assert torch.equal(second, again)
