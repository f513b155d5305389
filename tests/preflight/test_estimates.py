"""The plan's numbers: jobs against Snakemake's own, the rest by hand."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import pytest
import yaml
from fixtures import ROOT
from typer.testing import CliRunner

from metamers.cli import plan as cli_plan
from metamers.config import validation
from metamers.config.plan import Condition, Plan
from metamers.models import zoo
from metamers.preflight import estimates, workload
from metamers.preflight.estimates import Speed
from metamers.preflight.workload import Evaluations
from metamers.synthesis.settings import SynthesisSettings

ZOO = zoo.read(ROOT / "config/models.yaml")
DEFAULT = ROOT / "config/config.yaml"
SMALL = ROOT / "tests/configurations/small.yaml"
PAPER = ROOT / "config/paper.yaml"


def plan_of(*overlays):
    return Plan.from_config(validation.read(overlays, DEFAULT), ZOO)


def cost(model, stage="late", **changes):
    from metamers.preflight.flops import StepCost

    values = {
        "module": "block",
        "forward_flops": 1_000,
        "gradient_flops": 1_500,
        "whole_flops": 1_200,
        "peak_bytes": 10_000,
        "activation_bytes": 100,
        "weight_bytes": 1_000_000,
    }
    return StepCost(model, stage, **values | changes)


def settings(**changes):
    budget = {"total_steps": 60, "steps_per_turn": 10}
    return SynthesisSettings.of({"preset": "paper", "budget": budget} | changes)


def test_round_robin_shares_the_steps():
    done = workload.evaluations(settings(), 3, seed=0)
    assert done == [Evaluations(20, 4)] * 3
    assert workload.turn_count(settings(), 3, seed=0) == 6


def test_a_budget_of_each_model_is_each_models():
    each = settings(budget={"per_model": 60, "steps_per_turn": 10})
    assert workload.evaluations(each, 3, seed=0) == [Evaluations(60, 4)] * 3


def test_mean_gradient_records_the_loss_of_each_model():
    mean = settings(ensemble="mean_gradient")
    assert workload.evaluations(mean, 3, seed=0) == [Evaluations(20, 4)] * 3
    assert workload.turn_count(mean, 3, seed=0) == 2 * 3


def test_search_for_the_worst_model_is_a_forward_of_each_in_each_turn():
    """60 evaluations are 5 turns of 10 steps and 3 forwards, each a third of an evaluation."""
    worst = settings(ensemble="worst_model")
    (first, *_) = workload.evaluations(worst, 3, seed=0)
    assert first.gradients == pytest.approx(5 * 10 / 3)
    assert first.forwards == 4 + 5


def test_images_are_counted_without_the_data_where_the_draw_says_it():
    plan = plan_of(PAPER)
    assert workload.image_counts(plan.config, plan.reference_sets) == {"main": 400, "mixed": 80}


def test_images_of_an_open_draw_are_counted_in_the_source():
    plan = plan_of()
    assert workload.image_counts(plan.config, plan.reference_sets) == {"photographs": 20}


@pytest.mark.workflow
@pytest.mark.parametrize("overlay", [SMALL, ROOT / "config/zoo_check.yaml"])
def test_jobs_are_those_that_snakemake_plans(tmp_path, overlay):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")),
            *("--directory", str(tmp_path), "--cores", "1", "--configfile", str(overlay)),
            *("-n", "--quiet", "rules"),
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    listed = re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, flags=re.MULTILINE)
    planned = {rule: int(n) for rule, n in listed if rule not in ("job", "total", "all")}
    counted = workload.jobs(plan_of(overlay))
    assert {rule: n for rule, n in counted.items() if n} == planned


def test_configurations_are_merged_as_snakemake_does(tmp_path):
    base, first, second = (tmp_path / f"{name}.yaml" for name in ("base", "first", "second"))
    base.write_text("a: {b: 1, c: [1, 2]}\nd: {e: {f: 1}}\nkept: 0\n")
    first.write_text("a: {c: [3]}\nd: {e: null}\n")
    second.write_text("a: {b: 2}\n")
    merged = validation.read([first, second], base)
    assert merged == {"a": {"b": 2, "c": [3]}, "d": {"e": None}, "kept": 0}


def test_null_takes_an_experiment_out():
    plan = plan_of(ROOT / "config/zoo_check.yaml")
    assert list(plan.experiments) == ["main"]


def test_configuration_that_is_a_list_is_refused(tmp_path):
    path = tmp_path / "list.yaml"
    path.write_text("[1, 2]\n")
    with pytest.raises(ValueError, match=r"list\.yaml': the file holds list"):
        validation.read([path], DEFAULT)


@pytest.fixture
def small():
    return plan_of(SMALL)


@pytest.fixture
def late(small):
    names = ["efficientnet_lite0", "efficientnet_lite1", "squeezenet1_1"]
    wanted = {"late": names, "early": names}
    costs = {(n, s): cost(n, s) for s, members in wanted.items() for n in members}
    condition = Condition("photographs", "main", "lite_squeezenet", "late", "unbounded")
    assert condition in small.conditions
    return condition, costs


def test_estimate_of_a_condition_is_worked_by_hand(small, late):
    """12 steps and 4 looks of each of 3 models, for 5 images of 64 pixels in 2 shards.

    The shards have 3 and 2 images, each filled up to a chunk of 4.
    """
    condition, costs = late
    speed = Speed("", dict.fromkeys(costs, 7.2), 0.0, start=36.0)
    found = estimates.estimate(small, condition, costs, 5, speed)
    assert (found.images, found.steps, found.jobs, found.experiment) == (5, 12, 2, "main")
    assert found.flops == 8 * (12 * 2_500 + 3 * 4 * 1_000)
    looks = 3 * 4 * 1_000 / 2_500
    assert found.hours == pytest.approx((8 * 7.2 * (12 + looks) + 2 * 36) / 3600)
    pixels = 3 * 64 * 64
    images = 7 + 2 * 1  # with the running sum of Nesterov's steps, before the turn and in it
    assert found.memory_bytes == 3_000_000 + 4 * (10_000 + 3 * 100 + images * 4 * pixels)
    metamers = 5 * (5 * pixels + 3 * 4 * 3)
    assert found.disk_bytes == metamers + 2 * 8 * 5 * 6 + 2 * 9_000


def test_memory_of_an_optimizer_counts(small, late):
    condition, costs = late
    changes = {"optimizer": "lbfgs", "ensemble": "mean_gradient", "gradient": "raw"}
    before = estimates.estimate(small, condition, costs, 5, None).memory_bytes
    small.config["recipes"]["main"] |= changes
    found = estimates.estimate(small, condition, costs, 5, None).memory_bytes
    assert found - before == 4 * 2 * (22 - 1) * 4 * 3 * 64 * 64


def test_hours_of_a_given_speed_are_operations_over_it(small, late):
    condition, costs = late
    found = estimates.estimate(small, condition, costs, 5, Speed.of_rate(2.0, costs))
    assert found.hours == pytest.approx(found.flops / 2e12 / 3600)


def test_without_a_speed_there_are_no_hours(small, late):
    condition, costs = late
    assert estimates.estimate(small, condition, costs, 5, None).hours is None


def test_each_evaluator_sees_metamers_and_once_per_stage_their_references(small):
    """All conditions are in one batch; its stages are early and late."""
    assert len(small.batches) == 1
    looks = workload.looks_of_evaluators(small, {"photographs": 5})
    assert looks == 5 * len(small.conditions) + 5 * 2


def test_rules_hold_all_that_their_conditions_take(small):
    costs = {(n, s): cost(n, s) for n in small.models for s in ("early", "late")}
    counts = {"photographs": 5}
    speed = Speed.of_rate(1.0, costs)
    rows = [estimates.estimate(small, c, costs, 5, speed) for c in small.conditions]
    whole = dict.fromkeys(small.models, 1_200)
    rules = {r.rule: r for r in estimates.of_rules(small, rows, whole, counts, speed)}
    assert rules["synthesize_metamers"].flops == sum(row.flops for row in rows)
    assert rules["synthesize_metamers"].jobs == sum(row.jobs for row in rows)
    looks = workload.looks_of_evaluators(small, dict.fromkeys(counts, 8))  # whole chunks
    assert rules["evaluate_models"].flops == looks * 1_200 * len(small.config["evaluators"])
    assert rules["predict_references"].flops == 8 * 1_200 * len(small.models)
    assert rules["evaluate_models"].hours > 0
    assert rules["measure_images"].flops is None
    everything = estimates.total(rules.values())
    assert everything["jobs"] == sum(workload.jobs(small).values())


def test_weights_of_unknown_size_are_not_estimated(small):
    row = dict(small.zoo["efficientnet_lite0"])
    del row["parameters"]
    row["weights"] = {"source": "url", "url": "https://example.org/a.pth"}
    plan = replace(small, zoo=small.zoo | {"efficientnet_lite0": row})
    whole = dict.fromkeys(plan.models, 0)
    rules = {r.rule: r for r in estimates.of_rules(plan, [], whole, {"photographs": 5}, None)}
    assert rules["fetch_weights"].disk_bytes is None


def test_a_condition_of_two_experiments_is_counted_once():
    plan = plan_of(PAPER)
    shared = Condition("main", "main", "cnn", "late", "unbounded")
    assert all(shared in plan.experiments[name] for name in ("main", "bounds"))
    assert workload.experiment_of(plan, shared) == "main"
    # Tables 2 and 3: 18 conditions; five bounds at three stages, three of them the same.
    names = [workload.experiment_of(plan, condition) for condition in plan.conditions]
    assert [names.count(name) for name in ("main", "bounds", "mixed")] == [18, 12, 100]


def test_steps_of_the_paper_are_those_of_table_3():
    plan = plan_of(PAPER)
    recipe = SynthesisSettings.of(plan.config["recipes"]["main"])
    for members in (1, 3, 4):
        done = workload.evaluations(recipe, members, seed=0)
        assert sum(counts.gradients for counts in done) == 40_000


def one_set(tmp_path, **changes):
    path = tmp_path / "one.yaml"
    experiment = {"model_sets": ["single_squeezenet"], "stages": ["early"]}
    values = {
        "evaluators": ["squeezenet1_1"],
        "preprocessing": {"size": 48},
        "experiments": {"main": experiment, "bounds": None, "mixed": None},
    }
    path.write_text(yaml.safe_dump(values | changes))
    return path


def invoke(tmp_path, monkeypatch, *arguments):
    # The group has this one command; without a second, typer takes no name for it.
    command = cli_plan.app
    monkeypatch.chdir(ROOT)
    words = ["--default", str(DEFAULT), "--configfile", str(one_set(tmp_path))]
    return CliRunner().invoke(command, [*words, *map(str, arguments)])


def unboxed(output):
    """Return the words of an error without the frame that typer draws around them."""
    return " ".join(re.findall(r"[^\s│]+", output))


def test_command_prints_conditions_experiments_and_rules(tmp_path, monkeypatch):
    result = invoke(tmp_path, monkeypatch, "--tflops", "0.5")
    assert result.exit_code == 0, result.output
    assert "photographs/main/single_squeezenet/early/unbounded" in result.output
    assert "synthesize_metamers" in result.output
    assert "speed: 0.5 TFLOP/s as given" in result.output


def test_command_gives_the_same_as_json(tmp_path, monkeypatch):
    result = invoke(tmp_path, monkeypatch, "--json", "--tflops", "0.5")
    found = json.loads(result.stdout)
    (condition,) = found["conditions"]
    assert condition["model_set"] == "single_squeezenet"
    assert condition["hours"] == pytest.approx(condition["flops"] / 0.5e12 / 3600)
    assert found["experiments"]["main"]["flops"] == condition["flops"]
    assert {row["rule"] for row in found["rules"]} == set(workload.jobs(plan_of()))


def test_command_refuses_two_speeds(tmp_path, monkeypatch):
    result = invoke(tmp_path, monkeypatch, "--probe", "--tflops", "1")
    assert result.exit_code == 2
    assert "give one" in unboxed(result.output)


def test_command_says_what_is_wrong_with_the_configuration(tmp_path, monkeypatch):
    path = one_set(tmp_path, evaluators=["resnet51"])
    monkeypatch.chdir(ROOT)
    words = ["--default", str(DEFAULT), "--configfile", str(path)]
    result = CliRunner().invoke(cli_plan.app, words)
    assert result.exit_code == 2
    assert "resnet51" in unboxed(result.output)


@pytest.mark.parametrize(
    ("hours", "shown"),
    [(0.001, "3.6 s"), (0.5, "30 min"), (12, "12 h"), (12_345, "12,345 h")],
)
def test_durations_are_shown_in_the_unit_that_suits_them(hours, shown):
    assert cli_plan.duration(hours) == shown
