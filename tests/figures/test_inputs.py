"""A run's tables as figures see them: checked, and of one experiment."""

import dataclasses

import pandas as pd
import pytest
import yaml
from figure_inputs import SIZE, empty, figure_inputs
from fixtures import ROOT

from metamers.config import validation
from metamers.figures.data import NothingToDrawError
from metamers.figures.inputs import FigureInputs, Tables
from metamers.storage import raw_tables, tables

NAMES = ("recognizability", "similarity", "difference_in_means", "traces")


@pytest.mark.parametrize("name", NAMES)
def test_other_columns_are_refused_by_name(name):
    inputs = figure_inputs(**{name: pd.DataFrame({"stranger": [1]})})
    for read in (inputs.table, inputs.rows):
        with pytest.raises(ValueError, match=f"table {name!r} lacks the columns .*'stranger'"):
            read(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_table_without_rows_is_refused(name):
    inputs = figure_inputs(**{name: empty(name)})
    for read in (inputs.table, inputs.rows):
        with pytest.raises(NothingToDrawError, match="nothing to draw"):
            read(name)


def test_rows_are_those_of_the_experiment_by_its_name_or_its_conditions():
    whole = figure_inputs()
    part = figure_inputs(dataclasses.replace(SIZE, sets=2), **{n: whole.table(n) for n in NAMES})
    assert set(part.rows("similarity")["model_set"]) == {"set_00", "set_01"}
    other = dataclasses.replace(whole, experiment="other")
    with pytest.raises(NothingToDrawError):
        other.rows("recognizability")


def test_controls_are_called_so_and_come_last():
    files = [ROOT / "config" / name for name in ("paper.yaml", "paper_control.yaml")]
    config = validation.read(files, ROOT / "config/config.yaml")
    zoo = yaml.safe_load((ROOT / "config/models.yaml").read_text())
    labels = FigureInputs.read([], [], [], config, zoo).labels
    assert list(labels.items())[-1] == ("random", "Random weights (control)")
    assert labels["cnn"] == "CNN"


def test_a_table_is_read_once_and_only_if_it_is_asked_for(tmp_path):
    table = figure_inputs().table("power")
    tables.write(raw_tables.POWER, table, tmp_path / "power.parquet")
    read = Tables([tmp_path / "power.parquet", tmp_path / "never_written.parquet"])
    assert len(read) == 2
    assert read["power"] is read["power"]
    assert len(read["power"]) == len(table)
