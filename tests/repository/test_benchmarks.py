"""The contestants do what they are said to do, and what is measured is what is written."""

import json
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import reference_rules
import torch
import yaml
from fixtures import ROOT
from judged import MEMBERS, condition, recognition

sys.path.insert(0, str(ROOT / "benchmarks"))

import ablation
import cases
import chunks
import contest
import contestants
import convergence
import effects
import growth
import page
import paper_plan
import run
import sets
from contestants import Clock, Contestant, Task

from metamers.analysis import recognizability
from metamers.analysis.recipe_comparison import recipe_effects
from metamers.models.classifier import Classifier
from metamers.preflight import workload
from metamers.storage import tables

RESULTS = json.loads((ROOT / "benchmarks/results.json").read_text())
KEYS = ("limit", "plain_limit", "predecessor", "predecessor_batch_1", "plenoptic")


def network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        body = torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 3, padding=1),
            torch.nn.Tanh(),
            torch.nn.Conv2d(4, 2, 3),
            torch.nn.Flatten(),
            torch.nn.Linear(72, 1000),
        )
    return Classifier(body, None).eval().requires_grad_(False)


@pytest.fixture
def task(references):
    return Task.of(references)


class Watched(Clock):
    """A clock that keeps the images that it was called with."""

    def __init__(self, function):
        super().__init__(function)
        self.seen = []

    def forward(self, images):
        self.seen.append(images.detach().clone())
        return super().forward(images)


def steps_seen(run_it, function, task, count):
    """Return the images at the beginning of each step."""
    clock = Watched(function).eval()
    steps = run_it(clock, task, count)
    return clock.seen[steps.first : steps.first + steps.calls * count : steps.calls]


def expected_steps(cut, task, count):
    return [
        reference_rules.round_robin(
            [cut],
            task.start[index].numpy(),
            task.references[index].numpy(),
            repetitions=count,
            steps_per_turn=1,
            rate=lambda t: contestants.RATE,
            rule="l2_normalised",
        )
        for index in range(len(task.references))
    ]


def of_network(name):
    classifier = network()
    cut = contestants.truncated(classifier, "2")
    whole = contestants.WithLatent(classifier, "2")
    return {"ours": cut, "limit": cut, "plenoptic": cut, "predecessor": whole}[name], cut


@pytest.mark.parametrize("name", ["ours", "limit", "predecessor", "plenoptic"])
def test_all_take_the_same_steps(name, task):
    """Each image is where an independently written rule puts it, in float32.

    Steps of length 1 are long for these images, so rounding grows: few steps are compared.
    plenoptic takes raw gradients and does not clamp; the test below is its own.
    """
    function, cut = of_network(name)
    count = 1 if name == "plenoptic" else 5
    seen = steps_seen(getattr(contestants, name), function, task, 12)
    assert torch.equal(seen[0], task.start)
    expected = expected_steps(cut, task, count)
    for step in range(1, count):
        for index in range(len(task.references)):
            wanted = torch.from_numpy(expected[index][step - 1])
            torch.testing.assert_close(seen[step][index], wanted, atol=5e-4, rtol=0)


def test_plenoptic_descends_the_same_loss(task):
    function, cut = of_network("plenoptic")
    seen = steps_seen(contestants.plenoptic, function, task, 2)
    leaf = task.start.clone().requires_grad_(True)
    target = cut(task.references).flatten(1)
    distances = (cut(leaf).flatten(1) - target).norm(dim=1) / target.norm(dim=1)
    (gradient,) = torch.autograd.grad(distances.sum(), leaf)
    torch.testing.assert_close(seen[1], task.start - contestants.RATE * gradient)


def test_predecessor_runs_two_forwards_to_the_logits_a_step(task):
    whole = contestants.WithLatent(network(), "2")
    logits = []
    whole.classifier.network[4].register_forward_hook(lambda *_: logits.append(1))
    contestants.predecessor(Clock(whole), task, 3)
    assert len(logits) == 1 + 2 * 3  # the references, then two a step


