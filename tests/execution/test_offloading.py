"""Models that do not fit together: which leave, how often they move, and the same bits."""

from dataclasses import dataclass, field
from itertools import cycle, islice

import pytest
import torch
from fixtures import small_network
from torch import nn

from metamers.execution.offloading import ModelOffloader, Weights, evictions, uses_of
from metamers.synthesis.settings import Bound, SynthesisSettings, turns
from metamers.synthesis.solver import synthesize


@dataclass
class Fake:
    """Counts its moves."""

    moves: list[str] = field(default_factory=list)

    def to_device(self):
        self.moves.append("device")

    def to_host(self):
        self.moves.append("host")


def offloader_of(names, budget, order, size=10):
    uses = uses_of([(names.index(name),) for name in order], names)
    return ModelOffloader(
        {name: Fake() for name in names}, dict.fromkeys(names, size), budget, uses
    )


def play(offloader, order):
    for offloader.turn, name in enumerate(order):
        offloader.load(name)
    return sum(fake.moves.count("device") for fake in offloader.models.values())


def test_the_model_that_is_needed_last_leaves():
    sizes, next_use = {"a": 10, "b": 10, "c": 10, "d": 10}, {"a": 7, "b": 9, "c": 8}
    assert evictions(["a", "b", "c"], "d", sizes, 30, next_use) == ["b"]
    assert evictions(["a", "b", "c"], "d", sizes, 20, next_use) == ["b", "c"]
    assert evictions(["a", "b", "c"], "d", sizes, 40, next_use) == []


def test_a_model_larger_than_the_budget_has_the_device_to_itself():
    sizes, next_use = {"a": 10, "b": 10, "huge": 99}, {"a": 1, "b": 2}
    assert evictions(["a", "b"], "huge", sizes, 30, next_use) == ["b", "a"]


def test_models_that_fit_move_once():
    order = list(islice(cycle("abcd"), 40))
    offloader = offloader_of(list("abcd"), 40, order)
    assert offloader.is_whole
    assert play(offloader, order) == 4
    assert all(fake.moves == ["device"] for fake in offloader.models.values())


def least_moves(order, room):
    """Moves of the best possible rule, by trying every choice (demand paging)."""
    states = {frozenset(): 0}
    for name in order:
        after = {}
        for held, moves in states.items():
            options = [held] if name in held else []
            if name not in held:
                rest = [held] if len(held) < room else [held - {other} for other in held]
                options = [kept | {name} for kept in rest]
            for option in options:
                cost = moves + (name not in held)
                after[option] = min(cost, after.get(option, cost))
        states = after
    return min(states.values())


@pytest.mark.parametrize("order", [list(islice(cycle("abcd"), 24)), list("abdcacbdbadcdbacbcad")])
@pytest.mark.parametrize("room", [1, 2, 3])
def test_no_rule_moves_less(order, room):
    offloader = offloader_of(list("abcd"), 10 * room, order)
    assert play(offloader, order) == least_moves(order, room)
    assert len(offloader.resident) <= room


def test_round_robin_moves_less_than_by_longest_unused():
    order = list(islice(cycle("abcd"), 40))
    offloader = offloader_of(list("abcd"), 30, order)
    assert play(offloader, order) <= 4 + 36 / 3 + 1  # by longest unused it would be 40


def test_uses_are_the_turns_of_each_model_and_a_turn_of_no_model_needs_all():
    assert uses_of([(0,), (1,), (0, 1), ()], ["a", "b"]) == {"a": [0, 2, 3], "b": [1, 2, 3]}


@pytest.mark.parametrize("ensemble", ["round_robin", "mean_gradient", "worst_model"])
def test_moving_models_changes_no_bit(networks, references, image_ids, ensemble, monkeypatch):
    free = Bound()
    budget = {"total_steps": 24, "steps_per_turn": 2}
    recipe = SynthesisSettings.of({"preset": "paper", "budget": budget, "ensemble": ensemble})
    still = synthesize(networks, references, image_ids, free, recipe)
    plan, _ = turns(recipe, 3, 0)
    moves = []
    monkeypatch.setattr(Weights, "to_device", lambda weights: moves.append(weights))
    weights = {name: Weights.take_over(one, torch.device("cpu")) for name, one in networks.items()}
    sizes = {name: one.nbytes for name, one in weights.items()}
    offloader = ModelOffloader(
        weights, sizes, 2.5 * max(sizes.values()), uses_of([t.models for t in plan], list(networks))
    )
    moved = synthesize(
        {name: offloader.features(name, one) for name, one in networks.items()},
        references,
        image_ids,
        free,
        recipe,
        on_turn=lambda state: setattr(offloader, "turn", state.turn),
    )
    assert torch.equal(moved.metamers, still.metamers)
    assert len(moves) > 3


def test_weights_go_to_the_device_and_their_values_stay_on_the_host():
    network = nn.Sequential(small_network(0), nn.BatchNorm2d(4)).requires_grad_(False)
    network.to(memory_format=torch.channels_last)
    weights = Weights.take_over(network, torch.device("meta"))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert weights.nbytes == sum(tensor.nbytes for tensor in before.values())
    weights.to_host()
    assert all(torch.equal(network.state_dict()[name], one) for name, one in before.items())
    strides = [tensor.stride() for tensor in network.parameters()]
    moved = [values.to("meta").stride() for _, values in weights.held[: len(strides)]]
    assert moved == strides  # the layout survives
