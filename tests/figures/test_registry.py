"""Every figure, of every size: it builds, says what it must, and refuses what it cannot draw."""

from __future__ import annotations

import dataclasses
import re
from copy import deepcopy

import altair as alt
import drawn_panels
import pandas as pd
import pytest
import synthetic_tables as synthetic
from figure_inputs import BOUNDS, SIZE, empty, figure_inputs, svg, with_pictures

from metamers.config.experiment_kinds import KINDS
from metamers.figures import registry
from metamers.figures.registry import FIGURES
from metamers.storage import provenance

SIZES = {
    "quickstart": SIZE,
    "paper": synthetic.PAPER,
    "one condition": dataclasses.replace(SIZE, sets=1, stages=("late",)),
    "many sets": dataclasses.replace(synthetic.PAPER, sets=100, stages=("middle",), images=20),
}
KIND_OF = {figure: kind for kind in KINDS for figure in KINDS[kind].figures}
OF_NO_CONDITION = {
    *("difference_in_means", "recipes", "equal_loss", "gradient_agreement", "human_alignment")
}


def fitting(figure, size):
    """Return a size that the figure's kind of experiment can have, and that is drawn quickly."""
    changes = {
        "bounds": {"sets": 1, "bounds": tuple(BOUNDS)},
        "mixed_sets": {"stages": size.stages[-1:]},
        "examples": {"sets": min(size.sets, 6)},
        "image_metrics": {"images": 5},
        "optimisation": {"images": 3},
        "losses": {"images": 3},
        "ensemble_gain": {"sets": max(size.sets, 3)},
        "gradient_agreement": {"sets": max(size.sets, 3), "images": 3},
    }
    return dataclasses.replace(size, **changes.get(figure, {}))


@pytest.fixture
def draw(tmp_path):
    def drawn(figure, size=SIZE, **changes):
        size = fitting(figure, size)
        inputs = figure_inputs(size, KIND_OF.get(figure, "model_sets"), **changes)
        if figure == "examples":
            inputs = with_pictures(inputs, tmp_path)
        if figure == "human_alignment":
            zoo = {"model_00": {"feather2023": "alexnet"}}
            inputs = figure_inputs(size, zoo=zoo)
        return FIGURES[figure](inputs)

    return drawn


def test_figure_of_random_weights_says_so():
    plan = figure_inputs().plan
    config = {**plan.config, "random_weights": True}
    trained = figure_inputs()
    random = dataclasses.replace(trained, plan=dataclasses.replace(plan, config=config))
    assert provenance.RANDOM_WEIGHTS in svg(registry.draw("similarity", random))
    assert provenance.RANDOM_WEIGHTS not in svg(registry.draw("similarity", trained))


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
@pytest.mark.parametrize("figure", FIGURES)
def test_figure_is_valid_vega_lite_of_every_size(draw, figure, size):
    specification = draw(figure, size).to_dict(validate=True)
    assert specification["$schema"].startswith("https://vega.github.io/schema/vega-lite/")


@pytest.mark.parametrize("figure", FIGURES)
def test_figure_is_drawn_with_numbers_alone_and_says_how_many_things_it_rests_on(draw, figure):
    drawn = svg(draw(figure))
    assert 'role="graphics-symbol"' in drawn
    assert not re.search(r"NaN|Infinity", re.sub(r"base64,[^\"]*", "", drawn))
    assert re.search(r"n = \d+ (images|sets)|of how many", drawn)
    assert "not metamers" not in drawn


@pytest.mark.parametrize("figure", sorted(set(FIGURES) - OF_NO_CONDITION))
def test_figure_says_what_is_no_metamer_if_a_condition_is_flagged(draw, figure):
    flagged = fitting(figure, SIZE).conditions
    assert "not metamers" in svg(draw(figure, flagged=flagged))


@pytest.mark.parametrize(
    ("figure", "kind", "why"),
    [
        ("power", "power", "Table 'power' has no rows"),
        ("difference_in_means", "mixed_sets", "Table 'difference_in_means' has no rows"),
        ("ensemble_gain", "model_sets", "No ensemble stands beside a single model"),
    ],
)
def test_a_figure_without_rows_is_an_empty_panel_that_says_why(figure, kind, why):
    drawn = svg(registry.draw(figure, figure_inputs(kind=kind, **{figure: empty(figure)})))
    assert why in drawn


def test_of_several_experiments_a_figure_names_its_own():
    inputs = figure_inputs()
    experiments = dict.fromkeys(("a", "b.2"), inputs.config["experiments"]["model_sets"])
    plan = dataclasses.replace(inputs.plan, config={**inputs.config, "experiments": experiments})
    drawn = svg(registry.draw("similarity-b.2", dataclasses.replace(inputs, plan=plan)))
    assert "Experiment b.2" in drawn


def test_a_broken_table_is_no_empty_panel():
    broken = pd.DataFrame({"stranger": [1]})
    with pytest.raises(ValueError, match="'stranger'"):
        registry.draw("power", figure_inputs(kind="power", power=broken))


def test_a_figure_that_cannot_be_drawn_keeps_no_other_from_it(tmp_path, caplog):
    inputs = figure_inputs(kind="mixed_sets", mixed_sets=pd.DataFrame({"stranger": [1]}))
    failed = registry.save_all([tmp_path / "mixed_sets", tmp_path / "difference_in_means"], inputs)
    forms = ("svg", "png", "html")
    assert set(failed) == {str(tmp_path / f"mixed_sets.{form}") for form in forms}
    assert all("'stranger'" in reason for reason in failed.values())
    assert "'stranger'" in caplog.text
    shown = re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", (tmp_path / "mixed_sets.svg").read_text()))
    assert "Not drawn" in shown
    assert "has the unknown columns ['stranger']" in shown
    assert "Effect of a model" in (tmp_path / "difference_in_means.svg").read_text()
    assert len(list(tmp_path.iterdir())) == 6


@pytest.mark.parametrize("figure", FIGURES)
def test_panels_hold_what_their_headings_say(draw, figure):
    specification = draw(figure, synthetic.PAPER).to_dict()
    for channel in drawn_panels.channels(specification):
        for heading, marks in drawn_panels.panels(deepcopy(specification), channel):
            assert marks == {heading}


def test_a_heading_over_anothers_panel_is_noticed():
    table = synthetic.recognizability(SIZE)
    rows = table[["stage", "member", "evaluator"]].to_dict("records")
    marks = alt.Chart(alt.InlineData(rows[::-1])).mark_point().encode(y="evaluator:N")
    faceted = marks.facet(row="member:N", column=alt.Column("stage:N", sort=list(SIZE.stages)))
    wrong = faceted.resolve_scale(y="independent").to_dict()
    found = list(drawn_panels.panels(wrong, "column"))
    assert {heading for heading, _ in found} == set(SIZE.stages)
    assert any(marks != {heading} for heading, marks in found)
