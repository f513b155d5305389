"""Every figure, of every size: it builds, says what it must, and refuses what it cannot draw."""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Callable
from copy import deepcopy
from html.parser import HTMLParser

import altair as alt
import drawn_panels
import pandas as pd
import pytest
import synthetic_tables as synthetic

from metamers.config.plan import Plan
from metamers.figures import registry, style
from metamers.figures.bounds import bounds as draw_bounds
from metamers.figures.differences import difference_in_means as draw_difference_in_means
from metamers.figures.differences import ensemble_gain as draw_ensemble_gain
from metamers.figures.equal_loss import equal_loss as draw_equal_loss
from metamers.figures.examples import examples as draw_examples
from metamers.figures.gradient_agreement import gradient_agreement as draw_gradient_agreement
from metamers.figures.image_metrics import image_metrics as draw_image_metrics
from metamers.figures.losses import loss_traces as draw_loss_traces
from metamers.figures.losses import losses_after as draw_losses_after
from metamers.figures.mixed_sets import mixed_sets as draw_mixed_sets
from metamers.figures.recognizability import recognizability as draw_recognizability
from metamers.figures.sample_size import power as draw_power
from metamers.figures.similarity import similarity as draw_similarity
from metamers.figures.transfer import transfer as draw_transfer
from metamers.storage import provenance, tables

STAGES = ("early", "middle", "late")
BOUNDS = {
    "unbounded": {"norm": "linf", "center": "initial", "radius": 10000},
    "initial_8": {"norm": "linf", "center": "initial", "radius": "8/255"},
    "reference_8": {"norm": "linf", "center": "reference", "radius": "8/255"},
}
QUICKSTART = synthetic.QUICKSTART
SIZES = {
    "quickstart": QUICKSTART,
    "paper": synthetic.PAPER,
    "one condition": dataclasses.replace(QUICKSTART, sets=1, stages=("late",)),
    "many sets": dataclasses.replace(synthetic.PAPER, sets=100, stages=("middle",), images=20),
}


def recognizability(size, flagged=()):
    return draw_recognizability(
        synthetic.recognizability(size),
        synthetic.recognizability_by_set(size),
        experiment="main",
        labels=size.labels,
        stages=STAGES,
        flagged=flagged,
    )


def examples(size, flagged=()):
    few = dataclasses.replace(size, sets=min(size.sets, 6))
    return draw_examples(
        *synthetic.pictures(few, side=8),
        labels=size.labels,
        stages=STAGES,
        recognition=synthetic.recognition(few),
        flagged=flagged,
    )


def image_metrics(size, flagged=()):
    few = dataclasses.replace(size, images=5)
    return draw_image_metrics(
        synthetic.image_metrics(few), labels=size.labels, stages=STAGES, flagged=flagged
    )


def similarity(size, flagged=()):
    return draw_similarity(
        synthetic.similarity(size), labels=size.labels, stages=STAGES, flagged=flagged
    )


def bounds(size, flagged=()):
    bounded = dataclasses.replace(size, sets=1, bounds=tuple(BOUNDS))
    return draw_bounds(
        synthetic.recognizability(bounded, "bounds"),
        BOUNDS,
        experiment="bounds",
        labels=size.labels,
        stages=STAGES,
        flagged=flagged,
    )


def mixed_sets(size, flagged=()):
    mixed = dataclasses.replace(size, stages=size.stages[-1:])
    return draw_mixed_sets(
        synthetic.mixed_sets(mixed),
        synthetic.recognizability(mixed, "mixed"),
        experiment="mixed",
        labels=size.labels,
        flagged=flagged,
    )


def loss_traces(size, flagged=()):
    return draw_loss_traces(
        synthetic.traces(dataclasses.replace(size, images=3), turns=12),
        labels=size.labels,
        stages=STAGES,
        flagged=flagged,
    )


def losses_after(size, flagged=()):
    return draw_losses_after(
        synthetic.optimisation(dataclasses.replace(size, images=3)),
        labels=size.labels,
        stages=STAGES,
        flagged=flagged,
    )


def ensemble_gain(size, flagged=()):
    ensembles = dataclasses.replace(size, sets=max(size.sets, 3))
    return draw_ensemble_gain(
        synthetic.ensemble_gain(ensembles),
        experiment="main",
        labels=ensembles.labels,
        stages=STAGES,
        flagged=flagged,
    )


def power(size, flagged=()):
    return draw_power(synthetic.power(size), stages=STAGES, flagged=flagged)


def transfer(size, flagged=()):
    return draw_transfer(
        synthetic.recognizability(size),
        experiment="main",
        labels=size.labels,
        stages=STAGES,
        families={"model_00": "cnn", "model_01": "transformer"},
        flagged=flagged,
    )


def difference_in_means(size, flagged=()):
    return draw_difference_in_means(synthetic.difference_in_means(size), labels=size.labels)


