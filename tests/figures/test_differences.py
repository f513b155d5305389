"""Table 5 as a chart, and what ensembles gain."""

import numpy as np
from figure_inputs import figure_inputs, svg

from metamers.figures.differences import difference_in_means, ensemble_gain


def test_models_stand_by_effect_with_a_star_where_it_is_significant():
    table = figure_inputs(kind="mixed_sets").table("difference_in_means")
    table["adjusted"] = [0.01, 0.03, -0.02, 0.02]
    table["p_adjusted"] = [1.0, 0.01, np.nan, 0.2]
    inputs = figure_inputs(kind="mixed_sets", difference_in_means=table)
    drawn = svg(difference_in_means(inputs))
    order = [
        "EfficientNet-Lite1 (14) *",
        "SqueezeNet 1.1 (16)",
        "EfficientNet-Lite0 (13)",
        "EfficientNet-Lite2 (15)",
    ]
    places = [drawn.index(f">{name}<") for name in order]
    assert places == sorted(places)


def test_an_ensemble_is_first_compared_with_its_own_members():
    drawn = svg(ensemble_gain(figure_inputs()))
    own = drawn.index(">CNN over its members alone (mean)<")
    assert own < drawn.index(">CNN over Single CNN<")
