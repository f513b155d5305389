"""Success of the optimisation, on cases worked by hand."""

import judged
import numpy as np
import pandas as pd
import pytest

from metamers.analysis import recognizability, success
from metamers.storage import recognition_tables, tables

KEY = judged.condition()
IMAGES = [f"i{k}" for k in range(4)]


def likeness(spearman, snr, model="a", relative=0.1):
    row = KEY.columns() | {"evaluator": model, "member": True, "percentile_l2": 0.0}
    return pd.DataFrame(
        row | {"image_id": IMAGES, "relative_l2": relative, "spearman": spearman, "snr": snr}
    )


def answers(predicted, model="a", own=False):
    row = {"references": KEY.references} if own else KEY.columns()
    return pd.DataFrame(row | {"image_id": IMAGES, "evaluator": model, "predicted": predicted})


NULL = pd.DataFrame(
    [
        {"model": model, "stage": KEY.stage, "n_images": 9, "n_photographs": 9, "n_pairs": 72}
        | {"spearman": 0.5, "snr": 6.0, "spearman_median": 0.1, "snr_median": 0.0}
        for model in "ab"
    ]
)


def judged_images(spearman=(0.9, 0.4, 0.9, 0.9), snr=(7, 7, 5, 7), predicted=(1, 1, 1, 2)):
    table = likeness(spearman, snr)
    return success.by_image(table, NULL, answers(predicted), answers([1] * 4, own=True))


def test_each_criterion_alone_fails_a_metamer():
    found = judged_images()
    assert list(found["success"]) == [True, False, False, False]
    assert list(found["beyond_spearman"]) == [True, False, True, True]
    assert list(found["beyond_snr"]) == [True, True, False, True]
    assert list(found["kept"]) == [True, True, True, False]


def test_a_member_without_a_head_has_no_class_to_keep():
    table = likeness((0.9, 0.4, 0.9, 0.9), (7, 7, 5, 7))
    nobody = answers([1] * 4).iloc[:0], answers([1] * 4, own=True).iloc[:0]
    found = success.by_image(table, NULL, *nobody, headless=["a"])
    assert found["kept"].isna().all()
    assert list(found["success"]) == [True, False, False, True]
    row = success.by_condition(found).iloc[0]
    assert row["share"] == 0.5
    assert np.isnan(row["kept"])
    with pytest.raises(ValueError, match="4 metamers lack an answer"):
        success.by_image(table, NULL, *nobody)


def test_being_as_alike_as_the_likest_pair_is_not_beyond_it():
    found = judged_images(spearman=[0.5] * 4, snr=[6.0] * 4)
    assert not found["beyond_spearman"].any()
    assert not found["beyond_snr"].any()


def test_correlation_that_is_not_defined_is_no_success_unless_activations_are_equal():
    found = judged_images(spearman=[np.nan] * 4, snr=[7] * 4, predicted=[1] * 4)
    assert not found["success"].any()
    equal = likeness([np.nan] * 4, [np.nan] * 4, relative=0.0)
    found = success.by_image(equal, NULL, answers([1] * 4), answers([1] * 4, own=True))
    assert found["success"].all()


def test_condition_fails_where_fewer_than_nine_of_ten_images_are_metamers():
    found = success.by_condition(judged_images())
    assert found["share"].item() == 0.25
    assert found["n_pairs"].item() == 72
    assert not found["are_metamers"].item()
    whole = success.by_condition(judged_images([0.9] * 4, [7] * 4, [1] * 4))
    assert whole["are_metamers"].item()


def test_member_without_a_null_is_an_error():
    with pytest.raises(ValueError, match="4 metamers lack an answer or a null"):
        success.by_image(
            likeness([1] * 4, [9] * 4), NULL[1:], answers([1] * 4), answers([1] * 4, own=True)
        )


def test_image_is_successful_only_if_it_is_for_every_member():
    one, other = judged_images(), judged_images([0.9] * 4, [7] * 4, [2, 1, 1, 1])
    both = pd.concat([one, other.assign(model="b")])
    assert not success.successful(both)["success"].any()
    assert list(success.successful(one)["success"]) == [True, False, False, False]


def test_metrics_are_averaged_over_all_images_and_over_metamers():
    metrics = pd.DataFrame(
        KEY.columns() | {"measure": "ssim", "image_id": IMAGES, "value": [1.0, 2.0, 3.0, np.inf]}
    )
    chosen = success.successful(judged_images(snr=(7, 7, 7, 7)))  # the first and the third
    row = success.metrics_by_set(metrics, chosen).iloc[0]
    assert (row["n_images"], row["mean"]) == (3, 2.0)
    assert (row["n_successful"], row["mean_successful"]) == (2, 2.0)
    assert row["low_successful"] == 1.0
    assert row["high_successful"] == 3.0


def test_recognizability_is_conditional_on_success():
    shares = {KEY: {"a": 1.0, "c": 0.5}}
    frame = judged.recognition(shares, judged.MEMBERS, n_images=4)
    seen = frame[(frame["evaluator"] == "c")].set_index("image_id")["recognised"]
    rows = pd.DataFrame(KEY.columns() | {"image_id": list(seen.index), "success": list(seen)})
    found = recognizability.by_set(frame, {"main": [KEY]}, seed=0, successes=rows)
    row = found[found["group"] == "held_out"].iloc[0]
    assert row["mean"] == pytest.approx(seen.mean())
    assert row["n_successful"] == seen.sum()
    assert row["mean_successful"] == 1.0
    tables.write(recognition_tables.RECOGNIZABILITY_BY_SET, found, "/dev/null")


def test_where_no_image_is_a_metamer_there_is_no_mean_of_metamers():
    frame = judged.recognition({KEY: {"a": 1.0, "c": 0.5}}, judged.MEMBERS, n_images=4)
    none = pd.DataFrame(KEY.columns() | {"image_id": frame["image_id"].unique(), "success": False})
    found = recognizability.by_set(frame, {"main": [KEY]}, seed=0, successes=none)
    assert set(found["n_successful"]) == {0}
    assert found["mean_successful"].isna().all()