def gradient_agreement(size, flagged=()):
    ensembles = dataclasses.replace(size, sets=max(size.sets, 3), images=3)
    return draw_gradient_agreement(
        synthetic.gradient_agreement(ensembles),
        labels=ensembles.labels,
        stages=STAGES,
        order=["main"],
    )


def equal_loss(size, flagged=()):
    return draw_equal_loss(
        synthetic.equal_loss(size),
        experiment="main",
        labels=size.labels,
        stages=STAGES,
        order=list(size.members),
    )


CONDITIONS: dict[str, Callable] = {
    "recognizability": recognizability,
    "examples": examples,
    "image_metrics": image_metrics,
    "similarity": similarity,
    "transfer": transfer,
    "bounds": bounds,
    "mixed_sets": mixed_sets,
    "loss_traces": loss_traces,
    "losses_after": losses_after,
    "ensemble_gain": ensemble_gain,
    "power": power,
}
ALL = CONDITIONS | {
    "difference_in_means": difference_in_means,
    "equal_loss": equal_loss,
    "gradient_agreement": gradient_agreement,
}


class Elements(HTMLParser):
    """The elements of a page and their attributes; what stands in scripts is not parsed."""

    def __init__(self):
        super().__init__()
        self.names, self.attributes = set(), set()

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}


def svg(chart):
    buffer = io.StringIO()
    chart.save(buffer, format="svg")
    return buffer.getvalue()


def test_figure_of_random_weights_says_so():
    whole = similarity(QUICKSTART)
    drawn = svg(style.headed(whole, provenance.RANDOM_WEIGHTS, style.MEMBER))
    assert provenance.RANDOM_WEIGHTS in drawn
    assert provenance.RANDOM_WEIGHTS not in svg(whole)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
@pytest.mark.parametrize("figure", ALL.values(), ids=ALL.keys())
def test_figure_is_valid_vega_lite_of_every_size(figure, size):
    specification = figure(size).to_dict(validate=True)
    assert specification["$schema"].startswith("https://vega.github.io/schema/vega-lite/")


@pytest.mark.parametrize("figure", ALL.values(), ids=ALL.keys())
def test_figure_is_drawn_without_a_value_that_is_not_a_number(figure):
    drawn = svg(figure(QUICKSTART))
    assert 'role="graphics-symbol"' in drawn
    assert not re.search(r"NaN|Infinity", re.sub(r"base64,[^\"]*", "", drawn))


@pytest.mark.parametrize("figure", ALL.values(), ids=ALL.keys())
def test_figure_says_how_many_images_sets_or_models_it_rests_on(figure):
    assert re.search(r"n = \d+ (images|sets)|of how many", svg(figure(QUICKSTART)))


@pytest.mark.parametrize("figure", CONDITIONS.values(), ids=CONDITIONS.keys())
def test_figure_says_what_is_no_metamer_if_a_condition_is_flagged(figure):
    bounded = dataclasses.replace(QUICKSTART, bounds=tuple(BOUNDS)).conditions
    flagged = [*QUICKSTART.conditions, *bounded]
    assert "not metamers" in svg(figure(QUICKSTART, flagged))
    assert "not metamers" not in str(figure(QUICKSTART).to_dict())


NAMES = {"labels": {}}
STAGED = NAMES | {"stages": STAGES}
DRAWN_FROM = {
    "recognizability": lambda t: draw_recognizability(t, t, experiment="main", **STAGED),
    "image_metrics": lambda t: draw_image_metrics(t, **STAGED),
    "similarity": lambda t: draw_similarity(t, **STAGED),
    "mixed_sets": lambda t: draw_mixed_sets(t, t, experiment="mixed", **NAMES),
    "difference_in_means": lambda t: draw_difference_in_means(t, **NAMES),
    "ensemble_gain": lambda t: draw_ensemble_gain(t, experiment="main", **STAGED),
    "traces": lambda t: draw_loss_traces(t, **STAGED),
    "optimisation": lambda t: draw_losses_after(t, **STAGED),
}


@pytest.mark.parametrize("table", DRAWN_FROM)
def test_other_columns_are_refused_by_name(table):
    with pytest.raises(ValueError, match=f"table {table!r} lacks the columns .*'stranger'"):
        DRAWN_FROM[table](pd.DataFrame({"stranger": [1]}))


@pytest.mark.parametrize("table", DRAWN_FROM)
def test_a_table_without_rows_is_refused(table):
    empty = tables.TABLES[table].schema.empty_table().to_pandas()
    with pytest.raises(ValueError, match="nothing to draw"):
        DRAWN_FROM[table](empty)


def test_an_experiment_that_is_not_in_the_table_is_refused():
    with pytest.raises(ValueError, match=r"'experiment': 'mian'.*\['main'\]"):
        draw_recognizability(
            synthetic.recognizability(QUICKSTART),
            synthetic.recognizability_by_set(QUICKSTART),
            experiment="mian",
            labels={},
            stages=STAGES,
        )


