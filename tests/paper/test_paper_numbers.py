"""The paper's numbers are printed as they are, and compared with the right ones."""

from pathlib import Path

import pandas as pd
import pytest
from judged import MEMBERS, condition, recognition

from metamers.analysis import paper_comparison, paper_facts, paper_settings, recognizability
from metamers.analysis.mixed_sets import difference_in_means, mixed_sets
from metamers.config import validation
from metamers.config.plan import Plan
from metamers.models import zoo
from metamers.storage import result_tables, tables

ROOT = Path(__file__).parents[2]
ROWS = zoo.specs(zoo.read(ROOT / "config/models.yaml"))
OWN = paper_settings.Setting(
    ("vgg19", "a", "b"), sets=2, images=10, steps=200, size=128, stages={"late": 0.9}
)


def printed(quantity):
    frame = paper_settings.numbers()
    return frame[frame["quantity"] == quantity].set_index("subject")["value"]


def test_table_4_has_29_models_and_table_5_has_31():
    assert len(printed("parameters")) == 29
    assert len(printed("appearances")) == len(printed("difference in means")) == 31


def test_table_5_adds_the_two_wide_residual_networks():
    assert set(printed("appearances").index) - set(printed("parameters").index) == {
        "wide_resnet50",
        "wide_resnet50_robust",
    }


def test_some_numbers_as_the_paper_prints_them():
    assert printed("difference in means")["swin_base_robust"] == 0.118
    assert printed("appearances")["alexnet_random"] == 10
    assert printed("parameters")["meal_v2_efficientnet_b0"] == 5_288_548
    assert printed("recognizability").to_dict() == {"early": 0.477, "middle": 0.547, "late": 0.419}


def test_no_difference_of_table_5_is_negative():
    # The text speaks of a negative impact of transformers; no printed sign says so.
    assert (printed("difference in means") >= 0).all()


def test_zoo_has_every_model_with_the_papers_number_of_parameters():
    counts = printed("parameters")
    assert set(printed("appearances").index) <= set(ROWS)
    assert {name: ROWS[name].parameters for name in counts.index} == counts.astype(int).to_dict()


def test_setting_of_the_papers_main_experiment():
    main = paper_settings.settings()["main"]
    assert len(main.models) == 31
    assert (main.sets, main.images, main.steps, main.size) == (6, None, 40_000, 224)


def test_what_differs_is_said():
    assert paper_settings.differing(paper_settings.settings()["main"], OWN) == (
        "zoo: 3 models, 1 of the paper's 31; model sets: 2 for 6; images: 10 for not stated; "
        "steps: 200 for 40000; pixels a side: 128 for 224; "
        "stages: late 0.9 for early 0.2, middle 0.5, late 0.8; "
        "bounds: not stated for linf 10000 around initial"
    )


def test_nothing_differs_where_all_that_the_paper_states_is_equal():
    theirs = paper_settings.settings()["main"]
    assert paper_settings.differing(theirs, theirs) == "nothing"


def test_papers_own_configuration_differs_in_nothing_that_is_stated():
    shipped = Path(__file__).parents[2] / "config"
    config = validation.read([shipped / "paper.yaml"], shipped / "config.yaml")
    whole = Plan.from_config(config, zoo.read(shipped / "models.yaml"))
    found = paper_settings.setting_of(whole, "main", 400)
    said = paper_settings.differing(paper_settings.settings()["main"], found)
    assert said == "images: 400 for not stated"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"gradient": "sign"}, "gradient: sign for raw"),
        ({"ensemble": "worst_model"}, "strategy: worst_model for round_robin"),
        ({"target_relu": "identity_gradient"}, "gradient at the target ReLU: identity_gradient"),
        (
            {"initializer": {"kind": "reference"}},
            "start: kind reference for kind uniform, center 0.5, radius 0.1",
        ),
        (
            {"schedule": {"kind": "constant", "start": 1.0}},
            "step sizes: kind constant, start 1.0 for kind exponential, start 1.0, stop 0.005",
        ),
        ({"bound": "8/255"}, "bounds: linf 8/255 around initial for linf 10000 around initial"),
    ],
)
def test_each_setting_that_the_paper_states_is_compared(change, said):
    own = plan({"total_steps": 70, "steps_per_turn": 10})
    radius = change.pop("bound", 10000)
    own.config["recipes"]["main"] |= change
    own.config["bounds"]["unbounded"]["radius"] = radius
    found = paper_settings.setting_of(own, "main", images=400)
    assert said in paper_settings.differing(paper_settings.settings()["main"], found)


def test_random_weights_are_the_first_that_differs():
    own = plan({"total_steps": 70, "steps_per_turn": 10})
    own.config["random_weights"] = True
    said = paper_settings.differing(
        paper_settings.settings()["main"], paper_settings.setting_of(own, "main", images=400)
    )
    assert said.startswith("random weights for trained ones; zoo:")


def plan(budget):
    config = {
        "random_weights": False,
        "evaluators": ["a", "b", "c"],
        "model_sets": {"one": ["a"], "pair": ["a", "b"]},
        "preprocessing": {"size": 96},
        "stages": {"early": 0.2, "late": 0.8},
        "bounds": {"unbounded": {"norm": "linf", "center": "initial", "radius": 10000}},
        "recipes": {"main": {"preset": "paper", "budget": budget}},
        "experiments": {
            "main": {
                "kind": "model_sets",
                "references": "photographs",
                "recipes": ["main"],
                "model_sets": ["one", "pair"],
                "stages": ["early", "late"],
                "bounds": ["unbounded"],
            }
        },
    }
    return Plan(config, {}, {"one": ("a",), "pair": ("a", "b")}, {})


