"""Ways to run a step: the same operations, on one line, in a graph, or compiled."""

import pytest
import torch
from fixtures import small_network

from metamers.execution import autotuning, ways
from metamers.models import stages
from metamers.models.classifier import Classifier
from metamers.synthesis.objective import ModelObjective
from metamers.synthesis.settings import Bound, SynthesisSettings
from metamers.synthesis.solver import synthesize

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
    straight = ways.traced(features, images)
    assert torch.equal(straight(references), features(references))
    one, other = (
        ModelObjective.of(f, references).gradient(images)[0] for f in (features, straight)
    )
    assert torch.equal(one, other)


def test_a_trace_that_lost_the_rectifiers_rule_is_not_taken(references, monkeypatch):
    """The identity gradient is a hook, which no straight line has: the probe must see that."""
    monkeypatch.setattr(ways, "compiled", ways.traced)
    monkeypatch.setattr(autotuning, "GAIN", -10.0)  # whatever agrees would be taken
    found = ways.candidates(stopping(identity_relu=True), references)
    del found["graph"]
    assert autotuning.fastest("steps", found) == "eager"
    plain = ways.candidates(stopping(), references)
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
    forward = ways.compiled(features, images)
    assert torch.equal(forward(images), features(images))
    assert asked == [tuple(images.shape)]


def test_first_way_is_the_one_that_others_are_measured_by(references):
    found = ways.candidates(small_network(4), references)
    assert tuple(found) == ways.WAYS
    target = ModelObjective.of(small_network(4), references, chunk_size=len(references))
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
