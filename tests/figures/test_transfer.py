"""Who recognises whose metamers, by family."""

import pytest
from figure_inputs import SIZE, figure_inputs, rows_of

from metamers.figures.transfer import MEAN, transfer


def test_transfer_has_the_mean_of_each_family():
    inputs = figure_inputs()
    table = inputs.table("recognizability")
    rows = rows_of(transfer(inputs), "family")
    row = rows[rows["shown"] == MEAN].iloc[0]
    families = table["evaluator"].map(lambda name: inputs.plan.zoo[name]["family"])
    held_out = table[
        (table["model_set"] == row["model_set"])
        & (table["stage"] == row["stage"])
        & ~table["member"]
        & (families == row["family"])
    ]
    assert row["recognizability"] == pytest.approx(held_out["recognizability"].mean())


def test_panels_of_transfer_have_the_stage_of_their_heading():
    drawn = transfer(figure_inputs()).to_dict()
    datasets = drawn["datasets"]
    panels = drawn["vconcat"][0]["vconcat"][0]["hconcat"]
    stages = [{row["stage"] for row in datasets[panel["data"]["name"]]} for panel in panels]
    assert stages == [{panel["title"]["text"]} for panel in panels]
    assert [panel["title"]["text"] for panel in panels] == list(SIZE.stages)
