"""Tables are written only as declared, and other readers understand them."""

import json
import weakref

import duckdb
import numpy as np
import pandas as pd
import polars
import pyarrow.parquet as pq
import pytest

from metamers.storage import recognition_tables, result_tables, tables
from metamers.storage.columns import RULES

ROW = {
    "experiment": "mixed",
    "references": "photographs",
    "recipe": "main",
    "model_set": "pair",
    "stage": "late",
    "bound": "unbounded",
    "members": ["one", "two"],
    "size": 2,
    "n_images": 20,
    "n_evaluators": 1,
    "mean": 0.5,
    "sd": None,
    "adjusted": 0.45,
    "low": 0.3,
    "high": 0.7,
}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "mixed_sets.parquet"
    rows = [ROW | {"model_set": name} for name in ("second", "first")]
    tables.write(result_tables.MIXED_SETS, rows, path, {"version": "1.2", "run": "quick"})
    return path


def test_table_reads_back_in_the_order_of_its_key(path):
    frame = tables.read(result_tables.MIXED_SETS, path)
    assert list(frame["model_set"]) == ["first", "second"]
    assert list(frame["members"][0]) == ["one", "two"]
    assert frame["sd"].isna().all()
    assert list(frame.columns) == result_tables.MIXED_SETS.schema.names


def test_file_says_what_made_it(path):
    said = tables.provenance_of(path)
    assert said["version"] == "1.2"
    assert said["table"] == "mixed_sets"
    assert "dictionary" not in said


def test_column_metadata_survive_parquet(path):
    field = pq.read_schema(path).field("mean")
    assert field.metadata[b"unit"] == b"0..1"
    assert not field.nullable


def test_dictionary_names_every_column_and_allowed_values(tmp_path):
    path = tmp_path / "recognition.parquet"
    tables.write(recognition_tables.RECOGNITION, [], path)
    said = tables.dictionary_of(path)
    assert list(said) == recognition_tables.RECOGNITION.schema.names
    assert said["rule"]["allowed"] == list(RULES)
    assert all(entry["description"] for entry in said.values())


def test_pandas_polars_and_duckdb_read_the_same(path):
    by_pandas = pd.read_parquet(path)
    by_polars = polars.read_parquet(path)
    by_duckdb = duckdb.sql(f"select * from '{path}'").fetchall()
    assert by_pandas["mean"].tolist() == by_polars["mean"].to_list() == [0.5, 0.5]
    assert by_polars["members"].to_list() == [["one", "two"]] * 2
    assert [row[3] for row in by_duckdb] == ["second", "first"]
    assert by_polars.columns == result_tables.MIXED_SETS.schema.names


def test_duckdb_reads_the_dictionary(path):
    query = f"select value from parquet_kv_metadata('{path}') where key = 'metamers.dictionary'"
    [(value,)] = duckdb.sql(query).fetchall()
    assert json.loads(value)["mean"]["unit"] == "0..1"


def test_several_files_are_read_as_one(tmp_path):
    paths = [tmp_path / f"{name}.parquet" for name in "ab"]
    for path in paths:
        tables.write(result_tables.MIXED_SETS, [ROW | {"model_set": path.stem}], path)
    assert list(tables.read(result_tables.MIXED_SETS, paths)["model_set"]) == ["a", "b"]


def test_same_key_in_two_files_is_refused(tmp_path):
    paths = [tmp_path / f"{name}.parquet" for name in "ab"]
    for path in paths:
        tables.write(result_tables.MIXED_SETS, [ROW], path)
    with pytest.raises(ValueError, match=r"1 rows of table 'mixed_sets' are given twice"):
        tables.read(result_tables.MIXED_SETS, paths)


def test_no_files_give_an_empty_table():
    frame = tables.read(result_tables.MIXED_SETS, [])
    assert frame.empty
    assert list(frame.columns) == result_tables.MIXED_SETS.schema.names


def test_categories_hold_the_same_text(tmp_path):
    paths = [tmp_path / f"{name}.parquet" for name in "ab"]
    for path in paths:
        tables.write(result_tables.MIXED_SETS, [ROW | {"model_set": path.stem}], path)
    frame = tables.read(result_tables.MIXED_SETS, paths, categories=True)
    assert isinstance(frame["model_set"].dtype, pd.CategoricalDtype)
    pd.testing.assert_frame_equal(
        frame.astype({"model_set": "str"})[["model_set", "mean"]],
        tables.read(result_tables.MIXED_SETS, paths)[["model_set", "mean"]],
    )


