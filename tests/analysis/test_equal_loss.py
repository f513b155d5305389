"""Model sets at equal loss, worked by hand."""

import numpy as np
import pandas as pd
import pytest
from judged import MEMBERS, cells_of, condition, recognition

from metamers.analysis.equal_loss import equal_loss
from metamers.storage import recognition_tables, tables

SHARES = {
    condition("one"): {"a": 1.0, "b": 0.5, "c": 0.5, "d": 0.5},
    condition("pair"): {"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0},
}
EXPERIMENTS = {"matched": tuple(SHARES)}
N = 10


def optimisation(unreached=(), target=0.2):
    """Return the table, all members' losses at .1 but those of some (set, image, model)."""
    rows = []
    for key in SHARES:
        for k in range(N):
            for model in MEMBERS[key.model_set]:
                loss = 0.3 if (key.model_set, k, model) in unreached else 0.1
                cost = {"steps": 10, "evaluations": 10 * len(MEMBERS[key.model_set])}
                end = {"loss_stored": loss, "target": target, "reached": loss <= target}
                rows.append(
                    key.columns() | {"image_id": f"image{k:03d}", "model": model} | cost | end
                )
    return pd.DataFrame(rows)


def test_judges_are_held_out_from_all_sets_and_images_reached_by_all():
    found = equal_loss(recognition(SHARES, MEMBERS), optimisation([("pair", 3, "b")]), EXPERIMENTS)
    assert list(found.columns) == recognition_tables.EQUAL_LOSS.schema.names
    assert list(found["model_set"]) == ["one", "pair"]
    assert list(found["n_evaluators"]) == [2, 2]  # c and d: b is a member of the pair
    assert list(found["n_images"]) == [9, 9]
    assert list(found["reached"]) == [1.0, 0.9]
    assert list(found["evaluations"]) == [10, 20]
    np.testing.assert_allclose(found["loss"], 0.1)


def test_judge_without_training_does_not_count():
    shares = {key: given | {"random": 1.0} for key, given in SHARES.items()}
    found = equal_loss(recognition(shares, MEMBERS), optimisation(), EXPERIMENTS)
    assert list(found["n_evaluators"]) == [2, 2]
    assert list(found["recognizability"]) == [0.5, 1.0]


def test_difference_is_that_of_the_shares():
    found = equal_loss(recognition(SHARES, MEMBERS), optimisation(), EXPERIMENTS)
    first, second = found.to_dict("records")
    assert (first["recognizability"], second["recognizability"]) == (0.5, 1.0)
    assert first["low"] < 0.5 < first["high"]
    assert second["low"] > 0.6
    assert np.isnan(first["difference"])
    assert second["difference"] == 0.5
    assert second["difference_low"] < 0.5 < second["difference_high"]


def test_sets_that_share_no_image_at_the_target_have_no_share():
    none = [("pair", k, "b") for k in range(N)]
    found = equal_loss(recognition(SHARES, MEMBERS), optimisation(none), EXPERIMENTS)
    assert list(found["n_images"]) == [0, 0]
    assert list(found["reached"]) == [1, 0]
    assert found[["loss", "recognizability", "low", "difference"]].isna().all(axis=None)


def test_photographs_count_where_all_their_crops_reached_the_target():
    def cropped(frame):
        number = frame["image_id"].str[5:].astype(int)
        names = [f"photo{k // 2}#crop{k % 2:03d}" for k in number]
        return frame.assign(image_id=names)

    found = equal_loss(
        cropped(recognition(SHARES, MEMBERS)),
        cropped(optimisation([("pair", 3, "b")])),
        EXPERIMENTS,
    )
    assert list(found["n_images"]) == [8, 8]


def test_stages_are_compared_apart():
    shares = SHARES | {condition("one", "early"): SHARES[condition("one")]}
    early = optimisation().query("model_set == 'one'").assign(stage="early")
    both = pd.concat([optimisation(), early])
    found = equal_loss(recognition(shares, MEMBERS), both, {"matched": tuple(shares)})
    assert cells_of(found, stage="early")["baseline"].tolist() == ["one"]
    assert cells_of(found, stage="late")["model_set"].tolist() == ["one", "pair"]


def test_synthesis_without_a_target_is_refused():
    with pytest.raises(ValueError, match="until_loss"):
        equal_loss(recognition(SHARES, MEMBERS), optimisation().assign(target=np.nan), EXPERIMENTS)


def test_table_is_written_with_what_it_may_lack(tmp_path):
    none = [("pair", k, "b") for k in range(N)]
    found = equal_loss(recognition(SHARES, MEMBERS), optimisation(none), EXPERIMENTS)
    tables.write(recognition_tables.EQUAL_LOSS, found, tmp_path / "equal_loss.parquet")
    assert len(tables.read(recognition_tables.EQUAL_LOSS, tmp_path / "equal_loss.parquet")) == 2


def test_experiments_without_a_target_stand_beside_one_at_equal_loss():
    judged = recognition(SHARES, MEMBERS)
    free = optimisation().assign(recipe="other", target=np.nan)
    both = pd.concat([optimisation(), free], ignore_index=True)
    beside, alone = (equal_loss(judged, table, EXPERIMENTS) for table in (both, optimisation()))
    pd.testing.assert_frame_equal(beside, alone)
