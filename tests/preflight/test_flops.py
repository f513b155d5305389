"""Counted operations and memory, against cases by hand and the solver itself."""

import csv
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from fixtures import ROOT
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry
from torchvision import models
from typer.testing import CliRunner

from metamers.cli.main import app
from metamers.config import revisions
from metamers.config.plan import Condition, Plan
from metamers.execution import runner
from metamers.execution.settings import ExecutionSettings
from metamers.execution.spec import SynthesisSpec
from metamers.images import references as images
from metamers.models import stages, zoo
from metamers.models.classifier import build
from metamers.models.weights.cache import cache_folder
from metamers.models.weights.row import WeightsRow
from metamers.models.zoo import ModelSpec
from metamers.preflight import estimates, flops, speed
from metamers.preflight.flops import stage_cards, step_costs
from metamers.preflight.workload import evaluations
from metamers.synthesis.settings import Bound, SynthesisSettings
from metamers.synthesis.solver import synthesize

CONFIG = yaml.safe_load((ROOT / "config/config.yaml").read_text())
ZOO = zoo.read(ROOT / "config/models.yaml")
SPECS = zoo.specs(ZOO)


TINY = ModelSpec(
    name="tiny",
    label="Tiny",
    family="cnn",
    training="random",
    architecture="import:fixtures:two_convolutions",
    parameters=0,
    blocks=("[01]",),
    normalisation=None,
    weights=WeightsRow(source="random"),
)


def test_costs_of_a_network_worked_by_hand():
    """At 16 positions the first has 3 · 2 weights, the second 2 · 2 · 9; two operations each.

    The gradient by the input of a convolution has as many operations as its forward.
    """
    early, late = step_costs(TINY, {"early": 0.5, "late": 1.0}, side=4)
    assert (early.module, late.module) == ("0", "1")
    assert (early.forward_flops, early.gradient_flops) == (192, 192)
    assert (late.forward_flops, late.gradient_flops) == (192 + 1152, 192 + 1152)
    assert early.whole_flops == late.whole_flops == 1344
    assert early.activation_bytes == 4 * 2 * 16
    parameters = (6 + 2) + (36 + 2)
    mean_and_deviation = 2
    assert early.weight_bytes == 4 * (parameters + mean_and_deviation)


def test_gradient_of_depthwise_convolutions_costs_as_much_as_their_forward():
    """Frozen weights have no gradient; nothing is counted for them."""
    (cost,) = step_costs(SPECS["mobilenet_v2"], {"early": 0.2}, side=64)
    assert cost.gradient_flops == cost.forward_flops


@pytest.mark.parametrize("ensemble", ["round_robin", "random_order", "mean_gradient"])
def test_solver_does_the_operations_that_are_counted(ensemble):
    """Nothing beyond the truncated forward and its input gradient, and the looks at losses."""
    names, side, n_images = ["squeezenet1_1", "mobilenet_v2"], 48, 3
    recipe = {"preset": "paper", "ensemble": ensemble, "gradient": "l2_normalised"}
    settings = SynthesisSettings.of(recipe | {"budget": {"total_steps": 8, "steps_per_turn": 2}})
    expected, features = 0, {}
    for name, done in zip(names, evaluations(settings, 2, seed=0), strict=True):
        (cost,) = step_costs(SPECS[name], {"early": 0.2}, side)
        step = cost.forward_flops + cost.gradient_flops
        expected += n_images * (done.gradients * step + done.forwards * cost.forward_flops)
        random = replace(SPECS[name], weights=WeightsRow(source="random"))
        truncated = stages.Features(build(random), cost.module)
        # A clone, since the counter's hooks refuse a leaf in `torch.autograd.grad`.
        features[name] = lambda values, f=truncated: f(values.clone())
    references = torch.rand((n_images, 3, side, side), generator=torch.Generator().manual_seed(0))
    with FlopCounterMode(display=False) as counter:
        synthesize(features, references, ["a", "b", "c"], Bound(), settings, chunk_size=n_images)
    assert counter.get_total_flops() == expected


def test_live_memory_is_followed_from_making_to_last_reference():
    with flops._LiveStorages() as live:
        first = torch.empty(10, device="meta")  # 40 bytes
        second = first * 2
        assert live.live == 80
        second.mul_(2).view(5, 2)
        assert live.live == 80
        del second
        third = first * 2
        assert (live.live, live.peak) == (80, 80)
        del first, third
        assert live.live == 0


