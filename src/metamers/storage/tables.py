"""The tables that pass between steps, and the only code that reads or writes them.

Every column carries its meaning, unit and allowed values as field metadata, which Parquet
keeps. A file also says which version, commit and configuration made it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from metamers import seals
from metamers.storage import (
    baseline_tables,
    raw_tables,
    recognition_tables,
    result_tables,
    similarity_tables,
)
from metamers.storage.columns import Table

_DECLARED = (raw_tables, similarity_tables, baseline_tables, recognition_tables, result_tables)
TABLES = {
    table.name: table
    for module in _DECLARED
    for table in vars(module).values()
    if isinstance(table, Table)
}
_ROWS_AT_ONCE = 1_000_000


def write(
    table: Table,
    rows: pd.DataFrame | Iterable[Mapping[str, Any]],
    path: str | Path,
    provenance: Mapping[str, str] | None = None,
) -> None:
    """Write a table, refusing rows that its declaration does not allow.

    Parameters
    ----------
    table
        The declaration.
    rows
        A data frame, or one mapping per row; columns in any order.
    path
        The Parquet file.
    provenance
        What made it (`metamers.storage.provenance.stamp`), kept in the file's metadata.

    Raises
    ------
    ValueError
        If a column is missing or unknown, a value is null where it may not be or is outside
        the allowed ones, or two rows have the same key.
    """
    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
    write_parts(table, [frame], path, apart=(), provenance=provenance)


def write_parts(
    table: Table,
    parts: Iterable[pd.DataFrame],
    path: str | Path,
    *,
    apart: Sequence[str],
    provenance: Mapping[str, str] | None = None,
) -> None:
    """Write a table that comes in parts, of which one is in memory at a time.

    Parameters
    ----------
    table, path, provenance
        As for `write`.
    parts
        Data frames.
    apart
        Columns, of the table's key, in whose values any two parts differ.

    Raises
    ------
    ValueError
        As for `write`, or if two parts share their values of ``apart``.
    """
    notes = _notes(table) | dict(provenance or {})
    schema = table.schema.with_metadata({f"metamers.{k}": v for k, v in notes.items()})
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    met: set[tuple[Any, ...]] = set()
    with pq.ParquetWriter(path, schema) as writer:
        for given in parts:
            frame = given.reindex(columns=schema.names) if given.empty else given
            _refuse(table, frame, path)
            own = set(frame[list(apart)].drop_duplicates().itertuples(index=False, name=None))
            if apart and own & met:
                raise ValueError(f"{path}: two parts of table {table.name!r} have {min(own & met)}")
            met |= own
            _append(writer, frame[schema.names], schema)
        own_notes = seals.notes_for(path)
        writer.add_key_value_metadata({f"metamers.{k}": v for k, v in own_notes.items()})
    seals.seal(path)


def _append(writer: pq.ParquetWriter, frame: pd.DataFrame, schema: pa.Schema) -> None:
    for start in range(0, max(len(frame), 1), _ROWS_AT_ONCE):
        part = frame.iloc[start : start + _ROWS_AT_ONCE]
        writer.write_table(
            pa.Table.from_pandas(part, schema=schema, preserve_index=False, safe=False)
        )


def read(
    table: Table, paths: str | Path | Iterable[str | Path], *, categories: bool = False
) -> pd.DataFrame:
    """Read one or more files of a table, in the order of its key.

    Parameters
    ----------
    table
        The declaration.
    paths
        The Parquet files.
    categories
        Whether text comes as pandas categories, which millions of rows need.

    Raises
    ------
    ValueError
        If a file's columns are not the table's, or two files give the same key.
    """
    files = [paths] if isinstance(paths, str | Path) else list(paths)
    text = [field.name for field in table.schema if pa.types.is_string(field.type)]
    parts = [pq.read_table(path, read_dictionary=text if categories else None) for path in files]
    for path, part in zip(files, parts, strict=True):
        if part.schema.names != table.schema.names:
            raise ValueError(
                f"{path}: columns are {part.schema.names}; table {table.name!r} has "
                f"{table.schema.names}"
            )
    arrow = pa.concat_tables(parts).unify_dictionaries() if parts else table.schema.empty_table()
    frame: pd.DataFrame = arrow.to_pandas(types_mapper=_as_arrow)
    _refuse_repeats(table, frame, ", ".join(map(str, files)))
    return frame.sort_values(list(table.key), kind="stable", ignore_index=True)


def matching(frame: pd.DataFrame, **wanted: str | bool) -> pd.DataFrame:
    """Return the rows that have the wanted value in each named column, if any."""
    chosen = pd.Series(True, index=frame.index)
    for name, value in wanted.items():
        chosen &= frame[name] == value
    return frame[chosen].copy()


def _as_arrow(kind: pa.DataType) -> pd.ArrowDtype | None:
    """Return Arrow's own type for lists of numbers: an object for each row would fill memory."""
    numbers = pa.types.is_list(kind) and not pa.types.is_string(kind.value_type)
    return pd.ArrowDtype(kind) if numbers else None


def provenance_of(path: str | Path) -> dict[str, str]:
    """Return what a file says of its making: version, commit, configuration, preset."""
    metadata = pq.read_schema(path).metadata or {}
    return {
        key.decode().removeprefix("metamers."): value.decode()
        for key, value in metadata.items()
        if key.startswith(b"metamers.") and key != b"metamers.dictionary"
    }


def dictionary_of(path: str | Path) -> dict[str, dict[str, Any]]:
    """Return what a file says of its columns: type, description, unit, allowed values.

    The same stands in each column's Arrow metadata, and as JSON under the file's key
    ``metamers.dictionary``, where readers without Arrow find it.
    """
    metadata = pq.read_schema(path).metadata or {}
    found: dict[str, dict[str, Any]] = json.loads(metadata[b"metamers.dictionary"])
    return found


def _notes(table: Table) -> dict[str, str]:
    return {
        "table": table.name,
        "description": table.description,
        "dictionary": json.dumps({field.name: _meaning(field) for field in table.schema}),
    }


def _meaning(field: pa.Field) -> dict[str, Any]:
    notes = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
    return {
        "type": str(field.type),
        "nullable": field.nullable,
        "description": notes["description"],
        "unit": notes.get("unit", ""),
        "allowed": json.loads(notes.get("allowed", "[]")),
    }


def _refuse(table: Table, frame: pd.DataFrame, path: str | Path) -> None:
    wanted, met = set(table.schema.names), set(frame.columns)
    if wanted != met:
        raise ValueError(
            f"{path}: table {table.name!r} lacks the columns {sorted(wanted - met)} "
            f"and does not know {sorted(met - wanted)}"
        )
    for field in table.schema:
        values = frame[field.name]
        if not field.nullable and values.isna().any():
            raise ValueError(
                f"{path}: column {field.name!r} of table {table.name!r} has "
                f"{values.isna().sum()} empty cells, which its schema does not allow"
            )
        allowed = _meaning(field)["allowed"]
        strange = set(values.dropna().unique()) - set(allowed) if allowed else set()
        if strange:
            raise ValueError(
                f"{path}: column {field.name!r} of table {table.name!r} has {sorted(strange)}; "
                f"allowed are {allowed}"
            )
    _refuse_repeats(table, frame, path)


def _refuse_repeats(table: Table, frame: pd.DataFrame, path: str | Path) -> None:
    repeated = frame.duplicated(list(table.key))
    if repeated.any():
        first = frame.loc[repeated, list(table.key)].iloc[0].to_dict()
        raise ValueError(
            f"{path}: {repeated.sum()} rows of table {table.name!r} are given twice, "
            f"the first being {first}"
        )
