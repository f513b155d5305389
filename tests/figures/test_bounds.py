"""Figure 6: boxes of evaluators by the size of the bound."""

import dataclasses

import numpy as np
import pytest
from figure_inputs import SIZE, figure_inputs, rows_of, svg

from metamers.figures.bounds import bounds

BOUNDS = {
    "unbounded": {"norm": "linf", "center": "initial", "radius": 10000},
    "wide": {"norm": "linf", "center": "initial", "radius": 0.3},
    "narrow": {"norm": "linf", "center": "initial", "radius": "8/255"},
}
BOUNDED = dataclasses.replace(SIZE, sets=1, bounds=tuple(BOUNDS))


def test_bounds_appear_in_the_order_of_their_radius():
    drawn = svg(bounds(figure_inputs(BOUNDED, "bounds", bounds=BOUNDS)))
    places = [drawn.index(f">{size}<") for size in ("ℓ∞ 8/255", "ℓ∞ 0.3", "ℓ∞ 10000")]
    assert places == sorted(places)
    assert "ℓ∞ 10000: wider than the range of pixels" in drawn


def test_boxes_span_the_quartiles_of_all_evaluators():
    inputs = figure_inputs(BOUNDED, "bounds", bounds=BOUNDS)
    table = inputs.table("recognizability")
    shares = table[(table["stage"] == "late") & (table["bound"] == "wide")]["recognizability"]
    rows = rows_of(bounds(inputs), "q1").query("stage == 'late' and bound == 'wide'")
    assert len(rows) == SIZE.evaluators
    assert rows.iloc[0][["q1", "q2", "q3"]].tolist() == pytest.approx(
        np.quantile(shares, [0.25, 0.5, 0.75])
    )
