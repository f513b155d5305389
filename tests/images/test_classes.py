import subprocess
import sys
from importlib.metadata import distribution

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metamers.images import classes

# Counted in model-vs-human's human_categories.py, by its own lists of WordNet ids.
COUNTS = {
    "airplane": 1,
    "bear": 4,
    "bicycle": 2,
    "bird": 49,
    "boat": 5,
    "bottle": 7,
    "car": 3,
    "cat": 6,
    "chair": 4,
    "clock": 3,
    "dog": 109,
    "elephant": 2,
    "keyboard": 2,
    "knife": 1,
    "oven": 1,
    "truck": 8,
}


def random_probabilities(seed, rows=50):
    logits = np.random.default_rng(seed).normal(0, 4, (rows, 1000))
    return (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)


def test_categories_have_the_published_numbers_of_classes():
    met = dict(zip(classes.CATEGORIES, classes.membership().sum(axis=1).tolist(), strict=True))
    assert met == COUNTS
    assert sum(COUNTS.values()) == 207


def test_no_class_has_two_categories():
    assert classes.membership().sum(axis=0).max() == 1


def test_wordnet_ids_are_those_of_timm_in_order():
    path = distribution("timm").locate_file("timm/data/_info/imagenet_synsets.txt")
    assert list(classes.wnids()) == path.read_text().split()


@pytest.mark.parametrize(
    ("index", "wnid", "category"),
    [
        (0, "n01440764", None),  # tench
        (8, "n01514859", "bird"),  # hen
        (134, "n02012849", None),  # crane, the bird; the published list leaves it out
        (243, "n02108422", "dog"),  # bull mastiff
        (404, "n02690373", "airplane"),  # airliner
        (517, "n03126707", None),  # crane, the machine
        (766, "n04111531", "oven"),  # rotisserie
        (999, "n15075141", None),  # toilet tissue
    ],
)
def test_classes_known_by_heart(index, wnid, category):
    assert classes.wnids()[index] == wnid
    assert classes.index_of_wnid()[wnid] == index
    assert classes.category_of(index) == category


@pytest.mark.parametrize("index", [-1, 1000])
def test_an_index_outside_is_refused(index):
    with pytest.raises(ValueError, match=rf"{index}.*0\.\.999"):
        classes.category_of(index)


def test_mean_category_equals_a_slow_loop():
    probabilities = random_probabilities(0)
    expected = []
    for row in probabilities.tolist():
        mean = {}
        for name in COUNTS:
            values = [p for i, p in enumerate(row) if classes.category_of(i) == name]
            mean[name] = sum(values) / len(values)
        expected.append(max(mean, key=mean.get))
    assert classes.mean_category(probabilities) == expected
    assert len(set(expected)) > 3


def test_first_category_equals_a_slow_loop():
    probabilities = random_probabilities(1)
    expected = []
    for row in probabilities.tolist():
        ranking = sorted(range(1000), key=lambda i: -row[i])
        expected.append(next(c for c in map(classes.category_of, ranking) if c is not None))
    assert classes.first_category(probabilities) == expected
    assert len(set(expected)) > 3


def test_the_two_rules_differ_as_their_definitions_say():
    # Worked by hand: one dog class at .6 is a mean of .6/109 = .0055, less than .01 for the
    # single class of airplane; but it is the first in order.
    probabilities = np.zeros((1, 1000))
    probabilities[0, 243], probabilities[0, 404], probabilities[0, 0] = 0.29, 0.01, 0.7
    assert classes.mean_category(probabilities) == ["airplane"]
    assert classes.first_category(probabilities) == ["dog"]


@given(st.integers(0, 206))
@settings(max_examples=40, deadline=None)
def test_a_certain_answer_is_its_own_category_by_both_rules(position):
    index = int(np.flatnonzero(classes.membership().any(axis=0))[position])
    certain = np.zeros((1, 1000))
    certain[0, index] = 1
    assert classes.mean_category(certain) == [classes.category_of(index)]
    assert classes.first_category(certain) == [classes.category_of(index)]


def test_an_answer_does_not_depend_on_the_other_rows():
    probabilities = random_probabilities(2, rows=8)
    alone = [classes.mean_category(row[np.newaxis])[0] for row in probabilities]
    assert classes.mean_category(probabilities) == alone


def test_no_rows_give_no_answers():
    assert classes.mean_category(np.zeros((0, 1000))) == []
    assert classes.first_category(np.zeros((0, 1000))) == []


@pytest.mark.parametrize("rule", [classes.mean_category, classes.first_category])
def test_strange_probabilities_are_refused(rule):
    with pytest.raises(ValueError, match=r"shape \(3, 16\); expected \(n, 1000\)"):
        rule(np.zeros((3, 16)))
    holed = np.zeros((3, 1000))
    holed[1, 5] = np.nan
    with pytest.raises(ValueError, match=r"rows \[1\]"):
        rule(holed)


def test_the_table_is_read_without_comments():
    rows = classes.read_package_table("imagenet_classes.csv")
    assert [row["index"] for row in rows] == [str(i) for i in range(1000)]


def test_importing_does_not_import_torch():
    code = "import sys, metamers.images.classes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_table_of_classes_has_names_and_categories():
    rows = classes.table()
    assert len(rows) == 1000
    assert rows[207] == {
        "class": 207, "wnid": "n02099601", "name": "golden retriever", "category": "dog"
    }  # fmt: skip
    assert rows[0]["category"] is None
