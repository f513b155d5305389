"""Frames for figures: labels that are told apart."""

import pandas as pd
import pytest

from metamers.figures.data import pick, printed


def test_two_names_that_are_printed_alike_are_refused():
    names = pd.Series(["model_00", "model_01"])
    with pytest.raises(ValueError, match="'model_00' and 'model_01' are both printed"):
        printed(names, {"model_00": "one", "model_01": "one"})


def test_a_name_without_a_label_is_printed_as_it_is():
    assert list(printed(pd.Series(["a", "b"]), {"a": "A"})) == ["A", "b"]


def test_rows_that_are_not_there_are_refused_with_what_there_is():
    frame = pd.DataFrame({"rule": ["self", "label"]})
    with pytest.raises(ValueError, match=r"no row has .*'generator'.*\['label', 'self'\]"):
        pick(frame, rule="generator")
