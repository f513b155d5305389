"""Published shares beside a run's, cell by cell."""

import pandas as pd
import pytest
import yaml
from fixtures import ROOT

from metamers.analysis import feather2023, feather2023_comparison
from metamers.config import validation
from metamers.models import classifier
from metamers.storage import result_tables, tables

OVERLAY = ROOT / "config/feather2023.yaml"
ROWS = yaml.safe_load((ROOT / "config/models.yaml").read_text())


@pytest.fixture(scope="module")
def plan():
    config = validation.read([OVERLAY], ROOT / "config/config.yaml")
    return validation.plan_of(config, ROOT)


def shares(plan, judges, value, column):
    """Return rows by which every judge recognises the same share of every condition."""
    return pd.DataFrame(
        condition.columns()
        | {"rule": rule, "label_space": "16_mean", column: judge, "group": "held_out"}
        | {value: share, "low": share - 0.1, "high": share + 0.1}
        for condition in plan.conditions
        for judge in judges
        for rule, share in (("label", 0.25), ("self", 0.75))
    )


@pytest.fixture(scope="module")
def compared(plan):
    single = shares(plan, plan.config["evaluators"], "recognizability", "evaluator")
    means = shares(plan, ["held_out"], "mean", "group").drop(columns=["evaluator"], errors="ignore")
    return feather2023_comparison.comparison(plan, single, means, {"photographs": 400})


def test_every_condition_is_one_of_theirs(plan):
    published = feather2023.people()[["network", "layer"]].itertuples(index=False, name=None)
    asked = {(plan.published[c.model_set], c.stage) for c in plan.conditions}
    assert len(plan.conditions) == 37
    assert asked <= set(published)


@pytest.mark.parametrize("name", [n for n, row in ROWS.items() if "feather2023" in row])
def test_layers_are_modules_of_the_network(name):
    modules = dict(classifier.architecture(ROWS[name]["architecture"]).named_modules())
    published = feather2023.people().query(f"network == {ROWS[name]['feather2023']!r}")
    assert set(ROWS[name]["stages"]) == set(published["layer"])
    assert set(ROWS[name]["stages"].values()) <= set(modules)


def test_each_cell_stands_beside_the_runs_by_their_rule(plan, compared, tmp_path):
    tables.write(result_tables.PAPER_COMPARISON, compared, tmp_path / "paper_comparison.parquet")
    cells = compared.set_index(["quantity", "subject"])
    cell = cells.loc[("recognised by vgg_19", "alexnet, relu2_fake_relu")]
    theirs = feather2023.networks().query(
        "maker == 'alexnet' and judge == 'vgg_19' and layer == 'relu2_fake_relu'"
    )
    assert cell["paper"] == theirs["correct_16"].item()
    assert cell["run"] == 0.25
    assert cell["differs"].startswith("nothing but which images")


def test_people_stand_beside_held_out_models(compared):
    cell = compared.set_index(["quantity", "subject"]).loc[
        ("recognised by people", "cornet_s, IT_fake_relu")
    ]
    asked = feather2023.people().query("network == 'cornet_s' and layer == 'IT_fake_relu'")
    assert cell["paper"] == pytest.approx(asked["human"].mean())
    assert cell["run"] == 0.25
    assert "held-out models for people" in cell["differs"]


def test_a_judge_that_the_run_has_not_is_said_to_be_absent(compared):
    cell = compared.set_index(["quantity", "subject"]).loc[
        ("recognised by resnet50_byol", "vgg_19, final")
    ]
    assert pd.isna(cell["run"])
    assert "does not have the judge" in cell["differs"]


def test_stages_that_a_run_does_not_name_decide_nothing():
    with_stages = validation.plan_of(validation.read([], ROOT / "config/config.yaml"), ROOT)
    (row,) = with_stages.rows(["alexnet"])
    assert "stages" not in row
    assert "feather2023" not in row