def test_peak_memory_holds_what_the_gradient_needs():
    """Each of k hyperbolic tangents keeps its output, 4 bytes for each of 2 · 16 values."""

    def tangents(count):
        layers = [nn.Conv2d(3, 2, 1), *(nn.Tanh() for _ in range(count))]
        network = nn.Sequential(*layers).eval().requires_grad_(False)
        return stages.Features(network, str(count)).to("meta")

    few, many = (flops.peak_bytes(tangents(count), side=4) for count in (10, 30))
    assert many - few == 20 * 4 * 2 * 16


class Ticking(TorchDispatchMode):
    """A clock that counts operations: a nanosecond each, whatever the machine does beside it."""

    seconds = 0.0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        count = flop_registry.get(func._overloadpacket)
        self.seconds += 1e-9 * count(*args, **(kwargs or {}), out_val=result) if count else 0
        return result


def test_probe_predicts_the_time_of_a_run(tmp_path, monkeypatch):
    clock = Ticking()
    monkeypatch.setattr(speed.time, "process_time", lambda: clock.seconds)
    monkeypatch.setattr(speed, "start_seconds", lambda: 0.0)
    steps, side, count = 200, 64, 6
    config = CONFIG | {
        "preprocessing": CONFIG["preprocessing"] | {"size": side},
        "references": {"few": {"limit": count}},
        "recipes": {
            "short": {
                "preset": "paper",
                "gradient": "l2_normalised",
                "budget": {"total_steps": steps, "steps_per_turn": 10},
            }
        },
        "experiments": {
            "main": {
                "kind": "model_sets",
                "references": "few",
                "recipes": ["short"],
                "model_sets": ["single_squeezenet"],
                "stages": ["late"],
                "bounds": ["unbounded"],
            }
        },
    }
    plan = Plan.from_config(config, ZOO)
    settings = replace(ExecutionSettings(**config["engine"]), device="cpu")
    (cost,) = step_costs(SPECS["squeezenet1_1"], {"late": 0.8}, side)
    found = {("squeezenet1_1", "late"): cost}
    with clock:
        measured = speed.probe(SPECS, config["stages"], found, settings, side, count)
    (condition,) = plan.conditions
    predicted = estimates.estimate(plan, condition, found, count, measured)
    with clock:
        seconds = seconds_of_run(plan, condition, settings, tmp_path)
    assert 3600 * predicted.hours == pytest.approx(seconds, rel=0.1)


def seconds_of_run(plan, condition: Condition, settings, folder: Path):
    config = plan.config
    rows, pixels = images.prepare(
        config["data"], config["preprocessing"], "few", config["references"]["few"], seed=0
    )
    work = SynthesisSpec(
        condition=condition,
        models=plan.members({"model_set": condition.model_set}),
        depth=config["stages"][condition.stage],
        bound=config["bounds"][condition.bound],
        recipe=config["recipes"][condition.recipe],
        seed=0,
        shard="000-of-001",
        revision=revisions.SYNTHESIS,
    )
    begun = time.process_time()
    runner.run(
        work,
        settings,
        [row.image_id for row in rows],
        torch.from_numpy(pixels),
        cache_folder(None),
        folder / "checkpoint",
    )
    return time.process_time() - begun


def test_start_of_a_job_is_the_time_of_its_imports():
    """More than Python itself takes to start, which is some hundredths of a second."""
    assert 0.2 < speed.start_seconds() < 60


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
    (early, late) = stage_cards(tiny(), {"early": 0.5, "late": 1.0}, side=4)
    assert (early.module, early.shape) == ("0", "2x4x4")
    assert (late.module, late.shape) == ("1", "2x4x4")
    assert early.flops_share == round(6 / (6 + 36), 3)
    assert late.flops_share == 1.0


def test_a_row_overrules_the_depth_rule():
    (card,) = stage_cards(tiny(stages={"early": "1"}), {"early": 0.5}, side=4)
    assert card.module == "1"


def test_a_card_leaves_the_network_as_it_was():
    classifier = build(tiny())
    weight = classifier.network[0].weight.clone()
    stage_cards(tiny(), {"early": 0.5}, side=4, classifier=classifier)
    assert (classifier.network[0].weight == weight).all()


@pytest.mark.parametrize("name", ["vit_base", "resnet18", "mobilenet_v2"])
def test_flops_are_those_that_torchvision_states(name):
    """torchvision states multiply-adds, in thousand millions, to three digits."""
    spec = SPECS[name]
    weights = models.get_model_weights(spec.architecture.split(":")[1]).IMAGENET1K_V1
    counted = flops.forward_flops(build(spec), 224)
    assert counted / 2e9 == pytest.approx(weights.meta["_ops"], abs=6e-4)


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
