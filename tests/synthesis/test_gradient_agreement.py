"""How far gradients agree: against autograd, and without a trace in the metamers."""

import numpy as np
import pytest
import torch
from fixtures import small_network

from metamers.synthesis import gradient_agreement
from metamers.synthesis.objective import ModelObjective, inversion_loss, norms
from metamers.synthesis.settings import Bound, SynthesisSettings
from metamers.synthesis.solver import Interrupted, State, synthesize

FREE = Bound()


def settings(**changes):
    budget = {"total_steps": 24, "steps_per_turn": 2}
    return SynthesisSettings.of(
        {"preset": "paper", "budget": budget, "agreement_every": 4} | changes
    )


def autograd(network, references, images):
    leaf = images.clone().requires_grad_(True)
    reference_activation = network(references).detach()
    loss = inversion_loss(network(leaf), reference_activation, norms(reference_activation)).sum()
    (gradient,) = torch.autograd.grad(loss, leaf)
    return gradient.flatten(1).double().numpy()


def test_cosines_are_those_of_autograd(networks, references):
    images = references.flip(0)
    found = gradient_agreement.measure(
        [ModelObjective.prepare(n, references) for n in networks.values()], images
    )
    gradients = [autograd(n, references, images) for n in networks.values()]
    for pair, (one, other) in enumerate(gradient_agreement.pairs(len(networks))):
        products = (gradients[one] * gradients[other]).sum(axis=1)
        lengths = [np.linalg.norm(gradients[index], axis=1) for index in (one, other)]
        np.testing.assert_allclose(found[pair], products / np.prod(lengths, axis=0), atol=1e-4)


def test_a_model_agrees_with_itself_and_not_with_its_opposite(references):
    network = small_network(1)
    same = ModelObjective.prepare(network, references)
    # The same activation from inverted images: its gradient points the other way.
    mirror = ModelObjective.prepare(lambda images: network(1 - images), 1 - references)
    images = torch.full_like(references, 0.5)
    assert gradient_agreement.measure([same, same], images) == pytest.approx(1, abs=1e-5)
    assert gradient_agreement.measure([same, mirror], images) == pytest.approx(-1, abs=1e-4)


def test_cosine_of_no_gradient_is_zero(references):
    targets = [ModelObjective.prepare(small_network(seed), references) for seed in (1, 2)]
    assert (gradient_agreement.measure(targets, references) == 0).all()


@pytest.mark.parametrize(
    "ensemble", ["round_robin", "random_order", "mean_gradient", "worst_model"]
)
def test_measuring_changes_no_bit(networks, references, image_ids, ensemble):
    found = synthesize(networks, references, image_ids, FREE, settings(ensemble=ensemble))
    silent = settings(ensemble=ensemble, agreement_every=0)
    plain = synthesize(networks, references, image_ids, FREE, silent)
    assert torch.equal(found.metamers, plain.metamers)
    assert plain.agreements == []
    n_turns = found.records[-1].turn + 1
    turns = [one.turn for one in found.agreements]
    assert turns == [turn for turn in range(n_turns + 1) if turn % 4 == 0]
    steps_per_turn = 2
    assert [one.step for one in found.agreements] == [steps_per_turn * turn for turn in turns]


def test_a_single_model_has_nothing_to_agree_with(networks, references, image_ids):
    (name, network), *_ = networks.items()
    found = synthesize({name: network}, references, image_ids, FREE, settings())
    assert found.agreements == []


def test_interrupted_work_measures_no_point_twice(networks, references, image_ids):
    whole = synthesize(networks, references, image_ids, FREE, settings())
    kept, calls = [], []

    def stop():
        calls.append(None)
        return len(calls) == 15  # within the turn that follows the second measurement

    state = State(0, synthesize_start(references, image_ids))
    with pytest.raises(Interrupted):
        synthesize(
            networks, references, image_ids, FREE, settings(), state=state, stop=stop,
            on_turn=kept.append,
        )  # fmt: skip
    assert [one.turn for one in state.agreements] == [0, 4]
    rest = synthesize(networks, references, image_ids, FREE, settings(), state=state)
    assert [one.turn for one in rest.agreements] == [one.turn for one in whole.agreements]
    for one, other in zip(rest.agreements, whole.agreements, strict=True):
        assert np.array_equal(one.cosines, other.cosines)
    assert torch.equal(rest.metamers, whole.metamers)


def synthesize_start(references, image_ids):
    from metamers.synthesis import initializers

    start = initializers.initialize(settings().initializer, references, image_ids, 0)
    return start.clamp(0, 1)
