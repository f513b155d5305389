"""How a divergence depends on the number of images."""

import pytest
import synthetic_tables as synthetic
from figure_inputs import SIZE, figure_inputs, rows_of, svg

from metamers.figures.sample_size import power


def test_spread_is_drawn_with_its_interval_and_says_what_images_are():
    inputs = figure_inputs(kind="power")
    table, chart = inputs.table("power"), power(inputs)
    means = rows_of(chart, "sd").query("kind == 'mean'")
    assert len(means) == 3 * 3 * 3  # stages, comparisons, sizes; all between .1 and .9
    one = means.query("stage == 'late' and n_images == 80").iloc[0]
    same = table.query("stage == 'late' and n_images == 80 and comparison == @one.comparison")
    ends = same[["sd", "sd_low", "sd_high"]].mean().tolist()
    assert one[["sd", "sd_low", "sd_high"]].tolist() == pytest.approx(ends)
    assert "crops of 20 photographs and not independent" in svg(chart)
    alone = figure_inputs(kind="power", power=synthetic.power(SIZE, photographs=160))
    assert "not independent" not in svg(power(alone))
