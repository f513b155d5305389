"""Optimizers: each image has its own, and they are those of the books."""

import numpy as np
import pytest
import scipy.optimize
import torch
from fixtures import small_network

from metamers.synthesis import optimizers
from metamers.synthesis.objective import Evaluation
from metamers.synthesis.settings import (
    IMAGES_KEPT,
    OPTIMIZERS,
    STRATEGIES,
    Bound,
    SynthesisSettings,
)
from metamers.synthesis.solver import synthesize
from metamers.synthesis.state import State

TIGHT = {"linf": Bound("linf", "initial", 0.05), "l2": Bound("l2", "initial", 0.5)}
# All that go together: L-BFGS has one objective from step to step, and pixels with an interval.
CASES = [
    (optimizer, ensemble, bound)
    for optimizer in OPTIMIZERS
    for ensemble in STRATEGIES
    for bound in ("free", "linf", "l2")
    if optimizer != "lbfgs" or (ensemble == "mean_gradient" and bound != "l2")
]
over_cases = pytest.mark.parametrize(("optimizer", "ensemble", "bound"), CASES)


def settings(**changes):
    budget = {"total_steps": 36, "steps_per_turn": 2}
    schedule = {"kind": "exponential", "start": 0.1, "stop": 0.01}
    return SynthesisSettings.of({"budget": budget, "schedule": schedule} | changes)


def kept(state):
    memory = {name: tensor.clone() for name, tensor in state.memory.items()}
    images, stopped = state.images.clone(), state.stopped.copy()
    return State(state.turn, images, list(state.records), [], memory, stopped)


@over_cases
def test_metamer_is_the_same_in_any_batch_and_order(
    networks, references, image_ids, optimizer, ensemble, bound
):
    recipe, ball = settings(optimizer=optimizer, ensemble=ensemble), TIGHT.get(bound, Bound())
    whole = synthesize(networks, references, image_ids, ball, recipe, seed=5)
    for order in ([3, 1, 0, 2], [2, 0], [2]):
        ids = [image_ids[index] for index in order]
        part = synthesize(networks, references[order], ids, ball, recipe, seed=5)
        assert torch.equal(part.metamers, whole.metamers[order])
        assert np.array_equal(part.losses_after, whole.losses_after[order])


@over_cases
def test_going_on_from_any_turn_gives_the_same_bits(
    networks, references, image_ids, optimizer, ensemble, bound
):
    recipe, ball = settings(optimizer=optimizer, ensemble=ensemble), TIGHT.get(bound, Bound())
    states = []
    whole = synthesize(
        *(networks, references, image_ids, ball, recipe),
        on_turn=lambda state: states.append(kept(state)),
    )
    for state in states[:-1]:
        rest = synthesize(networks, references, image_ids, ball, recipe, state=state)
        assert torch.equal(rest.metamers, whole.metamers)
        assert len(rest.records) == len(whole.records)


@pytest.mark.parametrize(
    "changes",
    [*({"optimizer": one, "ensemble": "mean_gradient"} for one in OPTIMIZERS), {"preset": "fast"}],
    ids=str,
)
def test_metamer_is_the_same_after_its_batch_is_cut(networks, references, image_ids, changes):
    recipe, states = settings(**changes), []
    whole = synthesize(
        *(networks, references, image_ids, Bound(), recipe),
        on_turn=lambda state: states.append(kept(state)),
    )
    part = states[2].select(np.array([3]))
    rest = synthesize(networks, references[3:], image_ids[3:], Bound(), recipe, state=part)
    assert torch.equal(rest.metamers, whole.metamers[3:])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_metamers_stay_within_bound_and_pixel_range(networks, references, image_ids, optimizer):
    schedule = {"kind": "constant", "start": 1.0}
    recipe = settings(optimizer=optimizer, ensemble="mean_gradient", schedule=schedule)
    bound = Bound("linf", "reference", 0.05)
    found = synthesize(networks, references, image_ids, bound, recipe).metamers
    assert (found - references).abs().max() <= 0.05 + 1e-7
    assert found.min() >= 0
    assert found.max() <= 1


def relative_loss(network, images, references):
    difference = (network(images) - network(references)).flatten(1)
    return difference.norm(dim=1) / network(references).flatten(1).norm(dim=1)


@pytest.mark.parametrize(
    ("optimizer", "of_torch"),
    [
        ("sgd", lambda pixels: torch.optim.SGD([pixels], lr=0.05)),
        ("nesterov", lambda pixels: torch.optim.SGD([pixels], 0.05, momentum=0.9, nesterov=True)),
        ("adam", lambda pixels: torch.optim.Adam([pixels], lr=0.05, betas=(0.9, 0.99))),
    ],
)
def test_steps_are_those_of_torchs_optimizer_on_one_image(
    references, image_ids, optimizer, of_torch
):
    network = small_network(11, rectified=False)
    recipe = settings(
        optimizer=optimizer,
        budget={"total_steps": 12, "steps_per_turn": 5},
        schedule={"kind": "constant", "start": 0.05},
        initializer={"kind": "constant", "center": 0.5},
        pixel_range=None,
    )
    found = synthesize({"net": network}, references, image_ids, Bound(), recipe).metamers
    pixels = torch.full_like(references[:1], 0.5).requires_grad_(True)
    one = of_torch(pixels)
    for _ in range(12):
        one.zero_grad()
        relative_loss(network, pixels, references[:1]).sum().backward()
        one.step()
    # float32, other order of operations
    torch.testing.assert_close(found[:1], pixels.detach(), atol=2e-5, rtol=0)


