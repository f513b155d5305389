"""People beside networks: the figure of their answers, and their curve in Figure 3."""

import dataclasses
import re

import pandas as pd
import pytest
from figure_inputs import SIZE, figure_inputs, svg

from metamers.analysis import feather2023
from metamers.figures.human_alignment import human_alignment, published_people
from metamers.figures.recognizability import recognizability

STAGES = ("relu2_fake_relu", "fc0_relu_fake_relu")
NAMED = dataclasses.replace(SIZE, sets=2, stages=STAGES)
PEOPLE = "people, published"


@pytest.fixture(scope="module")
def inputs():
    by_set = figure_inputs(NAMED).table("recognizability_by_set")
    by_label = by_set.assign(rule="label", label_space="16_mean", mean=0.123)
    both = pd.concat([by_set, by_label])
    zoo = {"model_00": {"feather2023": "alexnet"}}
    return figure_inputs(NAMED, zoo=zoo, recognizability_by_set=both)


def test_people_of_the_same_network_and_layer_stand_beside_the_runs_sets(inputs):
    asked = feather2023.people().query("network == 'alexnet' and experiment == 1")
    published = asked.groupby("layer")["human"].mean()
    people = published_people(inputs)
    assert set(people["model_set"]) == {"set_00"}
    found = people.set_index("stage")["people"].to_dict()
    assert found == pytest.approx({stage: published[stage] for stage in STAGES})


def test_figure_3_shows_people_only_where_they_saw_the_like(inputs):
    assert PEOPLE in svg(recognizability(inputs))
    assert PEOPLE not in svg(recognizability(figure_inputs(NAMED)))


def test_figure_of_alignment_shows_the_published_and_the_runs_own(inputs):
    chart = human_alignment(inputs)
    values = str(chart.to_dict(validate=True))
    assert values.count("'networks': 0.123") == len(STAGES)
    assert "n = 185 sets" in (drawn := svg(chart))
    assert not re.search(r"NaN|Infinity", drawn)
