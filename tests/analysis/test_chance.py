"""Chance, worked by hand and against shuffled references."""

import numpy as np
import pandas as pd
import pytest
from judged import IMAGES, answered, reference_predictions

from metamers.analysis.chance import chance
from metamers.images.crops import crop_id
from metamers.storage import baseline_tables, tables


def by_evaluator(frame, space="1000"):
    return frame[frame["label_space"] == space].set_index("evaluator")["chance"].to_dict()


def test_chance_by_hand():
    found = chance(reference_predictions({"a": [11, 11, 25], "b": [1, 2, 3]}))
    assert by_evaluator(found) == {"a": pytest.approx(1 / 3), "b": 0}
    # 1, 2 and 3 are of one of the 16 categories: classes 0 to 9
    assert by_evaluator(found, "16_mean") == {"a": pytest.approx(1 / 3), "b": 1}


def test_network_that_answers_one_class_to_everything_recognises_everything():
    assert by_evaluator(chance(reference_predictions({"random": [7, 7, 7]}))) == {"random": 1}


def test_chance_is_the_mean_over_shuffled_references():
    rng = np.random.default_rng(0)
    answers = rng.integers(0, 4, 30)
    rows = [
        {"references": "photographs", "image_id": f"i{k}", "evaluator": "a", "answer": answer}
        for k, answer in enumerate(answers)
    ]
    shifted = [np.mean(answers == np.roll(answers, k)) for k in range(1, 30)]
    assert by_evaluator(chance(answered(rows)))["a"] == pytest.approx(np.mean(shifted))


def test_crops_of_one_photograph_are_not_unrelated():
    rows = [
        {"references": "photographs", "image_id": crop_id(name, k), "evaluator": "a"}
        | {"answer": answer}
        for name, answer in (("dog", 1), ("cat", 2))
        for k in range(3)
    ]
    assert by_evaluator(chance(answered(rows))) == {"a": 0}


def test_one_photograph_has_no_chance():
    frame = reference_predictions({"a": [1, 1, 1]})
    assert chance(frame[frame["image_id"] == IMAGES[0]]).empty


def test_frame_is_the_declared_table(tmp_path):
    found = chance(reference_predictions({"a": [11, 11, 25]}))
    tables.write(baseline_tables.CHANCE, found, tmp_path / "chance.parquet")
    read = tables.read(baseline_tables.CHANCE, tmp_path / "chance.parquet")
    pd.testing.assert_series_equal(read["chance"], found["chance"])
