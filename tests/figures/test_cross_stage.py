"""Distances of metamers to references at every stage."""

import pytest
from figure_inputs import figure_inputs, rows_of

from metamers.figures.cross_stage import cross_stage


def test_lines_are_means_over_the_models_of_a_group():
    inputs = figure_inputs()
    table, one = inputs.table("cross_stage"), rows_of(cross_stage(inputs), "mean").iloc[0]
    same = ["model_set", "stage", "judged_stage", "member"]
    rows = table[(table[same] == one[same].to_list()).all(axis=1)]
    assert one["mean"] == pytest.approx(rows["relative_l2"].mean())
