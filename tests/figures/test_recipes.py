"""Recipes of the solver side by side."""

import pandas as pd
import pytest
from figure_inputs import SIZE, figure_inputs, rows_of

from metamers.figures.recipes import recipes


def test_recipes_stand_with_the_recognition_of_both_groups_and_the_median_loss():
    by_set = figure_inputs(kind="recipes").table("recognizability_by_set")
    both = pd.concat([by_set.assign(group=group) for group in ("trained", "members")])
    inputs = figure_inputs(kind="recipes", recognizability_by_set=both)
    rows = rows_of(recipes(inputs), "measure")
    assert rows["measure"].value_counts().to_dict() == dict.fromkeys(
        ("trained", "members", "loss"), SIZE.sets * len(SIZE.stages)
    )
    table = inputs.table("optimisation")
    own = table[(table["model_set"] == "set_01") & (table["stage"] == "late")]
    shown = rows.query("measure == 'loss' and model_set == 'set_01' and stage == 'late'")
    assert shown["value"].item() == pytest.approx(own["loss_stored"].median())
