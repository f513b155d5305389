"""A run with networks without a head: a member that is no evaluator, and a judge."""

import shutil

import headless
import pandas as pd
import pytest
import tiny_runs
import warm_workflow
from fixtures import ROOT

pytestmark = pytest.mark.workflow
SETS = {"one": ["trunk"], "pair": ["trunk", "a"]}
JUDGES = ["a", "b", "ten_classes"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("headless")
    shutil.copy(ROOT / "tests/support/headless.py", folder)
    rows = tiny_runs.zoo() | {n: headless.row(n) for n in ("trunk", "ten_classes")}
    evaluation = {"feature_networks": ["trunk"], "similarities": ["shared_invariance"]}
    values = tiny_runs.config(model_sets=SETS, evaluators=JUDGES, evaluation=evaluation)
    with warm_workflow.serving(folder) as server:
        tiny_runs.run(server, folder, values, rows)
    return folder


@pytest.fixture(scope="module")
def tables(run):
    return {name: table.to_pandas() for name, table in tiny_runs.tables(run).items()}


def test_recognition_leaves_headless_networks_out(run, tables):
    assert set(tables["predictions"]["evaluator"]) == {"a", "b"}
    for name in ("recognition", "recognizability"):
        assert set(tables[name]["evaluator"]) == {"a", "b"}
    for name in ("reference_predictions", "chance", "ceiling"):
        assert not {"trunk", "ten_classes"} & set(tables[name]["evaluator"])
    assert (
        "recognition leaves them out: ['ten_classes', 'trunk']"
        in (run / "snakemake.out").read_text()
    )


def test_activations_of_evaluators_without_a_head_are_judged(tables):
    for name in ("similarity", "likeness", "shared_invariance"):
        assert "ten_classes" in set(tables[name]["evaluator"])
    assert "trunk" not in set(tables["similarity"]["evaluator"])


def test_success_covers_the_member_that_is_no_evaluator(tables):
    success = tables["success"].set_index(["model_set", "model"])
    assert set(success.index) == {("one", "trunk"), ("pair", "trunk"), ("pair", "a")}
    assert success["kept"].notna().to_dict() == {key: key[1] == "a" for key in success.index}
    images = tables["image_success"]
    own = images[images["model"] == "trunk"]
    assert own["kept"].isna().all()
    pd.testing.assert_series_equal(
        own["success"], own["beyond_spearman"] & own["beyond_snr"], check_names=False
    )


def test_gate_says_why_it_does_not_judge_them(tables):
    verdicts = tables["accuracy"].set_index("model")["verdict"]
    assert set(verdicts[["trunk", "ten_classes"]]) == {"not judged: no head"}


def test_features_of_a_headless_network_serve_for_distances(tables):
    metrics = tables["image_metrics"]
    assert metrics["measure"].str.contains("trunk").any()
