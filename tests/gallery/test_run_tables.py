"""What the gallery says of each metamer is what the tables say."""

from __future__ import annotations

import made_up_gallery as made_up
import numpy as np
import pytest

from metamers.gallery.description import description
from metamers.gallery.details import details
from metamers.storage.columns import CONDITION_KEY

CELL = [*CONDITION_KEY, "image_id"]


@pytest.fixture(scope="module")
def run():
    return made_up.run_of(4)


def of(table, row):
    return table[(table[CELL] == [row[name] for name in CELL]).all(axis=1)]


def test_there_is_a_row_for_each_metamer_by_photograph_and_condition(run):
    rows = run.rows
    assert len(rows) == 4 * 24
    assert rows["photograph"].is_monotonic_increasing
    assert set(rows["condition"]) == set(range(24))


@pytest.mark.parametrize("place", [0, 7, 50])
def test_measures_are_those_of_the_tables(run, place):
    row = run.rows.iloc[place]
    losses = of(run.tables["optimisation"], row)
    assert row["loss"] == losses["loss_stored"].max()
    judged = of(run.tables["recognition"], row)
    assert row["held_out"] == judged[~judged["member"]]["recognised"].mean()
    metrics = of(run.tables["image_metrics"], row).set_index("measure")["value"]
    assert row["ssim"] == metrics["ssim"]


def test_what_missed_its_target_or_failed_the_check_is_no_metamer(run):
    rows = run.rows.copy()
    failed = rows[rows["failed"]]
    assert set(zip(failed["stage"], failed["bound"], strict=True)) == {("late", "near")}
    one_member = made_up.run_of(4)
    judged = one_member.tables["image_success"]
    judged.loc[(judged["model"] == "beta") & (judged["image_id"] == "image_002"), "success"] = False
    assert one_member.rows["failed"].sum() == 4 * 4 + 2 * 5  # two sets of four hold beta
    missed = made_up.run_of(4)
    losses = missed.tables["optimisation"]
    losses["reached"] = losses["model"] != "alpha"
    assert missed.rows["failed"].sum() == 4 * (18 + 1)  # three sets of four hold alpha


def test_a_set_without_held_out_judge_has_no_share():
    run = made_up.run_of(2)
    run.tables["recognition"]["member"] = True
    columns = run.columns(0, 3)
    names = [one["name"] for one in run.measures]
    assert columns["values"][names.index("held_out")] == [None] * 3
    assert all(value is not None for value in columns["values"][names.index("members")])


def test_values_that_are_infinite_or_missing_are_null():
    run = made_up.run_of(1)
    metrics = run.tables["image_metrics"]
    metrics.loc[metrics["measure"] == "psnr", "value"] = np.inf
    columns = run.columns(0, 24)
    place = [one["name"] for one in run.measures].index("psnr")
    assert columns["values"][place] == [None] * 24


def test_evaluators_with_a_members_weights_are_not_called_held_out():
    run = made_up.run_of(1)
    rows = run.tables["recognition"]
    rows["same_weights"] = (rows["model_set"] == "single") & (rows["evaluator"] == "delta")
    roles = [one["roles"] for one in description(run, 1)["conditions"]]
    assert roles[0] == ["member of the set", "held-out", "held-out", "has a member's weights"]
    assert roles[6] == ["member of the set", "member of the set", "held-out", "held-out"]


def test_stages_and_sets_stand_in_the_configurations_order(run):
    axes = {axis["name"]: axis["values"] for axis in description(run, 1)["axes"]}
    assert [one["label"] for one in axes["stage"]] == ["early", "middle", "late"]
    assert [one["label"] for one in axes["model_set"]] == list(made_up.MEMBERS)


def test_details_hold_each_evaluators_five_answers_to_both(run):
    found = dict(details(run))
    assert set(found) == {0, 1, 2, 3}
    judged = run.tables["predictions"]
    own = judged[(judged["image_id"] == "image_002") & (judged["model_set"] == "pair")]
    own = own[(own["stage"] == "late") & (own["bound"] == "near")]
    answers = found[2]["metamers"][11]["answers"]
    assert [one["classes"] for one in answers] == own["top5"].tolist()
    assert len(found[2]["answers"]) == 4
    assert [one["model"] for one in found[2]["metamers"][11]["traces"]] == ["alpha", "beta"]
