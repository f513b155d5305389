"""Recognizability by evaluator, set and stage, and the gain of ensembles, by hand."""

import numpy as np
import pandas as pd
import pytest
from judged import MEMBERS, cells_of, condition, of_all, recognition

from metamers import bootstrap
from metamers.analysis import recognizability
from metamers.storage import recognition_tables, tables

SHARES = {
    condition("pair", "early"): {"a": 1.0, "b": 0.9, "c": 0.5, "d": 0.7},
    condition("pair", "late"): {"a": 0.8, "b": 0.8, "c": 0.4, "d": 0.2},
    condition("one", "early"): {"a": 1.0, "b": 0.3, "c": 0.1, "d": 0.3},
    condition("one", "late"): {"a": 0.9, "b": 0.2, "c": 0.0, "d": 0.1},
    condition("two", "late"): {"a": 0.1, "b": 0.9, "c": 0.2, "d": 0.1},
}
MAIN = {"main": tuple(SHARES)}


@pytest.fixture(scope="module")
def judged():
    return recognition(SHARES, MEMBERS)


def test_share_of_each_evaluator(judged):
    rows = cells_of(recognizability.recognizability(judged, MAIN), model_set="pair", stage="late")
    assert dict(zip(rows["evaluator"], rows["recognizability"], strict=True)) == {
        "a": 0.8,
        "b": 0.8,
        "c": 0.4,
        "d": 0.2,
    }
    assert (rows["low"] < rows["recognizability"]).all()
    assert (rows["high"] > rows["recognizability"]).all()


def test_interval_of_each_evaluator_resamples_images(judged):
    rows = cells_of(
        recognizability.recognizability(judged, MAIN, seed=3), model_set="pair", stage="late"
    )
    values = cells_of(judged, model_set="pair", stage="late", evaluator="c")
    low, high = bootstrap.bootstrap_interval(values["recognised"], np.random.default_rng(3))
    row = cells_of(rows, evaluator="c").iloc[0]
    assert (row["low"], row["high"]) == (low, high)


def test_nothing_recognised_is_not_certain(judged):
    row = cells_of(
        recognizability.recognizability(judged, MAIN), model_set="one", stage="late", evaluator="c"
    ).iloc[0]
    assert row["recognizability"] == 0
    assert row["high"] == pytest.approx(bootstrap.wilson_interval(0, 10)[1])


def test_condition_added_elsewhere_changes_no_row(judged):
    alone = {"main": [condition("pair", "late")]}
    whole = cells_of(recognizability.by_set(judged, MAIN), model_set="pair", stage="late")
    pd.testing.assert_frame_equal(
        recognizability.by_set(judged, alone), whole.reset_index(drop=True), check_dtype=False
    )


def test_groups_hold_the_evaluators_that_they_say(judged):
    rows = cells_of(recognizability.by_set(judged, MAIN), model_set="pair", stage="late")
    rows = rows.set_index("group")
    assert rows["mean"].to_dict() == pytest.approx(
        {"trained": 0.3, "unrelated": 0.3, "held_out": 0.3, "members": 0.8, "all": 0.55}
    )
    assert rows["n_evaluators"].to_dict() == {
        "trained": 2,
        "unrelated": 2,
        "held_out": 2,
        "members": 2,
        "all": 4,
    }
    assert rows.loc["held_out", "sd"] == pytest.approx(np.std([0.4, 0.2], ddof=1))


def test_same_weights_are_neither_held_out_nor_members(judged):
    flagged = judged.assign(same_weights=judged["evaluator"] == "d")
    rows = cells_of(recognizability.by_set(flagged, MAIN), model_set="pair", stage="late")
    assert rows.set_index("group")["mean"].to_dict() == pytest.approx(
        {"trained": 0.4, "unrelated": 0.4, "held_out": 0.4, "members": 0.8, "all": 0.55}
    )


def test_group_without_evaluators_has_no_row(judged):
    rows = recognizability.by_set(judged[judged["evaluator"] == "a"], {"main": [condition("pair")]})
    assert set(rows["group"]) == {"members", "all"}


def test_one_evaluator_has_no_standard_deviation(judged):
    rows = cells_of(recognizability.by_set(judged, MAIN), model_set="one", group="members")
    assert rows["sd"].isna().all()


def test_families_count_alike_however_many_evaluators_they_have():
    key = condition("one")
    shares = {key: {"a": 1.0, "b": 0.9, "c": 0.7, "d": 0.2}}
    families = {"a": "cnn", "b": "cnn", "c": "cnn", "d": "transformer"}
    judged = recognition(shares, MEMBERS)
    rows = recognizability.by_set(judged, {"main": [key]}, families=families).set_index("group")
    row = rows.loc["held_out"]
    assert row["mean"] == pytest.approx((0.9 + 0.7 + 0.2) / 3)
    assert row["family_mean"] == pytest.approx((0.8 + 0.2) / 2)
    assert row["n_families"] == 2
    # from one family to the other, and a little beyond, since images are resampled, too
    assert row["family_low"] < 0.3
    assert row["family_high"] > 0.75
    assert row["family_high"] - row["family_low"] > 1.1 * (row["high"] - row["low"])
    plain = recognizability.by_set(judged, {"main": [key]})
    assert plain["n_families"].isna().all()
    assert plain["family_mean"].isna().all()


