"""Bounds, recipes and turns."""

import numpy as np
import pytest
import reference_rules
import torch

from metamers.synthesis.settings import Bound, SynthesisSettings, presets, turns

IMAGES = torch.rand((2, 3, 16, 16), generator=torch.Generator().manual_seed(1))
BUDGET = {"total_steps": 24, "steps_per_turn": 2}


def settings(**changes):
    return SynthesisSettings.of({"preset": "paper", "budget": BUDGET} | changes)


def test_bound_reads_fractions():
    assert Bound.of({"norm": "linf", "center": "initial", "radius": "8/255"}).radius == 8 / 255
    assert Bound.of({"norm": "linf", "center": "initial", "radius": 0.3}).radius == 0.3


@pytest.mark.parametrize(("norm", "radius"), [("linf", 1.0), ("l2", 768**0.5 + 1e-6)])
def test_idle_bound_moves_no_image_of_the_pixel_range(norm, radius):
    bound = Bound(norm, "initial", radius)
    assert bound.is_idle((0.0, 1.0), 768)
    assert not bound.is_idle(None, 768)
    for corner in (IMAGES > 0.5).float().numpy():
        assert np.array_equal(reference_rules.project(corner, 1 - corner, norm, radius), corner)
    assert not Bound(norm, "initial", radius * 0.9).is_idle((0.0, 1.0), 768)


def test_bound_is_unbounded_unless_it_is_said_otherwise():
    assert Bound().is_idle((0.0, 1.0), 768)
    assert Bound().is_idle(None, 768)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("l1", "initial", 0.1), "norm 'l1' is not known; known are linf, l2"),
        (("linf", "middle", 0.1), "center 'middle' is not known; known are initial, reference"),
        (("l2", "initial", 0), "radius is 0"),
        (("l2", "initial", float("nan")), "radius is nan"),
    ],
)
def test_bound_that_is_none_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Bound(*values)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"budget": {"total_step": 24, "steps_per_turn": 2}},
            r"keys \['steps_per_turn', 'total_st",
        ),
        ({"budget": {"total_steps": 24}}, r"must have \['steps_per_turn', 'total_steps'\] or"),
        ({"gradient": "newton"}, "gradient 'newton' is not known"),
        ({"ensemble": "all"}, "ensemble 'all' is not known"),
        ({"target_relu": "leaky"}, "target_relu 'leaky' is not known"),
        ({"loss": {"reduction": "sum"}}, "key of a recipe 'loss' is not known"),
    ],
)
def test_recipe_with_an_unknown_key_or_value_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        settings(**changes)


def test_presets_hold_the_published_numbers():
    paper, feather = presets()["paper"], presets()["feather2023"]
    assert paper["budget"] == {"total_steps": 40_000, "steps_per_turn": 10}  # Table 3
    assert (paper["schedule"]["start"], paper["schedule"]["stop"]) == (1.0, 0.005)
    assert feather["budget"]["total_steps"] == 8 * feather["schedule"]["every"] == 24_000


def test_turns_follow_both_readings_of_the_budget():
    plan, repetitions = turns(settings(), 3, seed=0)
    assert [turn.models for turn in plan[:4]] == [(0,), (1,), (2,), (0,)]
    assert (len(plan), repetitions) == (12, 12)
    each = settings(budget={"per_model": 24, "steps_per_turn": 2})
    plan, repetitions = turns(each, 3, seed=0)
    assert (len(plan), repetitions) == (36, 12)
    assert [turn.repetition for turn in plan[:7]] == [0, 0, 0, 1, 1, 1, 2]


@pytest.mark.parametrize("ensemble", ["round_robin", "random_order", "mean_gradient"])
def test_strategies_have_the_same_number_of_gradients(ensemble):
    plan, _ = turns(settings(ensemble=ensemble), 3, seed=0)
    assert sum(turn.steps * len(turn.models) for turn in plan) == 24


def test_random_order_gives_each_model_one_turn_in_each_cycle():
    plan, _ = turns(settings(ensemble="random_order"), 3, seed=1)
    order = [turn.models[0] for turn in plan]
    assert all(sorted(order[i : i + 3]) == [0, 1, 2] for i in range(0, 12, 3))
    assert order != [0, 1, 2] * 4


def test_budget_without_a_turn_for_each_model_is_refused():
    with pytest.raises(ValueError, match="each needs a turn of 2"):
        turns(settings(budget={"total_steps": 4, "steps_per_turn": 2}), 3, seed=0)