@pytest.mark.parametrize(("budget", "steps"), [({"total_steps": 70}, 70), ({"per_model": 50}, 100)])
def test_setting_of_a_plan(budget, steps):
    found = paper_settings.setting_of(plan(budget | {"steps_per_turn": 10}), "main", images=7)
    assert (found.models, found.sets, found.images) == (("a", "b", "c"), 2, 7)
    assert (found.steps, found.size) == (steps, 96)
    assert found.members == {frozenset("a"), frozenset("ab")}
    assert found.stages == {"early": 0.2, "late": 0.8}


@pytest.fixture(scope="module")
def compared():
    """A run with a main experiment of two stages, and mixed sets with one model of the paper."""
    members = MEMBERS | {"m0": ["vgg19", "a"], "m1": ["a", "b"], "m2": ["vgg19", "b"]}
    members |= {"m3": ["b", "c"]}
    main = {
        condition(s, t): {"a": 0.9, "b": 0.8, "c": 0.3} for s in ("one", "pair") for t in STAGES
    }
    mixed = {
        condition(m, "middle"): {"vgg19": 0.5, "a": 0.4, "d": 0.6} for m in members if "m" in m
    }
    by_stage = recognizability.by_stage(recognition(main, members), {"main": list(main)})
    sets = mixed_sets(recognition(mixed, members), list(mixed), members)
    run = {"main": OWN, "mixed": OWN}
    frame = paper_comparison.comparison(by_stage, sets, difference_in_means(sets), ROWS, run)
    return frame, by_stage, sets


STAGES = ("early", "late")


def row(frame, quantity, subject):
    chosen = frame[(frame["quantity"] == quantity) & (frame["subject"] == subject)]
    assert len(chosen) == 1
    return chosen.iloc[0]


def test_stage_mean_is_that_of_held_out_evaluators(compared):
    found = row(compared[0], "recognizability", "early")
    assert found["paper"] == 0.477
    assert found["run"] == pytest.approx((0.8 + 0.3 + 0.3) / 3)
    assert found["low"] < found["run"] < found["high"]
    assert found["differs"].startswith("zoo: 3 models")


def test_stage_that_was_not_run_says_so(compared):
    found = row(compared[0], "recognizability", "middle")
    assert pd.isna(found["run"])
    assert found["differs"] == "not in this run: it has no metamers of this stage"


def test_mean_of_mixed_sets_is_over_sets(compared):
    frame, _, sets = compared
    found = row(frame, "recognizability of mixed sets", "middle")
    assert found["run"] == pytest.approx(sets["mean"].mean())
    assert found["run_sd"] == pytest.approx(sets["mean"].std())


def test_models_of_table_5_are_compared_where_the_run_has_them(compared):
    frame = compared[0]
    assert row(frame, "appearances", "vgg19")["run"] == 2
    assert row(frame, "parameters", "vgg19")["run"] == 143_667_240
    absent = row(frame, "difference in means", "swin_base")
    assert pd.isna(absent["run"])
    assert absent["differs"] == "not in this run: it does not have the model"


def test_run_without_mixed_sets_says_so(compared):
    _, by_stage, sets = compared
    empty = difference_in_means(sets.iloc[:0])
    frame = paper_comparison.comparison(by_stage, sets.iloc[:0], empty, ROWS, {"main": OWN})
    said = row(frame, "recognizability of mixed sets", "middle")["differs"]
    assert said == "not in this run: it has no experiment like the paper's 'mixed'"


def test_means_of_two_bounds_are_refused(compared):
    _, by_stage, sets = compared
    both = pd.concat([by_stage, by_stage.assign(bound="small")])
    with pytest.raises(ValueError, match=r"one experiment, recipe and bound; met were .*'small'"):
        paper_comparison.comparison(both, sets, difference_in_means(sets), ROWS, {"main": OWN})


def test_frame_is_the_declared_table(compared, tmp_path):
    tables.write(result_tables.PAPER_COMPARISON, compared[0], tmp_path / "t.parquet")
    assert (
        len(tables.read(result_tables.PAPER_COMPARISON, tmp_path / "t.parquet")) == 4 + 29 + 62 + 31
    )


def test_paper_s_own_configuration_has_what_the_paper_states():
    """But for what the paper contradicts, and for bounds, of which it names two of three."""
    config = validation.read([ROOT / "config/paper.yaml"], ROOT / "config/config.yaml")
    whole = Plan.from_config(config, zoo.read(ROOT / "config/models.yaml"))
    names = {"main": "main", "mixed": "mixed"}
    run = {k: paper_settings.setting_of(whole, v, 80) for k, v in names.items()}
    found = paper_facts.facts(whole, run)
    stated = printed("setting")
    assert {subject for _, subject in found} == set(stated.index)
    other = {
        subject: row["run"]
        for (_, subject), row in found.items()
        if row["run"] is not None and row["run"] != pytest.approx(stated[subject])
    }
    assert other == {
        "categories listed": 16,  # the footnote leaves one out
        "classes with a category": 207,
        "steps of the example": 40_000,
        "held-out evaluators": pytest.approx(169 / 6),
    }
