"""What docs/tables.md says one can ask of tables and images."""

import re

import duckdb
import finished_runs
import pandas as pd
import pytest
import torch
from fixtures import ROOT

PAGE = (ROOT / "docs/tables.md").read_text()
BEST, TOP5, BY_MODEL = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
PANDAS, LOADER = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return finished_runs.write(tmp_path_factory.mktemp("run"))


@pytest.fixture
def inside(run, monkeypatch):
    monkeypatch.chdir(run / "tables")


@pytest.mark.usefixtures("inside")
def test_photographs_are_ranked_by_held_out_recognition():
    found = duckdb.sql(BEST).df()
    assert len(found) == 20
    assert found["share"].is_monotonic_decreasing
    rows = pd.read_parquet("recognition.parquet").query(
        "rule == 'self' and label_space == '1000' and not member and not same_weights"
    )
    expected = rows.groupby("image_id", observed=True)["recognised"].agg(["mean", "size"])
    found = found.set_index("image_id").loc[expected.index]
    assert found["share"].tolist() == pytest.approx(expected["mean"].tolist())
    assert found["n"].tolist() == expected["size"].tolist()


@pytest.mark.usefixtures("inside")
def test_five_answers_of_each_judge_have_names():
    found = duckdb.sql(TOP5).df()
    first = found.groupby(["image_id", "evaluator", "model_set", "stage"], dropna=False).first()
    assert len(found) == 5 * len(first) == 5 * 20 * 4 * (4 + 1)
    own = pd.read_parquet("predictions.parquet").iloc[0]
    names = pd.read_parquet("classes.parquet").set_index("class")["name"]
    key = own["image_id"], own["evaluator"], own["model_set"], own["stage"]
    assert first.loc[key, "name"] == names[own["predicted"]]
    assert first.loc[key, "probability"] == pytest.approx(own["probability"])


@pytest.mark.usefixtures("inside")
def test_pandas_and_duckdb_give_the_same_answers():
    known = {}
    exec(PANDAS, known)
    by_duckdb = duckdb.sql(TOP5).df()
    assert sorted(known["top"]["name"]) == sorted(by_duckdb.dropna(subset="stage")["name"])


@pytest.mark.usefixtures("inside")
def test_models_are_listed_with_their_intervals():
    found = duckdb.sql(BY_MODEL).df()
    assert len(found) == 4 * 4
    assert ((found["low"] <= found["recognizability"]) & found["high"].notna()).all()


def test_loader_of_images_is_as_written(run):
    known = {}
    exec(LOADER.replace("results/quickstart", str(run)), known)
    assert known["metamers"].pixels.shape == known["references"].shape
    assert known["metamers"].image_ids == known["ids"]
    assert known["metamers"].floats.dtype == torch.float32