def test_truncated_network_has_no_later_layer_and_the_same_activation(references):
    classifier = network()
    cut = contestants.truncated(classifier, "2")
    kinds = [type(module) for module in cut.modules()]
    assert torch.nn.Linear not in kinds
    assert torch.equal(cut(references), classifier.network[:3](references))


def test_a_step_is_timed_from_its_beginning_to_that_of_a_later_one(task):
    clock = Clock(torch.nn.Identity())
    clock.marks = [(0.0, 0.0), (1.0, 10.0), (2.0, 20.0), (4.0, 40.0), (8.0, 80.0)]
    found = clock.per_image_step(contestants.Steps(1), warm=1, timed=2, images=3)
    assert found.process == pytest.approx((8 - 2) / 2 / 3)
    assert found.wall == pytest.approx((80 - 20) / 2 / 3)


def test_our_steps_hold_exactly_one_end_of_a_turn(task):
    clock = Clock(contestants.truncated(network(), "2")).eval()
    contestant = Contestant(contestants.ours, clock.function)
    steps = contestants.ours(clock, task, contestant.warm + contestant.timed + 1)
    assert contestant.timed == contestants.STEPS_PER_TURN
    assert contestant.warm < contestants.STEPS_PER_TURN < contestant.warm + contestant.timed
    assert steps.first == 1  # after the references


def test_summary_is_worked_by_hand():
    def of(**changes):
        names = ("ours", "limit", "plain_ours", "plain_limit", "predecessor")
        more = ("predecessor_batch_1", "plenoptic", "plenoptic_prepared")
        times = dict.fromkeys((*names, *more), 1.0) | changes
        return {name: contestants.Seconds(value, value) for name, value in times.items()}

    found = contest.summary([of(limit=0.9), of(limit=1.2, ours=2.0), of(limit=1.1)])
    assert found["ratio_to_limit"] == 0.9  # of 0.9, 0.6, 1.1
    assert found["quartiles"]["limit"] == [0.75, 1.0]
    assert found["ratio_to_plenoptic"] == 1.0
    assert found["ms_per_image_step"]["limit"] == 1100


