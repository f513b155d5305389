"""Images that are done leave the batch, and no bit of the others changes."""

import numpy as np
import pytest
import torch

from metamers.synthesis.settings import Bound, SynthesisSettings
from metamers.synthesis.solver import synthesize
from metamers.synthesis.state import State

TARGETS = {"sgd": 0.45, "nesterov": 0.45, "adam": 0.45, "lbfgs": 0.15}  # images differ in time
CASES = [
    *[("sgd", one) for one in ("round_robin", "random_order", "mean_gradient", "worst_model")],
    ("nesterov", "round_robin"),
    ("adam", "worst_model"),
    ("lbfgs", "mean_gradient"),
]
over_cases = pytest.mark.parametrize(("optimizer", "ensemble"), CASES)


def recipe(optimizer, ensemble, **changes):
    return SynthesisSettings.of(
        {
            "budget": {"until_loss": TARGETS[optimizer], "at_most": 240, "steps_per_turn": 2},
            "schedule": {"kind": "constant", "start": 0.02 if optimizer == "adam" else 0.4},
            "optimizer": optimizer,
            "ensemble": ensemble,
        }
        | changes
    )


def counting(networks):
    """Return networks that note the sizes of the batches whose gradients are asked for."""
    sizes = []

    def count(network):
        def forward(images):
            if images.requires_grad:
                sizes.append(len(images))
            return network(images)

        return forward

    return {name: count(network) for name, network in networks.items()}, sizes


@over_cases
def test_images_leave_when_all_losses_are_at_the_target(
    networks, references, image_ids, optimizer, ensemble
):
    settings = recipe(optimizer, ensemble)
    counted, sizes = counting(networks)
    found = synthesize(counted, references, image_ids, Bound(), settings, chunk_size=1)
    done = found.evaluations < found.evaluations.max()
    assert done.any()
    assert (found.losses_stored[done] <= TARGETS[optimizer]).all()
    assert sum(sizes) < 4 * found.evaluations.max()
    if ensemble != "worst_model":  # which looks for the worst model without a gradient
        assert sum(sizes) == found.evaluations.sum()


@over_cases
def test_metamer_is_that_of_as_many_steps_without_a_target(
    networks, references, image_ids, optimizer, ensemble
):
    settings = recipe(optimizer, ensemble)
    whole = synthesize(networks, references, image_ids, Bound(), settings)
    for row, name in enumerate(image_ids):
        cost = 2 if ensemble != "worst_model" else 3  # turns of 2, and three looks
        total = int(whole.evaluations[row] * cost / 2)
        budget = {"total_steps": total, "steps_per_turn": 2}
        fixed = recipe(optimizer, ensemble, budget=budget)
        alone = synthesize(networks, references[row : row + 1], [name], Bound(), fixed)
        assert alone.evaluations[0] == whole.evaluations[row]
        assert torch.equal(alone.metamers[0], whole.metamers[row])


@over_cases
def test_metamer_with_a_target_is_the_same_in_any_batch_and_order(
    networks, references, image_ids, optimizer, ensemble
):
    settings = recipe(optimizer, ensemble)
    whole = synthesize(networks, references, image_ids, Bound(), settings)
    for order in ([3, 1, 0, 2], [2, 0], [1]):
        ids = [image_ids[index] for index in order]
        part = synthesize(networks, references[order], ids, Bound(), settings)
        assert torch.equal(part.metamers, whole.metamers[order])
        assert np.array_equal(part.losses_stored, whole.losses_stored[order])
        assert np.array_equal(part.steps, whole.steps[order])


@over_cases
def test_going_on_with_a_target_gives_the_same_bits(
    networks, references, image_ids, optimizer, ensemble
):
    settings, states = recipe(optimizer, ensemble, agreement_every=3), []

    def keep(state):
        memory = {name: tensor.clone() for name, tensor in state.memory.items()}
        along = list(state.records), list(state.agreements)
        states.append(State(state.turn, state.images.clone(), *along, memory, state.stopped.copy()))

    whole = synthesize(networks, references, image_ids, Bound(), settings, on_turn=keep)
    for state in states[::3]:
        rest = synthesize(networks, references, image_ids, Bound(), settings, state=state)
        assert torch.equal(rest.metamers, whole.metamers)
        assert np.array_equal(rest.evaluations, whole.evaluations)
        for one, other in zip(rest.records, whole.records, strict=True):
            assert np.array_equal(one.losses, other.losses, equal_nan=True)
        for one, other in zip(rest.agreements, whole.agreements, strict=True):
            assert np.array_equal(one.cosines, other.cosines, equal_nan=True)


def test_image_that_never_reaches_the_target_takes_all_steps(networks, references, image_ids):
    budget = {"until_loss": 1e-6, "at_most": 25, "steps_per_turn": 2}
    found = synthesize(
        *(networks, references, image_ids, Bound()), recipe("sgd", "round_robin", budget=budget)
    )
    assert found.steps.tolist() == found.evaluations.tolist() == [25] * 4


def test_image_that_starts_at_the_target_takes_one_pass(networks, references, image_ids):
    start = {"kind": "reference"}
    found = synthesize(
        *(networks, references, image_ids, Bound()),
        recipe("sgd", "round_robin", initializer=start, schedule={"kind": "constant", "start": 1}),
    )
    assert found.evaluations.tolist() == [6] * 4  # a turn of two for each of three


def test_records_of_images_that_are_done_are_missing(networks, references, image_ids):
    found = synthesize(networks, references, image_ids, Bound(), recipe("sgd", "round_robin"))
    for row, steps in enumerate(found.steps):
        noted = [record.step for record in found.records if record.models[row] >= 0]
        assert noted[-1] == steps
        last = found.records[-1]
        assert np.isnan(last.losses[row]) == (steps < last.step)
