"""Conditions, sets and batches that follow from a configuration."""

import subprocess
import sys

import pytest
import yaml
from fixtures import ROOT

from metamers.config import validation
from metamers.config.experiment_kinds import AXES, KINDS
from metamers.config.model_sets import draw_sets
from metamers.config.plan import Condition, Plan
from metamers.figures.registry import FIGURES
from metamers.storage import tables
from metamers.synthesis.settings import complete


@pytest.fixture
def config():
    return yaml.safe_load((ROOT / "config/config.yaml").read_text())


@pytest.fixture
def zoo_rows():
    return yaml.safe_load((ROOT / "config/models.yaml").read_text())


@pytest.fixture
def plan(config, zoo_rows):
    return Plan.from_config(config, zoo_rows)


def test_condition_is_read_back_from_path_row_and_wildcards():
    condition = Condition("photographs", "main", "cnn", "late", "linf_8")
    assert Condition.parse(str(condition)) == condition
    assert Condition.of(condition.columns() | {"shard": "000-of-001"}) == condition
    assert Condition.pattern().format(**condition.columns()) == str(condition)


def test_conditions_of_all_experiments_come_once(plan):
    shared = set(plan.experiments["main"]) & set(plan.experiments["bounds"])
    assert len(shared) == 1  # the unbounded late cell
    assert len(plan.conditions) == len(set(plan.conditions))
    assert set(plan.conditions) == {c for cells in plan.experiments.values() for c in cells}


def test_quickstart_mixes_every_subset_that_leaves_an_evaluator(plan):
    assert len(plan.experiments["mixed"]) == 4 + 6 + 4
    assert all(len(plan.model_sets[c.model_set]) < 4 for c in plan.experiments["mixed"])


def test_batches_hold_every_condition_once(plan):
    batched = [condition for batch in plan.batches.values() for condition in batch]
    assert tuple(batched) == plan.conditions


def test_shard_names_carry_their_count(config, zoo_rows):
    assert Plan.from_config(config | {"shards": 2}, zoo_rows).shards == ["000-of-002", "001-of-002"]


def test_members_are_added_alone_where_they_are_not_there(config, zoo_rows):
    main = config["experiments"]["main"]
    main |= {"model_sets": ["single_lite0", "lite_squeezenet"], "members_alone": True}
    plan = Plan.from_config(config, zoo_rows)
    sets = dict.fromkeys(c.model_set for c in plan.experiments["main"])
    added = ["alone_efficientnet_lite1", "alone_squeezenet1_1"]
    assert list(sets) == ["single_lite0", "lite_squeezenet", *added]
    assert plan.model_sets["alone_squeezenet1_1"] == ("squeezenet1_1",)


def test_null_removes_an_experiment(config, zoo_rows):
    config["experiments"]["mixed"] = None
    plan = Plan.from_config(config, zoo_rows)
    assert "mixed" not in plan.experiments
    assert "mixed_sets" not in plan.tables


def overlaid(config, name):
    """Return the default with a file of the configuration over it, as Snakemake merges them."""

    def merged(one, other):
        if not (isinstance(one, dict) and isinstance(other, dict)):
            return other
        return one | {key: merged(one.get(key), value) for key, value in other.items()}

    return merged(config, yaml.safe_load((ROOT / "config" / name).read_text()))


def test_random_weights_of_two_rows_of_one_architecture_differ(config, zoo_rows):
    plan = Plan.from_config(config | {"random_weights": True}, zoo_rows)
    rows = plan.rows(["resnet18", "resnet18_robust"])
    assert rows[0]["architecture"] == rows[1]["architecture"]
    assert [row["weights"]["source"] for row in rows] == ["random", "random"]
    assert rows[0]["weights"]["seed"] != rows[1]["weights"]["seed"]