def test_a_straight_line_is_fitted_exactly():
    found = growth.fit([1, 2, 3], [5.0, 7.0, 9.0])
    assert (found["slope"], found["intercept"], found["r_squared"]) == (2.0, 3.0, 1.0)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The whole benchmark, tiny: one model, one stage, three rounds."""
    folder = tmp_path_factory.mktemp("benchmark")
    document = folder / "page.md"
    document.write_text("before\n<!-- begin benchmark -->\nold\n<!-- end benchmark -->\nafter\n")
    words = ["--minutes", "0", "--models", "squeezenet1_1", "--stages", "early", "--side", "48"]
    sizes = ["--images", "2", "--memory-steps", "20", "20"]
    files = ["--output", str(folder / "results.json"), "--page", str(document)]
    run.main([*words, *sizes, *files])
    return json.loads((folder / "results.json").read_text()), document.read_text()


def test_command_measures_and_writes_results_and_page(small):
    results, document = small
    (case,) = results["cases"]
    assert (case["model"], case["stage"], case["images"]) == ("squeezenet1_1", "early", 2)
    assert (case["precision"], case["device"], case["rounds"]) == ("float32", "cpu", 3)
    assert all(case[f"ratio_to_{name}"] > 0 for name in KEYS)
    assert results["growth"]["seconds_by_steps"]["r_squared"] > 0.9
    assert document.startswith("before\n")
    assert document.endswith("after\n")
    assert page.tables(results) in document


def test_our_solver_is_far_ahead_of_the_predecessors_rule(small):
    """At the early stage its forwards cost many times ours: 1.6 holds on any machine."""
    (case,) = small[0]["cases"]
    assert case["ratio_to_predecessor"] > 1.6
    assert case["ratio_to_predecessor_batch_1"] > 1.6


def test_page_shows_the_committed_results():
    document = (ROOT / "docs/performance.md").read_text()
    assert page.tables(RESULTS) in document


def test_committed_results_cover_every_embedded_model_and_stage():
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    found = {(case["model"], case["stage"]) for case in RESULTS["cases"]}
    wanted = {(m, s) for m in config["evaluators"] for s in config["stages"]}
    assert wanted <= found
    for case in RESULTS["cases"]:
        assert {f"ratio_to_{name}" for name in KEYS} <= case.keys()
        assert {"images", "precision", "device"} <= case.keys()


def test_too_few_steps_are_refused_before_anything_is_measured(capsys):
    with pytest.raises(SystemExit):
        run.main(["--memory-steps", "10", "500"])
    assert "--memory-steps: [10, 500]; at least 20 are needed" in capsys.readouterr().err


def test_page_without_marks_is_refused(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("nothing\n")
    with pytest.raises(ValueError, match="must have the marks"):
        page.update(path, "benchmark", "text")


def test_sets_command_measures_on_the_cpu(tmp_path, capsys):
    config, output = tmp_path / "sets.yaml", tmp_path / "sets.json"
    config.write_text("model_sets: {one: [squeezenet1_1], two: [squeezenet1_1, squeezenet]}\n")
    words = ["--config", str(config), "--device", "cpu", "--side", "48", "--images", "2"]
    sets.main([*words, "--turns", "1", "--peak", "0.01", "--output", str(output)])
    found = json.loads(output.read_text())
    assert [row["set"] for row in found["sets"]] == ["one", "two"]
    for row in found["sets"]:
        assert row["image_steps_per_second"] == pytest.approx(2 * row["steps_per_second"], rel=0.02)
        assert row["share_of_peak"] == pytest.approx(row["tflops"] / 0.01, rel=0.05)
    assert "| two |" in capsys.readouterr().out


def test_rates_are_worked_by_hand():
    """5 images of 4 TFLOP each in 2 s are 10 TFLOP/s, a quarter of 40."""
    found = sets.rates(2.0, images=5, flops=4e12, peak=40)
    assert (found["steps_per_second"], found["image_steps_per_second"]) == (0.5, 2.5)
    assert (found["tflops"], found["share_of_peak"]) == (10.0, 0.25)
    assert sets.rates(2.0, images=5, flops=4e12, peak=None)["share_of_peak"] is None


@pytest.mark.parametrize(
    ("card", "precision", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", "float32", 67),
        ("NVIDIA H100 PCIe", "float32", 51),
        ("NVIDIA A100-SXM4-80GB", "bf16", 312),
        ("NVIDIA GeForce GTX 1080", "float32", None),
    ],
)
def test_peak_is_that_of_the_card(card, precision, peak):
    assert sets.peak_of(card, precision, None) == peak


def test_engine_of_the_benchmark_is_the_users():
    engine = cases.engine("cpu", 7)
    assert replace(engine, device="auto", batch_size=32) == replace(
        cases.engine("auto", 32), device="auto"
    )
    assert engine.fold_batch_norm
    assert engine.channels_last


@pytest.mark.parametrize(("mark", "names"), paper_plan.PLANS.items())
def test_page_shows_the_papers_plan_as_it_stands(mark, names):
    """The counted numbers take minutes to make; that they are of today's plan, a moment."""
    found = json.loads((ROOT / "benchmarks/paper_plan.json").read_text())[mark]
    assert page.plan_table(found) in (ROOT / "docs/performance.md").read_text()
    plan = paper_plan.plan_of(names)
    assert {rule["rule"]: rule["jobs"] for rule in found["rules"]} == workload.jobs(plan)
    conditions = {name: row["conditions"] for name, row in found["experiments"].items()}
    assert sum(conditions.values()) == len(plan.conditions)


