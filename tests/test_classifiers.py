import pytest
import torch
from torch import nn

from metamers.classifiers import Classifier, architecture, build
from metamers.zoo import ModelSpec, Normalisation, Weights


def spec(**changes):
    values = {
        "name": "tiny",
        "label": "Tiny",
        "family": "cnn",
        "training": "random",
        "architecture": "torchvision:squeezenet1_1",
        "parameters": 1_235_496,
        "blocks": ("features.*",),
        "normalisation": None,
        "weights": Weights(source="random", seed=3),
    }
    return ModelSpec(**(values | changes))


def test_normalisation_is_applied_before_the_network():
    classifier = Classifier(nn.Identity(), Normalisation((0.5, 0.25, 0.0), (0.5, 0.25, 2.0)))
    logits = classifier(torch.ones(2, 3, 1, 1))
    assert logits[0].flatten().tolist() == [1.0, 3.0, 0.5]


def test_no_normalisation_leaves_images_as_they_are():
    images = torch.rand(2, 3, 4, 4)
    assert torch.equal(Classifier(nn.Identity(), None)(images), images)


def test_same_seed_gives_same_network():
    first, second, other = (build(spec(weights=Weights("random", seed=s))) for s in (3, 3, 4))
    name = "network.classifier.1.weight"
    assert torch.equal(first.state_dict()[name], second.state_dict()[name])
    assert not torch.equal(first.state_dict()[name], other.state_dict()[name])


def test_building_leaves_the_global_generator_alone():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    build(spec())
    assert torch.equal(torch.rand(1), expected)


def test_classifier_is_frozen_and_in_evaluation_mode():
    classifier = build(spec())
    assert not any(module.training for module in classifier.modules())
    assert not any(parameter.requires_grad for parameter in classifier.parameters())


def test_wrong_number_of_parameters_is_refused():
    with pytest.raises(ValueError, match=r"has 1,235,496 parameters; its row expects 7"):
        build(spec(parameters=7))


def test_unknown_library_is_refused():
    with pytest.raises(ValueError, match=r"the library 'keras' is not known"):
        architecture("keras:resnet50")


def test_unknown_architecture_is_refused():
    with pytest.raises(ValueError, match=r"torchvision cannot build 'resnet51'"):
        architecture("torchvision:resnet51")
