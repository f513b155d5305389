"""The robust rows against RobustBench's own constructors and its loader."""

import re
import sys
import warnings
from importlib.metadata import distribution
from pathlib import Path

import pytest
import torch

from metamers.models import zoo
from metamers.models.classifier import build, load
from metamers.models.weights.errors import RenamedKeysError

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.interface:FutureWarning")

SPECS = zoo.specs(zoo.read(Path(__file__).parents[2] / "config/models.yaml"))

IDENTITIES = {
    "resnet18_robust": ("Linf", "Salman2020Do_R18"),
    "resnet50_robust": ("Linf", "Salman2020Do_R50"),
    "wide_resnet50_robust": ("Linf", "Salman2020Do_50_2"),
    "convnext_base_robust": ("Linf", "Liu2023Comprehensive_ConvNeXt-B"),
    "swin_base_robust": ("Linf", "Liu2023Comprehensive_Swin-B"),
    "vit_base_robust": ("Linf", "Singh2023Revisiting_ViT-B-ConvStem"),
    "xcit_small_robust": ("Linf", "Debenedetti2022Light_XCiT-S12"),
    "deit_small_robust": ("corruptions", "Tian2022Deeper_DeiT-S"),
}


@pytest.fixture(scope="module")
def robustbench():
    """Return its ImageNet models; 1.1.1 imports `autoattack` by a name its package has not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pyautoattack

        sys.modules["autoattack"] = pyautoattack
        import robustbench.model_zoo.imagenet as models
    yield models.imagenet_models
    del sys.modules["autoattack"]


def timm_name(name):
    threat, identity = IDENTITIES[name]
    return f"{identity}_imagenet_{threat}".lower().replace("-", "_")


def theirs(models, name):
    """Build its model; two are timm models, whose entries in its own table are out of date."""
    import timm
    from robustbench.model_zoo.enums import ThreatModel

    threat, identity = IDENTITIES[name]
    if timm.is_model(timm_name(name)):
        return timm.create_model(timm_name(name), pretrained=False).eval()
    return models[ThreatModel(threat)][identity]["model"]().eval()


def published(threat):
    """Return clean accuracies by identity, from the tables of ImageNet that the package carries."""
    page = distribution("robustbench").metadata.get_payload()
    section = page.split("### ImageNet")[1].split(f"#### {HEADINGS[threat]}")[1].split("####")[0]
    cells = [line.split("|") for line in section.splitlines() if line.startswith("| <sub>**")]
    plain = [[re.sub(r"</?su[bp]>|[*%]", "", cell).strip() for cell in row] for row in cells]
    return {row[2]: float(row[4]) for row in plain}


HEADINGS = {"Linf": "Linf, eps=4/255", "corruptions": "Corruptions"}


@pytest.mark.parametrize("name", IDENTITIES)
def test_expected_accuracy_is_the_one_that_is_published(name):
    threat, identity = IDENTITIES[name]
    assert SPECS[name].accuracy["top1"] == pytest.approx(published(threat)[identity] / 100)
    assert f"{threat}/{identity}" in SPECS[name].accuracy["source"]


def test_every_robust_row_but_feathers_is_robustbenchs():
    robust = {name for name, spec in SPECS.items() if spec.training == "robust"}
    assert robust - {"alexnet_robust"} == set(IDENTITIES)


DRIVE = [name for name, spec in SPECS.items() if spec.weights.source == "gdrive"]
RELEASED = ["xcit_small_robust", "deit_small_robust"]


@pytest.mark.parametrize("name", DRIVE)
def test_row_names_the_file_on_google_drive_that_robustbench_names(robustbench, name):
    from robustbench.model_zoo.enums import ThreatModel

    threat, identity = IDENTITIES[name]
    drive_id = robustbench[ThreatModel(threat)][identity]["gdrive_id"]
    assert SPECS[name].weights.url.endswith(f"id={drive_id}")
    assert SPECS[name].weights.file == f"{identity}.pt"


@pytest.mark.parametrize("name", RELEASED)
def test_row_names_the_released_file_that_robustbench_names(robustbench, name):
    from robustbench.model_zoo.architectures import deit, xcit

    registered = deit.default_cfgs | xcit.default_cfgs
    assert SPECS[name].weights.url == registered[timm_name(name)]["url"]


def test_accuracy_is_quoted_by_robustbenchs_name():
    for name, identity in IDENTITIES.items():
        assert f"RobustBench, {'/'.join(identity)} (" in SPECS[name].accuracy["source"]


@pytest.mark.parametrize("name", IDENTITIES)
def test_row_computes_what_robustbench_computes(robustbench, name):
    """Same names, shapes, normalisation and answers, once both have the same weights."""
    torch.manual_seed(0)
    model, classifier = theirs(robustbench, name), build(SPECS[name])
    wrapped = hasattr(model, "model")
    core = model.model if wrapped else model
    classifier.network.load_state_dict(core.state_dict(), strict=True)
    assert wrapped == (SPECS[name].normalisation is not None)
    images = torch.rand(2, 3, 224, 224)
    with torch.no_grad():
        expected, met = model(images), classifier(images)
    assert expected.std() > 0
    torch.testing.assert_close(met, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


def renamed(path, spec):
    state = build(spec).network.state_dict()
    torch.save({f"backbone.{name}": value for name, value in state.items()}, path)


def test_renamed_entries_that_robustbench_accepts_are_refused(robustbench, tmp_path):
    from robustbench.utils import load_model

    spec = SPECS["resnet18_robust"]
    folder = tmp_path / "imagenet" / "Linf"
    folder.mkdir(parents=True)
    path = folder / "Salman2020Do_R18.pt"
    renamed(path, spec)
    load_model("Salman2020Do_R18", model_dir=tmp_path, dataset="imagenet", threat_model="Linf")
    with pytest.raises(RenamedKeysError, match=r"Look at the row's weights\.layout"):
        load(spec, path)
