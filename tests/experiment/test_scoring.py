"""Files of answers: what is refused, who is left out, what is counted."""

import numpy as np
import pandas as pd
import pytest

from metamers import bootstrap
from metamers.experiment import scoring

KEY = pd.DataFrame(
    {
        "image_id": ["a", "b", None],
        "category": ["dog", "cat", "car"],
        "condition": ["photographs/main/s/late/u", "photograph", "catch"],
        "file": ["1.png", "2.png", "3.png"],
        "kind": ["test", "test", "catch"],
    }
)


@pytest.fixture
def key(tmp_path):
    KEY.to_csv(tmp_path / "key.csv", index=False)
    return tmp_path / "key.csv"


def answers(folder, person, said=("dog", "dog", "car"), **changes):
    frame = pd.DataFrame(
        {
            "subj": person, "Session": 1, "trial": [1, 2, 3], "rt": [0.5, 0.7, "NaN"],
            "object_response": said, "category": "NA", "condition": "NA",
            "imagename": ["1.png", "2.png", "3.png"],
        }
    )  # fmt: skip
    path = folder / f"{person}-{len(list(folder.iterdir()))}.csv"
    frame.assign(**changes).to_csv(path, index=False, na_rep="NaN")
    return path


def test_the_key_says_what_was_shown(tmp_path, key):
    found = scoring.read([answers(tmp_path, "p")], key)
    assert found["category"].tolist() == ["dog", "cat", "car"]
    assert found["condition"].tolist() == KEY["condition"].tolist()
    assert found["rt"].tolist()[:2] == [0.5, 0.7]
    assert np.isnan(found["rt"][2])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"imagename": "9.png"}, "does not know"),
        ({"object_response": "cow"}, "cow"),
        ({"rt": "fast"}, "numbers"),
        ({"extra": 1}, "columns"),
    ],
)
def test_files_that_cannot_be_scored_are_named(tmp_path, key, changes, said):
    path = answers(tmp_path, "p", **changes)
    with pytest.raises(scoring.AnswersError, match=said) as raised:
        scoring.read([path], key)
    assert str(path) in str(raised.value)


def test_a_file_that_is_given_twice_is_refused(tmp_path, key):
    path = answers(tmp_path, "p")
    with pytest.raises(scoring.AnswersError, match="twice"):
        scoring.read([path, path], key)


def test_the_inattentive_are_left_out_and_named(tmp_path, key):
    paths = [answers(tmp_path, "p"), answers(tmp_path, "q", ("dog", "cat", "oven"))]
    kept, out = scoring.attentive(scoring.read(paths, key), 0.75)
    assert set(kept["subj"]) == {"p"}
    assert set(kept["kind"]) == {"test"}
    assert out == {"q": 0.0}


def test_interval_of_a_full_table_is_the_crossed_one():
    values = np.random.default_rng(0).random((6, 9)) < 0.4
    rows, columns = np.indices(values.shape).reshape(2, -1)
    sparse = bootstrap.sparse_share_interval(
        values.ravel(), rows, columns, np.random.default_rng(1)
    )
    full = bootstrap.crossed_share_interval(values, np.random.default_rng(1))
    assert sparse == pytest.approx(full)


def test_interval_widens_when_answers_are_of_fewer_people():
    """Twenty answers that agree within each person say less than twenty of one person each."""
    values, images = np.repeat([1, 0, 1, 0], 5), np.arange(20)
    widths = [
        np.diff(bootstrap.sparse_share_interval(values, rows, images, np.random.default_rng(1)))[0]
        for rows in (np.repeat(np.arange(4), 5), np.arange(20))
    ]
    assert widths[0] > widths[1] + 0.2


def test_interval_of_one_value_only_claims_no_certainty():
    low, high = bootstrap.sparse_share_interval(
        [1, 1, 1], [0, 1, 1], [0, 1, 2], np.random.default_rng(0)
    )
    assert (low, high) == pytest.approx(tuple(map(float, bootstrap.wilson_interval(2, 2))))