def inputs_of(table, frame):
    return registry.FigureInputs({table: frame, "success": SUCCEEDED}, [], [], EMPTY, {})


AXES = {"recipes": [], "model_sets": [], "stages": [], "bounds": []}
EXPERIMENTS = {"power": "power", "mixed": "mixed_sets", "main": "model_sets", "b.2": "model_sets"}
EMPTY = Plan(
    {
        "random_weights": False,
        "stages": {},
        "recipes": {},
        "evaluation": {},
        "experiments": {name: AXES | {"kind": kind} for name, kind in EXPERIMENTS.items()},
    },
    *({}, {}, {}),
)
SUCCEEDED = tables.SUCCESS.schema.empty_table().to_pandas().astype({"are_metamers": bool})


@pytest.mark.parametrize(
    ("figure", "why"),
    [
        ("power", "Table 'power' has no rows"),
        ("difference_in_means", "Table 'difference_in_means' has no rows"),
        ("ensemble_gain-b.2", "No ensemble stands beside a single model"),
    ],
)
def test_a_figure_without_rows_is_an_empty_panel_that_says_why(figure, why):
    table = figure.partition("-")[0]
    empty = tables.TABLES[table].schema.empty_table().to_pandas()
    drawn = svg(registry.draw(figure, inputs_of(table, empty)))
    assert why in drawn
    assert ("Experiment b.2" in drawn) == (figure != table)


def test_a_broken_table_is_no_empty_panel():
    broken = pd.DataFrame({"stranger": [1]})
    with pytest.raises(ValueError, match="'stranger'"):
        registry.draw("power", inputs_of("power", broken))


def test_a_figure_that_cannot_be_drawn_keeps_no_other_from_it(tmp_path, caplog):
    inputs = registry.FigureInputs(
        {
            "power": pd.DataFrame({"stranger": [1]}),
            "difference_in_means": synthetic.difference_in_means(QUICKSTART),
            "success": SUCCEEDED,
        },
        *([], [], EMPTY, {}),
    )
    failed = registry.save_all([tmp_path / "power", tmp_path / "difference_in_means"], inputs)
    assert set(failed) == {str(tmp_path / f"power.{form}") for form in ("svg", "png", "html")}
    assert all("'stranger'" in reason for reason in failed.values())
    assert "'stranger'" in caplog.text
    shown = re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", (tmp_path / "power.svg").read_text()))
    assert "Not drawn" in shown
    assert "has the unknown columns ['stranger']" in shown
    assert "Effect of a model" in (tmp_path / "difference_in_means.svg").read_text()
    assert len(list(tmp_path.iterdir())) == 6


@pytest.mark.parametrize("figure", ALL.values(), ids=ALL.keys())
def test_panels_hold_what_their_headings_say(figure):
    specification = figure(synthetic.PAPER).to_dict()
    for channel in drawn_panels.channels(specification):
        for heading, marks in drawn_panels.panels(deepcopy(specification), channel):
            assert marks == {heading}


def test_a_heading_over_anothers_panel_is_noticed():
    table = synthetic.recognizability(QUICKSTART)
    rows = table[["stage", "member", "evaluator"]].to_dict("records")
    marks = alt.Chart(alt.InlineData(rows[::-1])).mark_point().encode(y="evaluator:N")
    faceted = marks.facet(row="member:N", column=alt.Column("stage:N", sort=list(STAGES)))
    wrong = faceted.resolve_scale(y="independent").to_dict()
    found = list(drawn_panels.panels(wrong, "column"))
    assert {heading for heading, _ in found} == set(STAGES)
    assert any(marks != {heading} for heading, marks in found)


def test_saving_writes_three_files_and_a_page_that_loads_nothing(tmp_path):
    paths = style.save(difference_in_means(QUICKSTART), tmp_path / "new" / "table_5")
    assert [path.name for path in paths] == ["table_5.svg", "table_5.png", "table_5.html"]
    assert paths[0].read_text().startswith("<svg")
    assert paths[1].read_bytes().startswith(b"\x89PNG")
    page = Elements()
    page.feed(paths[2].read_text())
    assert "script" in page.names
    assert not {"src", "href"} & page.attributes


def test_saving_twice_gives_the_same_picture(tmp_path):
    first = style.save(recognizability(QUICKSTART), tmp_path / "a")
    second = style.save(recognizability(QUICKSTART), tmp_path / "b")
    assert first[1].read_bytes() == second[1].read_bytes()


def test_a_name_with_dots_keeps_them(tmp_path):
    paths = style.save(difference_in_means(QUICKSTART), tmp_path / "eps_0.3")
    assert [path.name for path in paths] == ["eps_0.3.svg", "eps_0.3.png", "eps_0.3.html"]
