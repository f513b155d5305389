"""Figure 7: mixed sets by their mean."""

import dataclasses

import pytest
from figure_inputs import SIZE, figure_inputs, rows_of

from metamers.figures.data import NothingToDrawError
from metamers.figures.mixed_sets import mixed_sets

MIXED = dataclasses.replace(SIZE, sets=11, stages=("middle",))


def test_mixed_sets_rise_and_their_histogram_counts_all():
    chart = mixed_sets(figure_inputs(MIXED, "mixed_sets"))
    rows = rows_of(chart, "place").sort_values("place")
    assert rows["mean"].is_monotonic_increasing
    assert rows_of(chart, "sets")["sets"].sum() == MIXED.sets


def test_a_mixed_set_that_only_its_members_judged_is_refused():
    judged = figure_inputs(MIXED, "mixed_sets").table("recognizability")
    judged = judged[judged["member"] | (judged["model_set"] != "set_03")]
    with pytest.raises(NothingToDrawError, match=r"judged the sets \['set_03'\]"):
        mixed_sets(figure_inputs(MIXED, "mixed_sets", recognizability=judged))
