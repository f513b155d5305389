"""Losses along the way and at the end."""

import dataclasses

import pytest
from figure_inputs import SIZE, figure_inputs, rows_of

from metamers.figures.data import NothingToDrawError
from metamers.figures.losses import losses_after


def test_a_loss_of_zero_is_left_out_of_the_logarithm():
    few = dataclasses.replace(SIZE, images=3)
    table = figure_inputs(few).table("optimisation")
    table.loc[0, "loss_stored"] = 0.0
    rows = rows_of(losses_after(figure_inputs(few, optimisation=table)), "before")
    assert rows["low"].isna().sum() == 1


def test_losses_that_are_all_zero_cannot_be_drawn():
    table = figure_inputs().table("optimisation").assign(loss_stored=0.0, loss_before=0.0)
    with pytest.raises(NothingToDrawError, match="no loss is finite and above 0"):
        losses_after(figure_inputs(optimisation=table))
