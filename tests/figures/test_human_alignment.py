"""People beside networks: the figure of their answers, and their curve in Figure 3."""

import io
import re
from dataclasses import replace

import pandas as pd
import pytest
import synthetic_tables as synthetic

from metamers.analysis import feather2023
from metamers.analysis.human_alignment import human_alignment
from metamers.config.plan import Plan
from metamers.figures import registry
from metamers.storage import tables

STAGES = {"relu2_fake_relu": 0.4, "fc0_relu_fake_relu": 0.8}
SIZE = synthetic.Size(sets=2, evaluators=3, images=20, stages=tuple(STAGES))
PEOPLE = "people, published"


@pytest.fixture(scope="module")
def material():
    by_set = synthetic.recognizability_by_set(SIZE)
    found = {
        "human_alignment": human_alignment(0),
        "recognizability": synthetic.recognizability(SIZE),
        "recognizability_by_set": pd.concat(
            [by_set, by_set.assign(rule="label", label_space="16_mean", mean=0.123)]
        ),
        "chance": pd.DataFrame(columns=tables.CHANCE.schema.names),
        "ceiling": pd.DataFrame(columns=tables.CEILING.schema.names),
        "success": pd.DataFrame(columns=tables.SUCCESS.schema.names).astype({"are_metamers": bool}),
    }
    return registry.FigureInputs(found, [], [], plan({"feather2023": "alexnet"}), SIZE.labels)


def plan(row):
    """Return a plan whose first set is of one network with this row."""
    axes = {"recipes": ["ours"], "model_sets": list(SIZE.members), "stages": list(STAGES)}
    main = axes | {"kind": "model_sets", "references": "quick", "bounds": ["unbounded"]}
    config = {"stages": STAGES, "random_weights": False, "experiments": {"main": main}}
    config |= {"evaluators": SIZE.models, "evaluation": {"feature_networks": []}}
    config["recipes"] = {"ours": {"preset": "paper"}}
    sets = {name: tuple(members) for name, members in SIZE.members.items()}
    rows = {name: row if name == SIZE.members["set_00"][0] else {} for name in SIZE.models}
    return Plan(config, rows, sets, {})


def svg(chart):
    buffer = io.StringIO()
    chart.save(buffer, format="svg")
    return buffer.getvalue()


def test_people_of_the_same_network_and_layer_stand_beside_the_runs_sets(material):
    asked = feather2023.people().query("network == 'alexnet' and experiment == 1")
    published = asked.groupby("layer")["human"].mean()
    found = material.people.set_index("stage")["people"]
    assert set(material.people["model_set"]) == {"set_00"}
    assert found.to_dict() == pytest.approx({stage: published[stage] for stage in STAGES})


def test_figure_3_shows_people_only_where_they_saw_the_like(material):
    other = replace(material, plan=plan({}))
    assert PEOPLE in svg(registry.draw("recognizability", material))
    assert PEOPLE not in svg(registry.draw("recognizability", other))


def test_figure_of_alignment_shows_the_published_and_the_runs_own(material):
    chart = registry.draw("human_alignment", material)
    values = str(chart.to_dict(validate=True))
    assert values.count("'networks': 0.123") == len(STAGES)
    assert "n = 185 sets" in (drawn := svg(chart))
    assert not re.search(r"NaN|Infinity", drawn)
