import csv
from pathlib import Path

import pytest
from torchvision import models
from typer.testing import CliRunner

from metamers.cli.main import app
from metamers.models import zoo
from metamers.models.classifier import build
from metamers.models.weights.row import WeightsRow
from metamers.models.zoo import ModelSpec
from metamers.preflight.stage_cards import cards, forward_flops

ROOT = Path(__file__).parents[2]
SPECS = zoo.specs(zoo.read(ROOT / "config/models.yaml"))


def tiny(**changes):
    values = {
        "name": "tiny",
        "label": "Tiny",
        "family": "cnn",
        "training": "random",
        "architecture": "import:fixtures:two_convolutions",
        "parameters": 0,
        "blocks": ("[01]",),
        "normalisation": None,
        "weights": WeightsRow(source="random"),
    }
    return ModelSpec(**(values | changes))


def test_card_of_a_network_worked_by_hand():
    """The first has 3 · 2 weights at each position, the second 2 · 2 · 9."""
    (early, late) = cards(tiny(), {"early": 0.5, "late": 1.0}, side=4)
    assert (early.module, early.shape) == ("0", "2x4x4")
    assert (late.module, late.shape) == ("1", "2x4x4")
    assert early.flops_share == round(6 / (6 + 36), 3)
    assert late.flops_share == 1.0


def test_a_row_overrules_the_depth_rule():
    (card,) = cards(tiny(stages={"early": "1"}), {"early": 0.5}, side=4)
    assert card.module == "1"


def test_a_card_leaves_the_network_as_it_was():
    classifier = build(tiny())
    weight = classifier.network[0].weight.clone()
    cards(tiny(), {"early": 0.5}, side=4, classifier=classifier)
    assert (classifier.network[0].weight == weight).all()


@pytest.mark.parametrize("name", ["vit_base", "resnet18", "mobilenet_v2"])
def test_flops_are_those_that_torchvision_states(name):
    """torchvision states multiply-adds, in thousand millions, to three digits."""
    spec = SPECS[name]
    weights = models.get_model_weights(spec.architecture.split(":")[1]).IMAGENET1K_V1
    flops = forward_flops(build(spec), 224)
    assert flops / 2e9 == pytest.approx(weights.meta["_ops"], abs=6e-4)


def run(*arguments):
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("stages: {early: 0.2, deepest: 1.0}\n")
    return path


def test_command_prints_a_line_per_stage(config):
    rows = ROOT / "config/models.yaml"
    result = run("stages", "squeezenet1_1", "--models", str(rows), "--config", str(config))
    lines = [line.split() for line in result.output.splitlines()]
    assert lines[0] == ["model", "stage", "module", "shape", "flops_share"]
    assert lines[1][:4] == ["squeezenet1_1", "early", "features.4", "128x56x56"]
    assert lines[2][:4] == ["squeezenet1_1", "deepest", "features.12", "512x14x14"]


def test_command_writes_a_csv(config, tmp_path):
    rows, output = ROOT / "config/models.yaml", tmp_path / "card.csv"
    run("stages", "squeezenet1_1", "--models", str(rows), "--config", str(config),
        "--side", "64", "--output", str(output))  # fmt: skip
    with output.open() as file:
        lines = list(csv.DictReader(file))
    # 64 -> 31 (convolution, stride 2, unpadded) -> 15 -> 7 -> 3 (pooling).
    assert [line["shape"] for line in lines] == ["128x15x15", "512x3x3"]


def test_command_refuses_an_unknown_model(config):
    rows = ROOT / "config/models.yaml"
    result = run("stages", "resnet51", "--models", str(rows), "--config", str(config))
    assert result.exit_code == 2
    assert "resnet51" in result.output