def test_page_on_clusters_has_the_hours_of_the_papers_plan():
    plans = json.loads((ROOT / "benchmarks/paper_plan.json").read_text())
    flops = plans["paper plan"]["total"]["flops"]
    text = (ROOT / "docs/cluster.md").read_text()
    for card, (peak, share) in page.CARDS.items():
        name, precision = card.split(", ")
        rate = peak * share
        hours = flops / (rate * 1e12) / 3600
        assert f"| {name} | {precision} at {share:.0%} | {rate:g} | {hours:.0f} |" in text


def test_hours_are_operations_over_a_share_of_the_peak():
    """19.5 TFLOP/s at 60 % are 11.7; 11.7 TFLOP/s for 3600 s are 42 120 TFLOP."""
    assert page._hours(42_120e12)[0] == "1"


def test_peak_memory_does_not_grow_with_the_steps():
    few, many = (int(size) for size in RESULTS["growth"]["peak_bytes_by_steps"].values())
    assert many < 1.03 * few


def test_cost_of_chunks_is_written_beside_the_page(tmp_path):
    document = tmp_path / "page.md"
    document.write_text("<!-- begin chunks -->\n<!-- end chunks -->\n")
    words = ["--models", "squeezenet1_1", "--stages", "early", "--side", "32", "--images", "4"]
    chunks.main([*words, "--sizes", "2", "--repeats", "2", "--page", str(document)])
    (row,) = [line for line in document.read_text().splitlines() if "squeezenet" in line]
    ratio = float(row.split("|")[3])
    assert 0.3 < ratio < 3  # two chunks of two for one of four


@pytest.fixture(scope="module")
def tiny_convergence(tmp_path_factory):
    folder = tmp_path_factory.mktemp("convergence")
    document = folder / "page.md"
    document.write_text("before\n<!-- begin convergence -->\n<!-- end convergence -->\nafter\n")
    words = ["--sets", "squeezenet1_1", "--stages", "late", "--side", "48", "--images", "2"]
    words += ["--solvers", "fast", "lbfgs", "--starts", "2"]
    sizes = ["--paper-evaluations", "60", "--default-evaluations", "30", "--budgets", "30", "60"]
    outputs = ["--output", str(folder / "convergence.json"), "--page", str(document)]
    convergence.main([*words, *sizes, *outputs])
    return json.loads((folder / "convergence.json").read_text()), document.read_text()


def test_a_solver_needs_all_its_evaluations_to_its_own_last_loss(tiny_convergence):
    results, document = tiny_convergence
    of_paper, of_default = results["cases"]
    assert of_paper["paper_evaluations"] <= 60  # fewer, if its loss was lower before its end
    assert of_default["default_evaluations"] <= 30
    for row in results["cases"]:
        assert 0 < row["target"] < 1
        assert row["fast_evaluations"] % 10 == 0  # of its turns
        assert row["held_out_low"] <= row["held_out_change"] <= row["held_out_high"]
    assert [row["solver"] for row in results["candidates"]] == ["lbfgs", "lbfgs"]
    assert [row["evaluations"] for row in results["ends"]] == [60, 30, 30, 60, 60]
    assert page.convergence_table(results) in document


def test_first_turn_at_a_loss_is_the_first():
    losses = np.array([0.9, 0.4, 0.6, 0.3])
    course = convergence.Course(np.arange(10, 50, 10), losses, [], 1.0)
    assert [course.first_at(loss) for loss in (1.0, 0.5, 0.3, 0.2)] == [0, 1, 3, None]


