"""Traces of a run are thinned file by file."""

import pandas as pd
import pytest

from metamers.config.plan import Condition
from metamers.storage import raw_tables, tables, traces
from metamers.storage.columns import CONDITION_KEY


def trace(path, images, turns=300, stage="late"):
    """Write a shard's traces, with two members in turn."""
    columns = Condition("photographs", "main", "pair", stage, "unbounded").columns()
    rows = [
        columns
        | {"image_id": image, "turn": turn, "step": 10 * (turn + 1), "model": "ab"[turn % 2]}
        | {"loss": 1 / (turn + 1), "rate": 1.0}
        for image in images
        for turn in range(turns)
    ]
    tables.write(raw_tables.TRACES, rows, path)
    return str(path)


@pytest.fixture
def files(tmp_path):
    shards = [trace(tmp_path / f"{name}.parquet", [name, f"{name}2"]) for name in "xy"]
    return [*shards, trace(tmp_path / "early.parquet", ["x"], turns=40, stage="early")]


def test_each_member_keeps_so_many_turns_with_the_first_and_the_last(files):
    whole = pd.concat(traces.gathered(files), ignore_index=True)
    late = whole[whole["stage"] == "late"]
    for member, ends in {"a": (0, 298), "b": (1, 299)}.items():
        turns = set(late.loc[late["model"] == member, "turn"])
        assert 50 <= len(turns) <= 51
        assert (min(turns), max(turns)) == ends
    assert (late.groupby(["model", "turn"])["image_id"].nunique() == 4).all()


def test_short_traces_are_kept_whole(files):
    whole = pd.concat(traces.gathered(files), ignore_index=True)
    assert (whole["stage"] == "early").sum() == 40


def test_thinned_traces_are_the_declared_table(files, tmp_path):
    path = tmp_path / "whole.parquet"
    apart = (*CONDITION_KEY, "image_id")
    tables.write_parts(raw_tables.TRACES, traces.gathered(files), path, apart=apart)
    assert len(tables.read(raw_tables.TRACES, path)) == sum(map(len, traces.gathered(files)))


def test_files_are_read_when_their_turn_comes(files):
    gathered = traces.gathered([files[0], "/nowhere.parquet"])
    assert len(next(gathered))
    with pytest.raises(FileNotFoundError):
        next(gathered)
