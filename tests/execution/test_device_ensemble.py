"""Models at work: layouts and threads that are tried out, and choices that are kept to."""

from dataclasses import replace

import pytest
import torch
from fixtures import small_network

from metamers.execution import autotuning
from metamers.execution.autotuning import TunedSettings
from metamers.execution.device_ensemble import DeviceEnsemble, to_device
from metamers.execution.settings import ExecutionSettings
from metamers.models import stages
from metamers.models.classifier import Classifier

ENGINE = ExecutionSettings("cpu", 8, 8, False, False, "float32", 1)
TURNS = [(0,), (1,)] * 3


@pytest.fixture
def features():
    def of(seed):
        classifier = Classifier(small_network(seed), None).eval().requires_grad_(False)
        return stages.Features(classifier, "3", False)

    return {"one": of(1), "other": of(2)}


@pytest.fixture
def tried(monkeypatch):
    """Probes whose outcome the test decides: by title, the candidates and their gradients."""
    seen, outcome = {}, {}

    def fastest(title, candidates, clock):
        seen[title] = {name: prepare()() for name, prepare in candidates.items()}
        return outcome.get(title, next(iter(candidates)))

    monkeypatch.setattr(autotuning, "fastest", fastest)
    return seen, outcome


def weights_are_channels_last(features):
    return all(
        one.classifier.network[0].weight.is_contiguous(memory_format=torch.channels_last)
        for one in features.values()
    )


@pytest.mark.parametrize("winner", ["contiguous", "channels_last"])
def test_layout_is_the_faster_one(features, references, tried, winner):
    seen, outcome = tried
    outcome["memory layout"] = winner
    ensemble = DeviceEnsemble.prepare(
        features, references, replace(ENGINE, channels_last="auto"), TURNS
    )
    assert list(seen["memory layout"]) == ["contiguous", "channels_last"]
    torch.testing.assert_close(*seen["memory layout"].values(), rtol=1e-4, atol=1e-7)
    assert ensemble.choices.channels_last == (winner == "channels_last")
    assert weights_are_channels_last(features) == (winner == "channels_last")


def test_a_layout_that_is_said_is_not_tried(features, references, tried):
    ensemble = DeviceEnsemble.prepare(
        features, references, replace(ENGINE, channels_last=True), TURNS
    )
    assert tried[0] == {}
    assert ensemble.choices == TunedSettings(True, {"one": "eager", "other": "eager"}, 1)
    placed = to_device(references, ensemble.device, ensemble.choices.channels_last)
    assert placed.is_contiguous(memory_format=torch.channels_last)


def test_threads_are_halved_down_to_one_and_the_fastest_number_stays(features, references, tried):
    seen, outcome = tried
    outcome["threads"] = "2"
    torch.set_num_threads(4)
    ensemble = DeviceEnsemble.prepare(features, references, replace(ENGINE, threads="auto"), TURNS)
    assert list(seen["threads"]) == ["4", "2", "1"]
    assert ensemble.choices.threads == torch.get_num_threads() == 2


@pytest.mark.parametrize(("threads", "given"), [("given", 2), ("auto", 1)])
def test_threads_are_not_tried_where_there_is_no_choice(
    features, references, tried, threads, given
):
    torch.set_num_threads(given)
    ensemble = DeviceEnsemble.prepare(features, references, replace(ENGINE, threads=threads), TURNS)
    assert tried[0] == {}
    assert ensemble.choices.threads == given


def test_choices_of_an_earlier_part_of_the_job_are_kept_to(features, references, tried):
    choices = TunedSettings(True, {"one": "eager", "other": "eager"}, 1)
    engine = replace(ENGINE, channels_last="auto", threads="auto")
    ensemble = DeviceEnsemble.prepare(features, references, engine, TURNS, choices)
    assert tried[0] == {}
    assert ensemble.choices == choices
    assert weights_are_channels_last(features)


def test_what_an_image_takes_is_counted(features, references):
    ensemble = DeviceEnsemble.prepare(features, references, ENGINE, TURNS)
    need = ensemble.needs["one"]
    assert need.activation == 4 * 4 * 6 * 6  # float32, channels, side, side
    assert need.step >= need.activation
    assert ensemble.places(4) == {"one": "device", "other": "device"}
