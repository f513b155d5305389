"""Figures of shared invariances and of similarity at every stage."""

import io
import itertools
import re

import drawn_panels
import numpy as np
import pytest
import synthetic_tables as synthetic

from metamers.figures.cross_stage import cross_stage
from metamers.figures.shared_invariance import shared_invariance
from metamers.storage import tables

SIZE = synthetic.QUICKSTART
NAMES = {"labels": SIZE.labels, "stages": SIZE.stages}


def rows(table, **more):
    """Return a table whose shares are drawn, a row per condition, evaluator and further value."""
    generator = np.random.default_rng(0)
    found = []
    for condition, evaluator in itertools.product(SIZE.conditions, SIZE.models):
        member = evaluator in SIZE.members[condition[2]]
        for values in itertools.product(*more.values()):
            row = {name: generator.random() for name in table.schema.names}
            given = {"evaluator": evaluator, "member": member, "n_images": 20, "n_members": 1}
            row |= synthetic.key(condition) | given | dict(zip(more, values, strict=True))
            found.append(row)
    return synthetic.frame(table, found)


INVARIANCE = rows(tables.SHARED_INVARIANCE)
CROSS = rows(tables.CROSS_STAGE, judged_stage=SIZE.stages)
DRAWN = {"shared_invariance": (shared_invariance, INVARIANCE), "cross_stage": (cross_stage, CROSS)}


def svg(chart):
    buffer = io.StringIO()
    chart.save(buffer, format="svg")
    return buffer.getvalue()


def rows_of(chart):
    (found,) = [rows for rows in chart.to_dict()["datasets"].values() if len(rows) > 1]
    return found


@pytest.mark.parametrize("name", DRAWN)
def test_figure_is_drawn_and_says_its_number_of_images_and_what_is_no_metamer(name):
    draw, table = DRAWN[name]
    drawn = svg(draw(table, **NAMES))
    assert "n = 20 images" in drawn
    assert not re.search(r"NaN|Infinity", drawn)
    assert "not metamers" not in drawn
    assert "not metamers" in svg(draw(table, **NAMES, flagged=SIZE.conditions[:1]))


@pytest.mark.parametrize("name", DRAWN)
def test_panels_hold_what_their_headings_say(name):
    draw, table = DRAWN[name]
    for channel in ("row", "column"):
        found = list(drawn_panels.panels(draw(table, **NAMES).to_dict(), channel))
        assert len({heading for heading, _ in found}) > 1
        assert all(marks == {heading} for heading, marks in found)


def test_a_cell_without_a_similarity_is_left_empty():
    table = INVARIANCE.assign(stir=np.nan, inverted_cka=0.25)
    found = rows_of(shared_invariance(table, **NAMES))
    assert [row["text"] for row in found] == ["0.25"] * len(table)


def test_lines_are_means_over_the_models_of_a_group():
    one = rows_of(cross_stage(CROSS, **NAMES))[0]
    rows = CROSS[
        (CROSS["model_set"] == one["model_set"])
        & (CROSS["stage"] == one["stage"])
        & (CROSS["judged_stage"] == one["judged_stage"])
        & (CROSS["member"] == one["member"])
    ]
    assert one["mean"] == pytest.approx(rows["relative_l2"].mean())
