"""Values that mean the same have one spelling."""

import json

import pytest
import yaml
from fixtures import ROOT

from metamers.config.canonical import canonical
from metamers.synthesis.settings import Bound, parse_radius


def dumped(text):
    return json.dumps(canonical(yaml.safe_load(text)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{a: 1, b: {c: 2, d: [1]}}", "{b: {d: [1], c: 2}, a: 1}"),
        ("{radius: 10000}", "{radius: 10000.0}"),
        ("{radius: 8/255}", "{radius: 16/510}"),
        ("{radius: 8/255}", "{radius: 0.03137254901960784}"),
        ("{radius: 2/1}", "{radius: 2}"),
        ("{start: 4.0e+4}", "{start: 40000}"),
        ("{center: -0.0}", "{center: 0}"),
    ],
)
def test_equal_meaning_has_one_spelling(one, other):
    assert dumped(one) == dumped(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{a: true}", "{a: 1}"),
        ("{a: '1'}", "{a: 1}"),
        ("{a: [1, 2]}", "{a: [2, 1]}"),
        ("{path: 8/255}", "{path: 0.03137254901960784}"),
        ("{rename: {a: b, c: d}}", "{rename: {c: d, a: b}}"),
    ],
)
def test_another_meaning_has_another_spelling(one, other):
    assert dumped(one) != dumped(other)


def test_tuples_are_lists():
    assert canonical({"a": (1, 2.0)}) == {"a": [1, 2]}


def test_canonical_form_is_its_own():
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    assert json.dumps(canonical(canonical(config))) == json.dumps(canonical(config))


def test_canonical_bounds_are_the_same_balls():
    bounds = yaml.safe_load((ROOT / "config/config.yaml").read_text())["bounds"]
    assert all(Bound.of(canonical(row)) == Bound.of(row) for row in bounds.values())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [-float("inf")]])
def test_numbers_that_are_not_finite_are_refused(value):
    with pytest.raises(ValueError, match="not a finite number"):
        canonical({"a": value})


@pytest.mark.parametrize("text", ["1/0", "8:255", "", "1" + "0" * 400 + "/1", "-1/2", "8/255\n"])
def test_radii_that_are_no_numbers_are_refused(text):
    with pytest.raises(ValueError, match=r"not a fraction|not a finite number"):
        parse_radius(text)


def test_what_is_no_plain_data_is_refused():
    with pytest.raises(TypeError, match="plain data"):
        canonical({"a": {1, 2}})
