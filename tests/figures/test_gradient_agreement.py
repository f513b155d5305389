"""How far gradients of a set's members agree."""

import pytest
from figure_inputs import figure_inputs, rows_of

from metamers.figures.gradient_agreement import gradient_agreement


def test_the_line_of_a_pair_is_the_median_over_images():
    inputs = figure_inputs()
    table = inputs.table("gradient_agreement")
    rows = rows_of(gradient_agreement(inputs), "median")
    key = ["model_set", "stage", "step", "model", "other"]
    own = table[(table[key] == rows.iloc[0][key].to_list()).all(axis=1)]
    assert rows.iloc[0]["median"] == pytest.approx(own["cosine"].median())
    assert rows.iloc[0]["n_images"] == len(own)
