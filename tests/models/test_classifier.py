import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from metamers.models import zoo
from metamers.models.classifier import (
    Classifier,
    architecture,
    build,
    load,
    load_model,
    load_pretrained,
)
from metamers.models.weights.cache import default_cache, locate
from metamers.models.weights.errors import OtherArchitectureError
from metamers.models.weights.row import Layout, WeightsRow
from metamers.models.zoo import ModelSpec, Normalisation

# timm 1.0.9 uses it when it is imported.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.interface:FutureWarning")


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
        "weights": WeightsRow(source="random", seed=3),
    }
    return ModelSpec(**(values | changes))


class FirstPixel(nn.Module):
    """Puts the three channels of an image's first pixel into its first three logits."""

    def forward(self, images):
        return nn.functional.pad(images[:, :, 0, 0], (0, 997))


def test_normalisation_is_applied_before_the_network():
    classifier = Classifier(FirstPixel(), Normalisation((0.5, 0.25, 0.0), (0.5, 0.25, 2.0)))
    logits = classifier(torch.ones(2, 3, 1, 1))
    assert logits[0, :3].tolist() == [1.0, 3.0, 0.5]


def test_no_normalisation_leaves_images_as_they_are():
    images = torch.rand(2, 3, 4, 4)
    assert torch.equal(Classifier(FirstPixel(), None)(images)[:, :3], images[:, :, 0, 0])


@pytest.mark.parametrize(
    ("network", "met"), [(nn.Flatten(), r"\(2, 48\)"), (nn.Identity(), r"\(2, 3, 4, 4\)")]
)
def test_anything_but_1000_logits_is_refused(network, met):
    with pytest.raises(ValueError, match=rf"model 'mine' gave {met}; expected .* \(2, 1000\)"):
        Classifier(network, None, "mine")(torch.rand(2, 3, 4, 4))


class Wrapped(FirstPixel):
    def __init__(self, change):
        super().__init__()
        self.change = change

    def forward(self, images):
        return self.change(super().forward(images))


@pytest.mark.parametrize(
    ("change", "met"),
    [
        (lambda logits: (logits, logits), "tuple"),
        (lambda logits: {"logits": logits}, "dict"),
        (lambda logits: logits[:, :10], r"\(2, 10\)"),
        (lambda logits: logits[0], r"\(1000,\)"),
        (lambda logits: logits / 0, "NaN or infinite logits for 2 of 2 images"),
    ],
)
def test_a_wrong_output_is_refused_with_the_models_name(change, met):
    classifier = Classifier(Wrapped(change), None, "mine").eval()
    with torch.no_grad(), pytest.raises(ValueError, match=f"model 'mine' gave {met}"):
        classifier(torch.rand(2, 3, 4, 4))


def test_a_model_built_from_a_row_has_its_name():
    assert build(spec()).name == "tiny"


def test_same_seed_gives_same_network():
    first, second, other = (build(spec(weights=WeightsRow("random", seed=s))) for s in (3, 3, 4))
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


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("torchvision:resnet51", "Unknown model resnet51"),
        ("own:cornet_z", "no attribute 'cornet_z'"),
        ("import:no_such_package.models:net", "No module named 'no_such_package'"),
        ("import:json:net", "has no attribute 'net'"),
        ("import:json", "has no attribute ''"),
        ("import:json:loads", "missing 1 required positional argument"),
        ("import:builtins:dict", "gave a dict; expected is a torch.nn.Module"),
    ],
)
def test_what_cannot_be_built_is_refused_with_its_cause(name, told):
    with pytest.raises(ValueError, match=rf"(?s){name!r}.*{told}.*Your own model"):
        architecture(name)


FACTORY = """
from torch import nn

def net():
    pool = nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(nn.Conv2d(3, 8, 3), pool, nn.Flatten(), nn.Linear(8, 1000))
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A user's row: a factory in the working directory, and a checkpoint of it."""
    (tmp_path / "my_networks.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_networks", raising=False)
    checkpoint = tmp_path / "mine.pth"
    row = spec(
        architecture="import:my_networks:net",
        parameters=0,
        blocks=("0",),
        training="standard",
        weights=WeightsRow(source="local", path=str(checkpoint), layout=Layout(nested=("model",))),
    )
    torch.manual_seed(5)
    torch.save({"model": architecture(row.architecture).state_dict()}, checkpoint)
    return row