def test_mixed_check_has_the_papers_shape(config, zoo_rows):
    plan = Plan.from_config(overlaid(config, "mixed_check.yaml"), zoo_rows)
    sets = {plan.model_sets[c.model_set] for c in plan.conditions}
    assert len(sets) == len(plan.conditions) == 100
    assert {len(members) for members in sets} == set(range(2, 11))
    kinds = {(zoo_rows[m]["family"], zoo_rows[m]["training"]) for m in plan.config["evaluators"]}
    assert {("cnn", "standard"), ("cnn", "robust"), ("transformer", "robust")} <= kinds


def test_power_is_of_its_own_conditions_alone(config, zoo_rows):
    plan = Plan.from_config(overlaid(config, "power.yaml"), zoo_rows)
    assert plan.figures == {"power": ("power", "power")}
    assert plan.batch_power({"batch": "000-of-001"}) == [str(c) for c in plan.conditions]
    quickstart = Plan.from_config(config, zoo_rows)
    assert not any(quickstart.batch_power({"batch": batch}) for batch in quickstart.batches)


def test_equal_loss_is_compared_and_drawn_of_its_own_conditions(config, zoo_rows):
    plan = Plan.from_config(overlaid(config, "equal_loss.yaml"), zoo_rows)
    assert plan.figures == {"equal_loss": ("equal_loss", "equal_loss")}
    assert "equal_loss" in plan.tables
    assert "equal_loss" not in Plan.from_config(config, zoo_rows).tables


def test_trunks_are_members_and_judges_of_activations(config, zoo_rows):
    plan = Plan.from_config(overlaid(config, "trunks.yaml"), zoo_rows)
    assert plan.headless == ["mobilenet_v2_trunk", "vit_small_patch14_trunk"]
    assert plan.members_only == ["vit_small_patch14_trunk"]
    assert plan.evaluator_groups == {
        "00-of-01": (*plan.config["evaluators"], "vit_small_patch14_trunk")
    }
    assert plan.sets_without_judge == []


def test_paper_keeps_its_rule_and_its_fast_twin_differs_in_the_preset_alone(config, zoo_rows):
    paper = overlaid(config, "paper.yaml")
    assert complete(paper["recipes"]["main"]) == complete({"preset": "paper"})
    fast = overlaid(paper, "paper_fast.yaml")
    assert complete(fast["recipes"]["main"]) == complete({"preset": "fast"})
    assert {"run", "recipes"} == {key for key in fast if fast[key] != paper[key]}


def test_power_of_the_paper_makes_no_metamer_of_its_own(config, zoo_rows):
    plan = Plan.from_config(overlaid(config, "paper.yaml"), zoo_rows)
    assert set(plan.experiments["power"]) < set(plan.experiments["main"])


def test_drawn_sets_are_the_same_for_a_seed_and_all_different():
    models = [f"m{i}" for i in range(31)]
    draw = {"count": 100, "sizes": [2, 10]}
    sets = draw_sets("mixed", draw, models, seed=0)
    assert sets == draw_sets("mixed", draw, models, seed=0)
    assert sets != draw_sets("mixed", draw, models, seed=1)
    assert len(set(sets.values())) == 100
    assert {len(members) for members in sets.values()} == set(range(2, 11))
    assert all(sorted(s, key=models.index) == list(s) for s in sets.values())


def test_more_sets_than_there_are_is_refused():
    with pytest.raises(ValueError, match="there are only 6"):
        draw_sets("mixed", {"count": 7, "sizes": [2, 2]}, list("abcd"), seed=0)


