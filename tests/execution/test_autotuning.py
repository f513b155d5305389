"""Settings chosen by time, with a clock that is made up, and the backends of a step."""

import json

import pytest
import torch
from fixtures import small_network

from metamers.execution import autotuning
from metamers.execution.autotuning import TunedSettings, fastest
from metamers.models import stages
from metamers.models.classifier import Classifier
from metamers.synthesis.objective import ModelObjective
from metamers.synthesis.settings import Bound, SynthesisSettings
from metamers.synthesis.solver import synthesize


class Clock:
    """Advances by what the step that ran last takes."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def step(self, seconds, gradient=(1.0, 2.0), error=None):
        def run():
            self.now += seconds
            return torch.tensor(gradient)

        def fail():
            raise error

        return lambda: run if error is None else fail()


def test_the_faster_of_two_is_taken_and_both_are_logged(caplog):
    caplog.set_level("INFO")
    clock = Clock()
    candidates = {"plain": clock.step(2.0), "quick": clock.step(1.0)}
    assert fastest("layout", candidates, clock) == "quick"
    assert "layout: plain 2000.00 ms" in caplog.text
    assert "quick 1000.00 ms" in caplog.text
    assert "taken: quick" in caplog.text


@pytest.mark.parametrize(
    "other",
    [
        {"seconds": 0.99},  # within the noise
        {"seconds": 1.5},
        {"seconds": 0.1, "gradient": (1.0, 2.1)},  # wrong
        {"seconds": 0.1, "gradient": (float("nan"), 2.0)},
        {"seconds": 0.1, "error": RuntimeError("no compiler here")},
    ],
    ids=["hardly faster", "slower", "wrong", "not finite", "broken"],
)
def test_the_first_stays_unless_another_is_right_and_clearly_faster(other):
    clock = Clock()
    assert (
        fastest("way", {"plain": clock.step(1.0), "other": clock.step(**other)}, clock) == "plain"
    )


def test_what_the_first_raises_goes_on():
    clock = Clock()
    broken = clock.step(1.0, error=torch.OutOfMemoryError("full"))
    with pytest.raises(torch.OutOfMemoryError):
        fastest("way", {"plain": broken}, clock)


def test_choices_survive_being_written_as_json():
    choices = TunedSettings(channels_last=True, backends={"a": "graph", "b": "eager"}, threads=3)
    assert TunedSettings.of(json.loads(json.dumps(choices.plain()))) == choices


FREE = Bound()
NEEDS_CUDA = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="CUDA graphs need a GPU, and there is none"
)


def stopping(identity_relu=False):
    """Features that end their forward by an exception, which no compiler follows."""
    network = torch.nn.Sequential(small_network(4), torch.nn.Flatten(), torch.nn.LazyLinear(2))
    network(torch.zeros(2, 3, 8, 8))
    classifier = Classifier(network, None).eval().requires_grad_(False)
    return stages.Features(classifier, "0", identity_relu)


@pytest.fixture
def images(references):
    return references.flip(0).contiguous()


def test_traced_forward_has_the_bits_of_the_one_that_stops(references, images):
    features = stopping()
    straight = autotuning.traced(features, images)
    assert torch.equal(straight(references), features(references))
    one, other = (
        ModelObjective.prepare(f, references).gradient(images)[0] for f in (features, straight)
    )
    assert torch.equal(one, other)


def test_a_trace_that_lost_the_rectifiers_rule_is_not_taken(references, monkeypatch):
    """The identity gradient is a hook, which no straight line has: the probe must see that."""
    monkeypatch.setattr(autotuning, "compiled", autotuning.traced)
    monkeypatch.setattr(autotuning, "GAIN", -10.0)  # whatever agrees would be taken
    found = autotuning.backend_candidates(stopping(identity_relu=True), references)
    del found["graph"]
    assert autotuning.fastest("steps", found) == "eager"
    plain = autotuning.backend_candidates(stopping(), references)
    del plain["graph"]
    assert autotuning.fastest("steps", plain) == "compiled"


def test_forward_is_compiled_for_the_shape_of_a_chunk_alone(references, images, monkeypatch):
    asked = []

    def compiler(function, dynamic):
        assert dynamic is False

        def run(given):
            asked.append(tuple(given.shape))
            return function(given)

        return run

    monkeypatch.setattr(torch, "compile", compiler)
    features = small_network(4)
    forward = autotuning.compiled(features, images)
    assert torch.equal(forward(images), features(images))
    assert asked == [tuple(images.shape)]


def test_first_backend_is_the_one_that_others_are_measured_by(references):
    found = autotuning.backend_candidates(small_network(4), references)
    assert tuple(found) == autotuning.BACKENDS
    target = ModelObjective.prepare(small_network(4), references, chunk_size=len(references))
    expected = target.gradient(references.flip(0))[0]
    assert torch.equal(found["eager"]()(), expected)


@NEEDS_CUDA
@pytest.mark.parametrize("ensemble", ["round_robin", "mean_gradient"])
def test_graphs_have_the_bits_of_eager_steps(networks, references, image_ids, ensemble):
    on_gpu = {name: network.cuda() for name, network in networks.items()}
    budget = {"total_steps": 24, "steps_per_turn": 2}
    recipe = SynthesisSettings.of({"preset": "paper", "budget": budget, "ensemble": ensemble})
    found = [
        synthesize(on_gpu, references.cuda(), image_ids, FREE, recipe, graphs=graphs).metamers
        for graphs in ((), tuple(on_gpu))
    ]
    assert torch.equal(*found)