def convex(condition):
    """Return a linear network of 8x8 images whose singular values span a range."""
    generator = torch.Generator().manual_seed(3)
    rotation, _ = torch.linalg.qr(torch.randn(192, 192, generator=generator))
    weights = rotation * torch.logspace(0, -np.log10(condition), 192)
    return lambda images: images.flatten(1) @ weights


def least(network, reference, low, high):
    """Return the least loss of one image within an interval, by scipy's L-BFGS-B in float64."""
    double = torch.from_numpy(reference.numpy().astype(np.float64))

    def squared(pixels):
        image = torch.from_numpy(pixels).requires_grad_(True)
        matrix = network(torch.eye(192).view(192, 3, 8, 8)).double()
        target = double.flatten() @ matrix
        value = ((image @ matrix - target) ** 2).sum() / (target**2).sum()
        value.backward()
        return value.item(), image.grad.numpy()

    bounds = [(low, high)] * 192
    options = {"maxiter": 5000, "maxfun": 50_000, "ftol": 1e-14, "gtol": 1e-10}
    found = scipy.optimize.minimize(
        squared, np.full(192, 0.5), jac=True, bounds=bounds, method="L-BFGS-B", options=options
    )
    return np.sqrt(found.fun)


@pytest.mark.parametrize(
    ("optimizer", "rate"), [("sgd", 3.0), ("nesterov", 0.3), ("adam", 0.05), ("lbfgs", 1.0)]
)
def test_constrained_minimum_of_a_convex_loss_is_found(references, image_ids, optimizer, rate):
    network = convex(condition=4)
    recipe = settings(
        optimizer=optimizer,
        ensemble="mean_gradient",
        budget={"total_steps": 1500, "steps_per_turn": 10},
        schedule={"kind": "exponential", "start": rate, "stop": rate / 1000},
        pixel_range=[0.3, 0.7],
    )
    found = synthesize({"net": network}, references, image_ids, Bound(), recipe)
    for row, loss in enumerate(found.losses_after[:, 0]):
        lowest = least(network, references[row], 0.3, 0.7)
        assert lowest > 0.05  # the interval binds
        assert loss == pytest.approx(lowest, rel=1e-3)


def test_lbfgs_needs_far_fewer_evaluations_where_curvatures_differ(references, image_ids):
    losses = {}
    for optimizer in ("sgd", "lbfgs"):
        recipe = settings(
            optimizer=optimizer,
            ensemble="mean_gradient",
            budget={"total_steps": 150, "steps_per_turn": 10},
            schedule={"kind": "constant", "start": 0.3},
            pixel_range=None,
        )
        network = {"net": convex(condition=30)}
        found = synthesize(network, references, image_ids, Bound(), recipe)
        losses[optimizer] = found.losses_after.max()
    assert losses["lbfgs"] < 0.001 < 0.01 < losses["sgd"]


def test_lbfgs_takes_no_step_that_raises_the_objective(networks, references, image_ids):
    recipe = settings(
        optimizer="lbfgs",
        ensemble="mean_gradient",
        budget={"total_steps": 120, "steps_per_turn": 1},
        schedule={"kind": "constant", "start": 30.0},
    )
    values = []
    synthesize(
        *(networks, references, image_ids, Bound(), recipe),
        on_turn=lambda state: values.append(state.memory["value"].numpy().copy()),
    )
    steps = np.diff(np.stack(values), axis=0)
    assert (steps <= 0).all()
    assert (steps == 0).any()  # a step of length 30 was halved
    assert (values[-1] < values[0]).all()


def test_lbfgs_moves_no_pixel_that_is_held_at_its_bound():
    recipe = settings(optimizer="lbfgs", ensemble="mean_gradient")
    images = torch.zeros(2, 3, 2, 2)
    images[:, 0] = 1.0
    optimizer = optimizers.prepare(recipe, Bound(), images)
    memory = optimizer.begin(images)
    gradient = torch.ones(2, 3, 2, 2)
    gradient[:, 2] = -1.0
    before = images.clone()
    optimizer.step_(images, Evaluation(gradient, [torch.ones(2)]), 0.2, 0, memory)
    # at 0 with the gradient upwards: held; at 1: down; at 0 with the gradient downwards: up.
    # Eight pixels are free, and the first step is 0.2 long.
    moved = 0.2 / 8**0.5
    expected = torch.tensor([-moved, 0.0, moved]).view(1, 3, 1, 1).expand(2, 3, 2, 2)
    torch.testing.assert_close(images - before, expected, atol=1e-6, rtol=0)


def test_lbfgs_with_an_l2_ball_that_binds_is_refused(networks, references, image_ids):
    recipe = settings(optimizer="lbfgs", ensemble="mean_gradient")
    with pytest.raises(ValueError, match="'lbfgs' needs a bound in linf, or none; met is l2"):
        synthesize(networks, references, image_ids, TIGHT["l2"], recipe)


@pytest.mark.parametrize(
    ("key", "value"),
    [("ensemble", "round_robin"), ("gradient", "sign"), ("target_relu", "identity_gradient")],
)
def test_lbfgs_without_one_objective_is_refused(key, value):
    changes = {"ensemble": "mean_gradient"} | {key: value}
    with pytest.raises(ValueError, match=f"'lbfgs' needs {key} .*, and it is '{value}'"):
        settings(optimizer="lbfgs", **changes)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizer_keeps_as_many_images_as_its_memory_is_reckoned_with(references, optimizer):
    recipe = settings(optimizer=optimizer, ensemble="mean_gradient")
    memory = optimizers.prepare(recipe, Bound(), references).begin(references)
    kept = sum(tensor.numel() for tensor in memory.values() if tensor.dim() > 1)
    products = memory["products"].numel() if optimizer == "lbfgs" else 0
    assert kept - products == IMAGES_KEPT[optimizer] * references.numel()