def test_plan_imports_no_torch():
    code = (
        "import sys, metamers.config.plan, metamers.config.validation, metamers.config.revisions;"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_kind_decides_what_is_drawn_and_the_name_does_not(config, zoo_rows):
    renamed = {f"my_{name}": e for name, e in config["experiments"].items()}
    before = Plan.from_config(config, zoo_rows)
    after = Plan.from_config(config | {"experiments": renamed}, zoo_rows)
    assert {name: f"my_{of}" for name, (_, of) in before.figures.items()} == {
        name: of for name, (_, of) in after.figures.items()
    }
    assert after.tables == before.tables


def test_figures_of_several_experiments_of_a_kind_bear_their_names(config, zoo_rows):
    experiments = config["experiments"]
    experiments["another.mixed"] = experiments["mixed"] | {"stages": ["late"]}
    plan = Plan.from_config(config, zoo_rows)
    assert plan.figures["mixed_sets-mixed"] == ("mixed_sets", "mixed")
    assert plan.figures["mixed_sets-another.mixed"] == ("mixed_sets", "another.mixed")
    assert "mixed_sets" not in plan.figures
    assert plan.figures["bounds"] == ("bounds", "bounds")
    assert plan.first_of_kinds["mixed_sets"] == "another.mixed"


def test_sets_without_training_are_controls(zoo_rows):
    files = [ROOT / "config" / name for name in ("paper.yaml", "paper_control.yaml")]
    config = validation.read(files, ROOT / "config/config.yaml")
    plan = Plan.from_config(config, zoo_rows)
    assert plan.controls == {"random"}
    kept = {c.model_set for c in plan.contrasted["main"]}
    assert {c.model_set for c in plan.experiments["main"]} - kept == {"random"}
    assert len(kept) == 6
    paper = Plan.from_config(validation.read(files[:1], ROOT / "config/config.yaml"), zoo_rows)
    assert paper.controls == set()  # drawn sets of random networks are none
    assert plan.contrasted == paper.experiments == paper.contrasted


def test_experiment_of_controls_alone_is_contrasted_as_any(config, zoo_rows):
    changed = config | {
        "model_sets": {"one": ["alexnet_random"], "other": ["resnet50_random"]},
        "experiments": {"main": config["experiments"]["main"] | {"model_sets": ["one", "other"]}},
    }
    plan = Plan.from_config(changed, zoo_rows)
    assert plan.controls == {"one", "other"}
    assert plan.contrasted == plan.experiments


def test_order_of_experiments_decides_nothing(config, zoo_rows):
    config["experiments"]["also"] = config["experiments"]["main"]
    turned = config | {"experiments": dict(reversed(config["experiments"].items()))}
    plans = [Plan.from_config(c, zoo_rows) for c in (config, turned)]
    assert plans[0].first_of_kinds == plans[1].first_of_kinds
    assert plans[0].figures == plans[1].figures
    assert plans[0].tables == plans[1].tables


def test_every_kind_has_its_tables_figures_and_captions():
    for kind in KINDS.values():
        assert set(kind.one) <= set(AXES)
        assert set(kind.tables) <= set(tables.TABLES)
        assert set(kind.figures) <= set(FIGURES)
        for figure in kind.figures:
            assert "-" not in figure
            assert (ROOT / f"workflow/report/{figure}.rst").read_text()


def test_draws_belong_to_their_experiment_whatever_other_names_begin_with(config, zoo_rows):
    config["model_sets"]["mixed_mine"] = ["squeezenet1_1"]
    config["experiments"]["mixed_b"] = config["experiments"]["mixed"]
    plan = Plan.from_config(config, zoo_rows)
    assert len(plan.experiments["mixed"]) == len(plan.experiments["mixed_b"]) == 14
    assert not set(plan.experiments["mixed"]) & set(plan.experiments["mixed_b"])
    assert "mixed_mine" not in {c.model_set for c in plan.conditions}


def test_sets_of_all_evaluators_have_no_held_out_judge(config, zoo_rows):
    assert Plan.from_config(config, zoo_rows).sets_without_judge == []
    config["evaluators"] = config["model_sets"]["lite_pair"]
    config["experiments"]["mixed"] = None
    found = Plan.from_config(config, zoo_rows).sets_without_judge
    assert found == ["lite_pair", "lite_squeezenet"]
