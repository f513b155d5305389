"""Model sets at equal loss."""

import numpy as np
import pytest
from figure_inputs import SIZE, figure_inputs, rows_of

from metamers.figures.data import NothingToDrawError
from metamers.figures.equal_loss import equal_loss


def test_sets_at_equal_loss_stand_with_their_intervals_and_what_they_took():
    inputs = figure_inputs(kind="equal_loss")
    table, rows = inputs.table("equal_loss"), rows_of(equal_loss(inputs), "value")
    others = len(table) - len(SIZE.stages)  # the first set has no difference from itself
    assert len(rows) == 3 * len(table) + others
    shown = rows[(rows["shown"] == SIZE.labels["set_02"]) & (rows["stage"] == "late")]
    (row,) = table.query("model_set == 'set_02' and stage == 'late'").to_dict("records")
    for names in (("recognizability", "low", "high"), ("difference", "difference_low")):
        assert row[names[0]] in set(shown["value"])
        assert row[names[1]] in set(shown["low"])


def test_sets_that_share_no_image_at_a_loss_are_nothing_to_draw():
    table = figure_inputs(kind="equal_loss").table("equal_loss").assign(recognizability=np.nan)
    with pytest.raises(NothingToDrawError, match="no image was brought"):
        equal_loss(figure_inputs(kind="equal_loss", equal_loss=table))
