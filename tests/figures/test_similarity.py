"""Figure 5: divergences in the cells of evaluators against sets."""

import dataclasses

import numpy as np
from figure_inputs import SIZE, figure_inputs, rows_of, svg

from metamers.figures.similarity import similarity


def test_conditions_that_differ_in_their_bound_are_told_apart():
    bounded = dataclasses.replace(SIZE, sets=1, bounds=("unbounded", "initial_8"))
    assert set(rows_of(similarity(figure_inputs(bounded)), "divergence")["set"]) == {
        "Single CNN · unbounded",
        "Single CNN · initial_8",
    }


def test_cells_of_members_are_dashed():
    drawn = svg(similarity(figure_inputs()))
    comparisons, stages = 3, 3
    assert drawn.count('stroke-dasharray="4,3"') == SIZE.memberships * stages * comparisons


def test_cells_give_the_divergence_and_the_ratio_of_the_medians():
    table = figure_inputs().table("similarity")
    table[["divergence", "median_ratio"]] = [0.256, 0.877]
    table.loc[0, ["divergence", "median_ratio"]] = [np.nan, np.nan]
    table.loc[1, "median_ratio"] = 1.33
    table.loc[2, "median_ratio"] = 41.3
    rows = rows_of(similarity(figure_inputs(similarity=table)), "text")
    others = len(table) - 3
    assert rows["text"].value_counts().to_dict() == {"0.26": others + 2, "–": 1}
    assert rows["ratio"].value_counts().to_dict() == {"×0.88": others, "×1.3": 1, "×41": 1, "": 1}


def test_divergences_say_what_they_are_given_in():
    assert "divergence (bits)" in svg(similarity(figure_inputs()))
    drawn = svg(similarity(figure_inputs(divergence={"base": "e"})))
    assert "divergence (nats)" in drawn
    assert "in nats (0: the same, 0.69: apart)" in drawn