def test_a_users_factory_and_checkpoint_become_a_classifier(own):
    classifier = load(own, locate(own.weights, Path("cache")))
    torch.manual_seed(5)
    expected = architecture(own.architecture).state_dict()
    met = classifier.network.state_dict()
    assert all(torch.equal(met[name], expected[name]) for name in expected)
    assert classifier(torch.rand(2, 3, 8, 8)).shape == (2, 1000)


def test_weights_that_a_factory_loads_are_kept_as_they_are(own):
    row = replace(own, weights=WeightsRow(source="factory"))
    Path("my_networks.py").write_text(
        FACTORY.replace("return", "made =")
        + "    import torch\n"
        + f"    stored = torch.load({own.weights.path!r}, weights_only=True)\n"
        + "    made.load_state_dict(stored['model'])\n"
        + "    return made\n"
    )
    sys.modules.pop("my_networks")
    met = load_pretrained(row, Path("cache")).network.state_dict()
    stored = torch.load(own.weights.path, weights_only=True)["model"]
    assert all(torch.equal(met[name], stored[name]) for name in stored)


def test_weights_of_a_factory_need_a_factory():
    row = spec(weights=WeightsRow(source="factory"))
    with pytest.raises(ValueError, match="'torchvision:squeezenet1_1' is not a function of yours"):
        load_pretrained(row, Path("cache"))


def test_a_factory_whose_weights_are_nan_is_refused(own):
    Path("my_networks.py").write_text(
        FACTORY.replace("return", "made =") + "    made[0].bias.data[0] /= 0\n    return made\n"
    )
    sys.modules.pop("my_networks")
    with pytest.raises(ValueError, match=r"'tiny': '0\.bias' has NaN"):
        load_pretrained(replace(own, weights=WeightsRow(source="factory")), Path("cache"))


def test_a_users_factory_leaves_the_import_path_alone(own):
    before = list(sys.path)
    architecture(own.architecture)
    assert sys.path == before


def test_a_checkpoint_that_does_not_fit_is_refused(own):
    torch.save({"model": nn.Linear(8, 1000).state_dict()}, own.weights.path)
    with pytest.raises(OtherArchitectureError, match=r"mine\.pth"):
        load(own, Path(own.weights.path))


def test_weights_without_a_file_are_refused(own):
    with pytest.raises(ValueError, match="'tiny': no file of weights was given"):
        load(own, None)


def test_a_timm_name_with_a_local_checkpoint_becomes_a_classifier(own, tmp_path):
    path = tmp_path / "mine.safetensors"
    row = replace(
        own,
        architecture="timm:mobilenetv3_small_050",
        weights=WeightsRow(source="local", path=str(path)),
    )
    state = build(row).network.state_dict()
    drawn = {name: torch.rand(tensor.shape).to(tensor.dtype) for name, tensor in state.items()}
    save_file(drawn, path)
    met = load(row, path).network.state_dict()
    assert all(torch.equal(met[name], drawn[name]) for name in drawn)


def test_a_model_of_the_zoo_is_loaded_by_its_name():
    classifier = load_model("squeezenet1_1")
    row = zoo.specs(zoo.read("config/models.yaml"))["squeezenet1_1"]
    expected = load_pretrained(row, default_cache()).state_dict()
    met = classifier.state_dict()
    assert met.keys() == expected.keys()
    assert all(torch.equal(met[name], tensor) for name, tensor in expected.items())


def test_the_librarys_own_zoo_is_read_where_the_working_directory_has_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_model("squeezenet1_1")(torch.rand(1, 3, 64, 64)).shape == (1, 1000)


def test_a_name_that_the_zoo_lacks_is_refused_with_those_it_has():
    with pytest.raises(ValueError, match=r"model 'alex' is not in .*; it has .*squeezenet1_1"):
        load_model("alex")


def test_a_folder_for_weights_and_a_zoo_may_be_named(tmp_path, monkeypatch):
    monkeypatch.setenv("METAMERS_LOCK", str(tmp_path / "weights.lock"))
    (tmp_path / "zoo.yaml").write_text(
        "mine: {label: Mine, family: cnn, training: random, architecture: 'torchvision:alexnet', "
        "blocks: ['features.*'], normalisation: null, weights: {source: url, file: mine.pth, "
        "url: 'http://127.0.0.1:9/mine.pth'}}"
    )
    torch.save(torchvision.models.alexnet().state_dict(), tmp_path / "mine.pth")
    assert isinstance(load_model("mine", tmp_path / "zoo.yaml", tmp_path), Classifier)
