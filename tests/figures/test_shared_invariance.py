"""Heatmaps of invariances that evaluators share with a set's members."""

import numpy as np
from figure_inputs import figure_inputs, rows_of

from metamers.figures.shared_invariance import shared_invariance


def test_a_cell_without_a_similarity_is_left_empty():
    table = figure_inputs().table("shared_invariance").assign(stir=np.nan, inverted_cka=0.25)
    found = rows_of(shared_invariance(figure_inputs(shared_invariance=table)), "text")
    assert list(found["text"]) == ["0.25"] * len(table)