def test_categories_are_written_as_text(tmp_path):
    frame = pd.DataFrame([ROW]).astype({"model_set": "category"})
    tables.write(result_tables.MIXED_SETS, frame, tmp_path / "t.parquet")
    assert pq.read_schema(tmp_path / "t.parquet").field("model_set").type == "string"


def test_long_table_is_written_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "_ROWS_AT_ONCE", 2)
    rows = [ROW | {"model_set": f"{k}"} for k in range(5)]
    tables.write(result_tables.MIXED_SETS, rows, tmp_path / "t.parquet")
    assert pq.ParquetFile(tmp_path / "t.parquet").num_row_groups == 3
    assert len(tables.read(result_tables.MIXED_SETS, tmp_path / "t.parquet")) == 5


APART = ("model_set",)


def test_parts_are_written_one_at_a_time(tmp_path):
    before = []

    def parts():
        for name in "abcd":
            # the writer's own variable still holds the last one
            assert all(ref() is None for ref in before[:-1])
            frame = pd.DataFrame([ROW | {"model_set": name}])
            before.append(weakref.ref(frame))
            yield frame
            del frame

    tables.write_parts(result_tables.MIXED_SETS, parts(), tmp_path / "t.parquet", apart=APART)
    found = tables.read(result_tables.MIXED_SETS, tmp_path / "t.parquet")
    assert list(found["model_set"]) == ["a", "b", "c", "d"]
    assert tables.provenance_of(tmp_path / "t.parquet")["table"] == "mixed_sets"


def test_parts_that_share_a_key_are_refused(tmp_path):
    parts = [pd.DataFrame([ROW]), pd.DataFrame([ROW])]
    with pytest.raises(ValueError, match=r"two parts of table 'mixed_sets' have \('pair',\)"):
        tables.write_parts(result_tables.MIXED_SETS, parts, tmp_path / "t.parquet", apart=APART)


def test_no_parts_give_an_empty_table(tmp_path):
    tables.write_parts(result_tables.MIXED_SETS, [], tmp_path / "t.parquet", apart=APART)
    assert tables.read(result_tables.MIXED_SETS, tmp_path / "t.parquet").empty


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"surplus": 1}, r"does not know \['surplus'\]"),
        ({"mean": None}, r"column 'mean' of table 'mixed_sets' has 1 empty cells"),
        ({"mean": np.nan}, r"column 'mean' of table 'mixed_sets' has 1 empty cells"),
    ],
)
def test_rows_that_the_schema_forbids_are_refused(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        tables.write(result_tables.MIXED_SETS, [ROW | change], tmp_path / "t.parquet")


def test_missing_column_is_refused(tmp_path):
    rows = [{name: value for name, value in ROW.items() if name != "mean"}]
    with pytest.raises(ValueError, match=r"lacks the columns \['mean'\]"):
        tables.write(result_tables.MIXED_SETS, rows, tmp_path / "t.parquet")


def test_value_outside_the_allowed_ones_is_refused(tmp_path):
    frame = pd.DataFrame({name: ["x"] for name in result_tables.MIXED_REGRESSION.schema.names})
    with pytest.raises(ValueError, match=r"column 'regression' .* has \['x'\]; allowed are"):
        tables.write(result_tables.MIXED_REGRESSION, frame, tmp_path / "t.parquet")


def test_repeated_row_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"the first being .*'model_set': 'pair'"):
        tables.write(result_tables.MIXED_SETS, [ROW, ROW], tmp_path / "t.parquet")


def test_file_of_another_table_is_refused(path):
    with pytest.raises(ValueError, match="table 'claims' has"):
        tables.read(result_tables.CLAIMS, path)


@pytest.mark.parametrize("table", tables.TABLES.values(), ids=tables.TABLES)
def test_key_is_made_of_columns_and_every_column_is_described(table):
    assert set(table.key) <= set(table.schema.names)
    assert all(b"description" in field.metadata for field in table.schema)