@pytest.fixture(scope="module")
def tiny_effects(tmp_path_factory):
    folder = tmp_path_factory.mktemp("effects")
    document = folder / "page.md"
    document.write_text("before\n<!-- begin effects -->\n<!-- end effects -->\nafter\n")
    words = ["--models", "squeezenet1_1", "--stages", "early", "--evaluators", "efficientnet_lite0"]
    sizes = ["--side", "48", "--images", "2", "--steps", "20"]
    effects.main(
        [*words, *sizes, "--output", str(folder / "effects.json"), "--page", str(document)]
    )
    return json.loads((folder / "effects.json").read_text()), document.read_text()


def test_effects_are_small_in_float32_and_larger_in_half_precision(tiny_effects):
    results, document = tiny_effects
    rows = {row["setting"]: row for row in results["rows"]}
    assert list(rows) == list(effects.SETTINGS)
    for name, row in rows.items():
        half = "bf16" in name
        assert (1e-4 if half else 0) <= row["activation"]["median"] < (0.1 if half else 1e-4)
        assert row["loss"] == pytest.approx(row["loss_of_reference"], rel=0.2)
        low, high = row["change"][1:]
        assert low <= row["change"][0] <= high
        assert low < high  # two images prove no equality
    assert page.effects_table(results) in document


def test_effect_of_a_setting_is_worked_by_hand():
    def made(scale, answers):
        activations = scale * torch.tensor([[3.0, 4.0], [6.0, 8.0]])
        return effects.Made(
            activations, activations, np.array([0.1, 0.3]), np.array([answers, answers])
        )

    found = effects.row("half", made(1.5, [True, False]), made(1.0, [True, True]))
    assert found["activation"] == {"median": 0.5, "largest": 0.5}
    assert found["loss"] == pytest.approx(0.2)
    assert (found["recognised"], found["recognised_of_reference"]) == (0.5, 1.0)
    assert found["change"][0] == -0.5
    assert found["answers_that_differ"][0] == 0.5


def test_page_shows_the_committed_effects():
    results = json.loads((ROOT / "benchmarks/effects.json").read_text())
    assert page.effects_table(results) in (ROOT / "docs/engine.md").read_text()


def test_ablation_page_is_worked_by_hand(tmp_path):
    """One held-out model more recognises what the second recipe made; its losses are halved."""
    models, recipes = ("a", "b", "c"), ("first", "second")
    conditions = {name: condition("pair", recipe=name) for name in recipes}
    judged = recognition(
        {
            conditions["first"]: {"a": 1.0, "b": 1.0, "c": 0.0},
            conditions["second"]: {"a": 1.0, "b": 0.5, "c": 1.0},
        },
        MEMBERS,
    )
    experiments = {"ablation": tuple(conditions.values())}
    losses = pd.DataFrame(
        key.columns()
        | {"image_id": f"image{k}", "model": model, "loss_before": 1.0, "loss_after": 0.1}
        | {"loss_stored": 0.4 if name == "first" else 0.2}
        | {"steps": 10, "evaluations": 10, "target": None, "reached": None}
        for name, key in conditions.items()
        for model in models[:2]
        for k in range(10)
    )
    for name, frame in {
        "recipe_effects": recipe_effects(judged, experiments),
        "recognizability_by_set": recognizability.by_set(judged, experiments),
        "optimisation": losses,
    }.items():
        path = tmp_path / f"tables/{name}.parquet"
        tables.write(tables.TABLES[name], frame, path, {"commit": "0123456789abcdef"})
    axes = {"recipes": list(recipes), "stages": ["late"]}
    config = {"run": "try", "recipe_labels": {}, "experiments": {"ablation": axes, "main": None}}
    found = ablation.text(tmp_path, config)
    assert "commit `0123456789ab`" in found
    assert "10 images, 1 held-out models, 2 members" in found
    assert "| first | 0.400 |  | 0.00 |  | 1.00 |  |" in found
    (row,) = [line for line in found.splitlines() if line.startswith("| second")]
    assert row.startswith("| second | 0.200 | 0.50 [0.50, 0.50] | 1.00 | +1.000 [")
    assert "| 0.75 | -0.250 [" in row
