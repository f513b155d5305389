"""Figure 4: means, intervals, directions, and what lacks."""

import re

import numpy as np
import pandas as pd
import pytest
from figure_inputs import SIZE, figure_inputs, rows_of, svg

from metamers.figures.image_metrics import image_metrics
from metamers.images.crops import crop_id


@pytest.fixture
def table():
    return figure_inputs().table("image_metrics")


def drawn_from(table):
    return image_metrics(figure_inputs(image_metrics=table))


def test_metrics_are_means_with_an_interval_around_them(table):
    drawn = rows_of(drawn_from(table), "measure").set_index(["model_set", "stage", "measure"])
    chosen = table[(table["model_set"] == "set_02") & (table["stage"] == "late")]
    values = chosen.loc[chosen["measure"] == "ssim", "value"]
    row = drawn.loc[("set_02", "late", "ssim")]
    assert row["value"] == pytest.approx(values.mean())
    # A percentile bootstrap of 20 values is within about a tenth of the normal interval.
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert (row["high"] - row["low"]) / 2 == pytest.approx(half, rel=0.15)


def test_a_value_of_a_whole_set_has_the_tables_interval(table):
    rows = rows_of(drawn_from(table), "measure")
    whole = rows[rows["measure"] == "frechet_efficientnet_lite0"]
    assert whole["value"].notna().all()
    assert (whole["low"] + 1).tolist() == pytest.approx(whole["value"].tolist())
    given = table[table["measure"] == "frechet_efficientnet_lite0"]
    assert sorted(whole["high"]) == pytest.approx(sorted(given["high"]))


def test_floor_of_a_distance_is_a_line_in_its_panel(table):
    given = table.loc[table["measure"] == "floor_efficientnet_lite0", "value"].astype(float)
    chart = drawn_from(table)
    rows = rows_of(chart, "measure")
    floors = rows.dropna(subset=["floor"])
    assert floors["measure"].tolist() == ["frechet_efficientnet_lite0"]  # once, not for each mark
    assert floors["floor"].iloc[0] == pytest.approx(given.mean())
    assert "floor_efficientnet_lite0" not in set(rows["measure"])
    assert "distance of random halves of the references" in svg(chart)


def test_intervals_of_crops_are_those_of_their_photographs(table):
    ids = table["image_id"].dropna()
    both = [table.assign(image_id=ids.map(lambda name, k=k: crop_id(name, k))) for k in range(2)]
    whole, cropped = (
        rows_of(drawn_from(frame), "measure").query("measure == 'ssim'")
        for frame in (table, pd.concat(both))
    )
    assert set(cropped["n"]) == {2 * SIZE.images}
    pd.testing.assert_frame_equal(whole[["low", "high"]], cropped[["low", "high"]])


def test_metrics_say_their_better_direction_and_why_they_lack(table):
    drawn = svg(drawn_from(table))
    assert "↑ higher is better" in drawn
    assert "↓ lower is better" in drawn
    assert "PSNR (dB)" in drawn
    assert "nearer to the reference as a picture" in drawn
    assert "small for sets of which the model is a member" in drawn
    assert "LPIPS: not computed: weights missing: alexnet-owt-7be5be79.pth." in drawn
    assert "https://" not in re.sub(r"http://www.w3.org/\S*", "", drawn)


def test_metrics_without_a_models_features_need_no_note_on_them(table):
    assert "is a member" not in svg(drawn_from(table[table["measure"] == "psnr"]))


def test_values_that_are_infinite_or_undefined_are_counted_and_left_out(table):
    psnr = table.index[table["measure"] == "psnr"]
    table.loc[psnr[0], "value"] = np.inf
    table.loc[psnr[1], ["value", "status"]] = [np.nan, "undefined: identical images"]
    chart = drawn_from(table)
    assert "PSNR: 2 of 360 values are undefined and left out." in svg(chart)
    drawn = rows_of(chart, "measure").query("measure == 'psnr'")
    assert drawn.iloc[0]["n"] == SIZE.images - 2
    assert np.isfinite(drawn["value"]).all()


def test_the_ceiling_of_a_metric_is_not_drawn(table):
    ceiling = table[table["measure"] == "ssim"].assign(measure="scc_ceiling")
    rows = rows_of(drawn_from(pd.concat([table, ceiling])), "measure")
    assert "scc_ceiling" not in set(rows["measure"])


def test_a_metric_without_a_card_is_refused(table):
    with pytest.raises(ValueError, match="'beauty'"):
        drawn_from(table.assign(measure="beauty"))