def test_mean_of_a_stage_is_over_pairs_of_set_and_evaluator(judged):
    row = cells_of(recognizability.by_stage(judged, MAIN), stage="early", group="held_out").iloc[0]
    pairs = [0.5, 0.7, 0.3, 0.1, 0.3]  # pair by c and d; one by b, c and d
    assert row["mean"] == pytest.approx(np.mean(pairs))
    assert row["sd"] == pytest.approx(np.std(pairs, ddof=1))
    assert (row["n_sets"], row["n_evaluators"], row["n_images"]) == (2, 3, 10)
    assert row["low"] < row["mean"] < row["high"]


def test_mean_of_a_stage_with_one_set_is_that_of_the_set(judged):
    alone = {"main": [condition("pair", "late")]}
    columns = ["group", "mean", "sd", "low", "high"]
    pd.testing.assert_frame_equal(
        recognizability.by_stage(judged, alone)[columns],
        recognizability.by_set(judged, alone)[columns],
    )


def test_gain_is_over_evaluators_held_out_for_both(judged):
    rows = recognizability.ensemble_gain(judged, MAIN, MEMBERS)
    late = cells_of(rows, stage="late").set_index("against")
    # Held out for pair and one: c and d. (.4 - 0 + .2 - .1) / 2; against two: (.2 + .1) / 2.
    assert late["difference"].to_dict() == pytest.approx({"one": 0.25, "two": 0.15, "members": 0.2})
    assert list(late.loc["members", "singles"]) == ["one", "two"]
    assert set(late["n_evaluators"]) == {2}
    assert late.loc["one", ["ensemble", "single"]].tolist() == pytest.approx([0.3, 0.05])


def test_judge_without_training_gives_no_gain(judged):
    untrained = judged.assign(trained=judged["evaluator"] != "d")
    rows = recognizability.ensemble_gain(untrained, MAIN, MEMBERS)
    only = recognizability.ensemble_gain(judged[judged["evaluator"] != "d"], MAIN, MEMBERS)
    assert set(rows["n_evaluators"]) == {1}
    pd.testing.assert_frame_equal(rows, only)


def test_gain_compares_each_image_with_itself():
    # The same half of the images is recognised by both: no difference, but 10 images alone.
    judged = recognition(of_all(["pair", "one"]), MEMBERS)
    other = judged["model_set"] == "one"
    judged.loc[other, "recognised"] = judged.loc[~other, "recognised"].to_numpy()
    rows = recognizability.ensemble_gain(judged, {"main": list(of_all(["pair", "one"]))}, MEMBERS)
    assert (rows["difference"] == 0).all()
    most = 0.2775  # Wilson, 0 of 10
    for ends in (["low", "high"], ["images_low", "images_high"]):
        assert rows[ends].to_numpy() == pytest.approx(
            np.tile([-most, most], (len(rows), 1)), abs=1e-3
        )


def test_gain_interval_resamples_images_and_evaluators(judged):
    row = cells_of(
        recognizability.ensemble_gain(judged, MAIN, MEMBERS, seed=5), stage="late", against="one"
    ).iloc[0]
    late = cells_of(judged, stage="late").sort_values(["evaluator", "image_id"])
    shape = {
        name: cells_of(late, model_set=name)["recognised"].to_numpy(float).reshape(4, 10)[2:]
        for name in ("pair", "one")
    }
    expected = bootstrap.crossed_interval(shape["pair"] - shape["one"], np.random.default_rng(5))
    assert (row["low"], row["high"]) == pytest.approx(expected)


def test_no_gain_without_a_common_held_out_evaluator(judged):
    rows = recognizability.ensemble_gain(
        judged[judged["evaluator"].isin(["a", "b"])], MAIN, MEMBERS
    )
    assert rows.empty
    assert list(rows.columns) == recognition_tables.ENSEMBLE_GAIN.schema.names


def test_experiment_with_a_condition_that_nobody_judged_is_refused(judged):
    with pytest.raises(ValueError, match=r"'more' has 1 conditions without predictions.*'middle'"):
        recognizability.by_set(judged, {"more": [condition("pair", "middle")]})


def test_evaluator_that_left_images_out_is_refused(judged):
    with pytest.raises(ValueError, match="39 judgements for 4 evaluators and 10 images"):
        recognizability.by_set(judged.drop(index=judged.index[0]), MAIN)


@pytest.mark.parametrize(
    ("table", "make"),
    [
        (recognition_tables.RECOGNIZABILITY, recognizability.recognizability),
        (recognition_tables.RECOGNIZABILITY_BY_SET, recognizability.by_set),
        (recognition_tables.RECOGNIZABILITY_BY_STAGE, recognizability.by_stage),
        (
            recognition_tables.ENSEMBLE_GAIN,
            lambda r, e: recognizability.ensemble_gain(r, e, MEMBERS),
        ),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_frames_are_the_declared_tables(judged, tmp_path, table, make):
    tables.write(table, make(judged, MAIN), tmp_path / "t.parquet")
    tables.write(table, make(judged, {}), tmp_path / "empty.parquet")
    assert len(tables.read(table, tmp_path / "t.parquet")) > 0
    assert tables.read(table, tmp_path / "empty.parquet").empty
