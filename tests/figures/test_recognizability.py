"""Figure 3: lines of evaluators, means of those held out, and people."""

import re

import pandas as pd
import pytest
from figure_inputs import SIZE, figure_inputs, rows_of, svg

from metamers.figures.data import NothingToDrawError
from metamers.figures.recognizability import recognizability


def test_lines_of_members_are_dashed_and_no_others():
    drawn = svg(recognizability(figure_inputs()))
    lines = re.findall(
        r'<path aria-label="[^"]*" role="graphics-symbol" aria-roledescription="line mark"[^>]*>',
        drawn,
    )
    assert len(lines) == SIZE.sets * SIZE.evaluators + SIZE.sets
    assert sum('stroke-dasharray="5,3"' in line for line in lines) == SIZE.memberships


def test_panels_say_how_many_images_and_held_out_models_they_rest_on():
    drawn = svg(recognizability(figure_inputs()))
    for name, members in SIZE.members.items():
        assert SIZE.labels[name] in drawn
        held_out = SIZE.evaluators - len(members)
        assert f"n = 20 images, {held_out} held-out model" in drawn


def test_flagged_means_are_opened():
    flagged = SIZE.conditions[:4]
    opened = recognizability(figure_inputs(flagged=flagged))
    rows = rows_of(opened, "kind")
    means = rows[rows["kind"].str.startswith("mean of held-out")]
    assert means["flagged"].sum() == len(flagged)
    whole = recognizability(figure_inputs())
    assert svg(opened).count('fill="white"') - svg(whole).count('fill="white"') == 4


def test_a_stage_that_a_set_lacks_leaves_its_place_empty():
    table = figure_inputs().table("recognizability")
    lacking = table[~((table["model_set"] == "set_00") & (table["stage"] == "late"))]
    inputs = figure_inputs(recognizability=lacking)
    means = inputs.table("recognizability_by_set")
    assert len(rows_of(recognizability(inputs), "kind")) == len(lacking) + len(means)


def test_chance_and_ceiling_are_dotted_as_means_over_trained_evaluators():
    assert "Dotted" not in svg(recognizability(figure_inputs()))
    rows = {"evaluator": ["model_00", "model_01", "untrained"], "label_space": "1000"}
    chance = pd.DataFrame(rows | {"chance": [0.125, 0.125, 1.0]})
    assert "references, 0.125." in svg(recognizability(figure_inputs(chance=chance)))


def test_an_experiment_that_is_not_in_the_table_is_nothing_to_draw():
    table = figure_inputs().table("recognizability").assign(experiment="other")
    with pytest.raises(NothingToDrawError, match=r"'experiment': 'model_sets'.*\['other'\]"):
        recognizability(figure_inputs(recognizability=table))
