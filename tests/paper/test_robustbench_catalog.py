"""Models of RobustBench's catalog by name: architecture and normalisation from there."""

import sys

import pytest
import torch
import yaml
from fixtures import ROOT
from typer.testing import CliRunner

from metamers.cli.main import app
from metamers.models import robustbench_catalog, zoo
from metamers.models.classifier import architecture, build, load

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.interface:FutureWarning")
NAME = "Linf/Salman2020Do_R18"


@pytest.fixture(scope="module")
def spec():
    row = robustbench_catalog.row(NAME)
    ours = {"name": "catalog", "label": "x", "family": "cnn", "training": "robust"}
    return zoo.ModelSpec.of(row | ours | {"blocks": ["layer?.*"]})


def test_row_computes_what_the_catalogs_own_model_computes(spec):
    torch.manual_seed(0)
    theirs = robustbench_catalog._entry(NAME)["model"]().eval()
    ours = build(spec)
    ours.network.load_state_dict(theirs.model.state_dict())
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images))


def test_row_is_that_of_the_zoo(spec):
    known = zoo.specs(zoo.read(ROOT / "config/models.yaml"))["resnet18_robust"]
    assert (spec.parameters, spec.normalisation) == (known.parameters, known.normalisation)
    assert spec.input == known.input


def test_file_in_the_catalogs_layout_is_read_without_its_loader(spec, tmp_path):
    network = architecture(spec.architecture)
    state = {f"module.model.{name}": value for name, value in network.state_dict().items()}
    extra = {"module.normalize.mean": torch.zeros(1, 3, 1, 1)}
    torch.save({"state_dict": state | extra}, tmp_path / "file.pt")
    loaded = load(spec, tmp_path / "file.pt").network.state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in network.state_dict().items())


def test_an_unknown_name_is_refused_with_those_that_there_are():
    with pytest.raises(ValueError, match=r"no 'Linf/Nobody2020'; it has .*Salman2020Do_R18"):
        architecture("robustbench:Linf/Nobody2020")


def test_catalog_prints_a_row_that_the_schema_takes_once_its_blocks_are_given():
    done = CliRunner().invoke(app, ["catalog", f"robustbench:{NAME}"])
    (row,) = yaml.safe_load(done.output).values()
    from jsonschema import Draft202012Validator

    schema = yaml.safe_load((ROOT / "workflow/schemas/models.schema.yaml").read_text())
    errors = list(Draft202012Validator(schema).iter_errors({"new": row | {"blocks": ["layer?.*"]}}))
    assert not errors
    assert "autoattack" not in sys.modules
