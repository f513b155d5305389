"""The solver against independently written rules, and the properties that it promises."""

import numpy as np
import pytest
import reference_rules
import torch
from fixtures import small_network

from metamers.synthesis.objective import Assignment, ModelObjective, combined_gradient
from metamers.synthesis.settings import Bound, SynthesisSettings
from metamers.synthesis.solver import Interrupted, State, synthesize, to_8_bits

FREE = Bound()


def settings(**changes):
    budget = {"total_steps": 24, "steps_per_turn": 2}
    return SynthesisSettings.of({"preset": "paper", "budget": budget} | changes)


def rate_of(recipe, repetitions):
    return lambda t: recipe["start"] * (recipe["stop"] / recipe["start"]) ** (t / repetitions)


@pytest.mark.parametrize("rule", ["raw", "l2_normalised", "sign"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("center", ["initial", "reference"])
def test_round_robin_equals_an_independent_rule(
    networks, references, image_ids, rule, norm, center
):
    radius = 0.05 if norm == "linf" else 0.5
    recipe = settings(gradient=rule, schedule={"kind": "exponential", "start": 0.1, "stop": 0.01})
    seen = []
    result = synthesize(
        networks,
        references,
        image_ids,
        Bound(norm, center, radius),
        recipe,
        seed=3,
        on_turn=lambda state: seen.append(state.images.numpy().copy()),
    )
    start = synthesize_start(networks, references, image_ids, recipe, seed=3)
    for index in range(len(image_ids)):
        middle = start[index] if center == "initial" else references[index].numpy()
        expected = reference_rules.round_robin(
            list(networks.values()),
            start[index],
            references[index].numpy(),
            repetitions=12,
            steps_per_turn=2,
            rate=rate_of(recipe.schedule, 12),
            rule=rule,
            bound=(middle, norm, radius),
        )
        for turn, image in enumerate(expected):
            # float32 on both sides, other order of sums; a sign may flip where it is nearly 0
            close = np.isclose(seen[turn][index], image, atol=2e-4)
            assert close.mean() > (0.98 if rule == "sign" else 1 - 1e-9), (turn, index)
    assert result.metamers.shape == references.shape


def synthesize_start(networks, references, image_ids, recipe, seed):
    from metamers.synthesis import initializers

    start = initializers.initialize(recipe.initializer, references, image_ids, seed)
    return start.clamp(0, 1).numpy()


def test_preset_feather2023_equals_the_predecessors_rule(references, image_ids):
    network = small_network(11, rectified=False)
    recipe = SynthesisSettings.of(
        {
            "preset": "feather2023",
            "budget": {"total_steps": 24, "steps_per_turn": 3},
            "schedule": {"kind": "halving", "start": 1.0, "every": 6},
        }
    )
    seen = []
    synthesize(
        {"net": network},
        references,
        image_ids,
        Bound("l2", "initial", 100_000),
        recipe,
        on_turn=lambda state: seen.append(state.images.numpy().copy()),
    )
    start = synthesize_start(None, references, image_ids, recipe, seed=0)
    for index in range(len(image_ids)):
        expected = reference_rules.feather(
            network, start[index], references[index].numpy(), phases=4, steps_per_phase=6
        )
        for phase, image in enumerate(expected):
            np.testing.assert_allclose(seen[2 * phase + 1][index], image, atol=5e-4)


def test_losses_fall_for_every_member(networks, references, image_ids):
    budget = {"total_steps": 120, "steps_per_turn": 4}
    schedule = {"kind": "exponential", "start": 0.5, "stop": 0.05}
    recipe = settings(budget=budget, gradient="l2_normalised", schedule=schedule)
    result = synthesize(networks, references, image_ids, FREE, recipe)
    assert (result.losses_after < 0.6 * result.losses_before).all()
    assert result.metamers.min() >= 0
    assert result.metamers.max() <= 1


@pytest.mark.parametrize(
    "ensemble", ["round_robin", "random_order", "mean_gradient", "worst_model"]
)
def test_metamer_is_the_same_in_any_batch_and_order(networks, references, image_ids, ensemble):
    recipe = settings(ensemble=ensemble)
    whole = synthesize(networks, references, image_ids, FREE, recipe, seed=5)
    for order in ([3, 1, 0, 2], [2, 0], [1, 3], [2]):
        ids = [image_ids[index] for index in order]
        part = synthesize(networks, references[order], ids, FREE, recipe, seed=5)
        assert torch.equal(part.metamers, whole.metamers[order])
        assert np.array_equal(part.losses_after, whole.losses_after[order])


@pytest.mark.parametrize(
    "ensemble", ["round_robin", "random_order", "mean_gradient", "worst_model"]
)
def test_going_on_from_any_turn_gives_the_same_bits(networks, references, image_ids, ensemble):
    recipe = settings(ensemble=ensemble)
    states = []

    def keep(state):
        states.append(State(state.turn, state.images.clone(), list(state.records)))

    whole = synthesize(networks, references, image_ids, FREE, recipe, seed=5, on_turn=keep)
    for state in states[:-1]:
        rest = synthesize(networks, references, image_ids, FREE, recipe, seed=5, state=state)
        assert torch.equal(rest.metamers, whole.metamers)
        assert len(rest.records) == len(whole.records)


def test_stop_gives_up_the_turn_and_keeps_the_state(networks, references, image_ids):
    calls = iter([False] * (3 + 5) + [True] * 100)  # three looks at the references, then steps
    last = []
    with pytest.raises(Interrupted):
        synthesize(
            networks,
            references,
            image_ids,
            FREE,
            settings(),
            on_turn=lambda state: last.append(state),
            stop=lambda: next(calls),
        )
    assert last[-1].turn == 2  # the sixth step is in the third turn of two
    rest = synthesize(networks, references, image_ids, FREE, settings(), state=last[-1])
    whole = synthesize(networks, references, image_ids, FREE, settings())
    assert torch.equal(rest.metamers, whole.metamers)


def test_mean_gradient_is_the_mean_of_the_models_gradients(networks, references):
    images = references.flip(0).contiguous()
    targets = [ModelObjective.prepare(network, references) for network in networks.values()]
    shares = [Assignment(index, target) for index, target in enumerate(targets)]
    mean, _ = combined_gradient(shares, images)
    alone = torch.stack([target.gradient(images)[0] for target in targets]).mean(0)
    torch.testing.assert_close(mean, alone)


def test_worst_model_takes_the_largest_loss_of_each_image(networks, references, image_ids):
    recipe = settings(ensemble="worst_model")
    result = synthesize(networks, references, image_ids, FREE, recipe, seed=5)
    first = result.records[0].models
    assert np.array_equal(first, result.losses_before.argmax(axis=1))


def test_raw_gradient_does_not_depend_on_the_batch_size(networks, references):
    target = ModelObjective.prepare(networks["net0"], references)
    images = references.flip(0).contiguous()
    gradient, _ = target.gradient(images)
    pair = ModelObjective.prepare(networks["net0"], references[:2])
    assert torch.equal(pair.gradient(images[:2])[0], gradient[:2])


def test_losses_that_are_not_finite_name_the_image_and_the_step(networks, references, image_ids):
    def broken(images):
        return networks["net0"](images) * (1 + torch.log(0.45 - (images - 0.5).abs().amax()))

    recipe = settings(schedule={"kind": "constant", "start": 50.0})
    with pytest.raises(FloatingPointError, match=r"image 'a' for model 'broken'.*at step"):
        synthesize({"broken": broken}, references * 0.5 + 0.3, image_ids, FREE, recipe)


def failing(networks, references, image_ids, network, **changes):
    """Return the message of a synthesis that meets a non-finite number, and its last turn."""
    states = [State(0, references)]
    with pytest.raises(FloatingPointError) as caught:
        synthesize(
            {"net0": networks["net0"], "broken": network},
            references,
            image_ids,
            FREE,
            settings(**changes),
            on_turn=states.append,
        )
    return str(caught.value), states[-1]


def test_the_first_step_that_is_not_finite_is_named_and_the_turn_before_is_kept(
    networks, references, image_ids
):
    calls = []

    def broken(images):
        calls.append(images)
        seventh = len(calls) == 1 + 7  # the references are looked at first
        factor = torch.ones(4, 1, 1, 1)
        factor[2] = float("nan") if seventh else 1.0
        return networks["net1"](images) * factor

    budget = {"total_steps": 40, "steps_per_turn": 5}
    message, state = failing(networks, references, image_ids, broken, budget=budget)
    # Its seventh step is the second of its second turn: steps 16 to 20.
    assert "the loss of image 'c' for model 'broken' is nan at step 17" in message
    assert (state.turn, len(state.records)) == (3, 3)
    assert torch.isfinite(state.images).all()


def test_pixels_that_are_not_finite_are_refused_though_the_loss_is(networks, references, image_ids):
    class Broken(torch.autograd.Function):
        @staticmethod
        def forward(context, images):
            return networks["net1"](images)

        @staticmethod
        def backward(context, gradient):
            images = torch.zeros(4, 3, 8, 8)
            images[1, 0, 0, 0] = float("nan")
            return images

    message, _ = failing(
        networks,
        references,
        image_ids,
        Broken.apply,
        budget={"total_steps": 2, "steps_per_turn": 1},
    )
    assert "the pixels of image 'b' moved by model 'broken' are not all finite at step 2" in message


def test_stored_losses_are_those_of_the_8_bit_images(networks, references, image_ids):
    result = synthesize(networks, references, image_ids, FREE, settings())
    target = ModelObjective.prepare(networks["net1"], references)
    again = target.losses(to_8_bits(result.metamers).float() / 255).numpy()
    np.testing.assert_allclose(result.losses_stored[:, 1], again, rtol=1e-6)
    assert not np.array_equal(result.losses_stored, result.losses_after)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda images: (images * 255).to(torch.uint8), "torch.uint8 of shape"),
        (lambda images: images[0], r"of shape \(3, 8, 8\); expected float32 of shape \(n, 3"),
        (lambda images: images[:3], "with 4 ids; each image needs one"),
        (lambda images: images * 255, "pixels lie in"),
        (lambda images: images / 0, "pixels lie in"),
    ],
)
def test_references_that_are_no_images_are_refused(networks, references, image_ids, spoil, message):
    with pytest.raises(ValueError, match=message):
        synthesize(networks, spoil(references), image_ids, FREE, settings())
