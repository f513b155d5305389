"""The page ``docs/tables.md``, made from the declared tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from metamers.storage.tables import TABLES, Table

_HEADING = """# Tables

Made by `python tools/docs/tables_page.py docs/tables.md` from the declarations in
`src/metamers/table*.py`; do not edit. A test compares the two.

A run's tables are Parquet files, `results/<run>/tables/<table>.parquet`. Each file holds this
page's words about its columns (in the Arrow metadata of each column, and as JSON under the key
`metamers.dictionary` of the file), and says which version, commit and configuration made it.
They are written and read by `metamers.storage.tables` alone, which refuses unknown columns, values
that are not allowed, empty cells where there may be none, and two rows with the same key.

| with | |
|---|---|
| pandas | `pandas.read_parquet("recognizability.parquet")` |
| polars | `polars.read_parquet("recognizability.parquet")` |
| DuckDB | `duckdb -c "select * from 'recognizability.parquet'"` |
| R | `arrow::read_parquet("recognizability.parquet")` |

Tests read with the first three. R itself was not tried; its package arrow wraps the C++ library
that pandas reads with, and columns are of plain types (text, integers, floats, booleans, lists of
text).

The first five columns of most tables are the condition: which references, by which recipe, of
which model set, at which stage, within which bound. They are names of the configuration; two
tables are joined by them. `?` after a type marks a column that may be empty.
"""


def markdown(tables: Sequence[Table] = tuple(TABLES.values())) -> str:
    """Return the page: a list of the tables, then each with its columns."""
    listed = [f"- [`{table.name}`](#{table.name}): {table.description}" for table in tables]
    return "\n".join([_HEADING, *listed, "", *map(_section, tables)]).rstrip() + "\n"


def _section(table: Table) -> str:
    key = ", ".join(f"`{name}`" for name in table.key)
    rows = "\n".join(map(_row, table.schema))
    return (
        f"## {table.name}\n\n{table.description}\nA row is identified by {key}.\n\n"
        f"| column | type | meaning | unit |\n|---|---|---|---|\n{rows}\n"
    )


def _row(field: pa.Field) -> str:
    notes = {key.decode(): value.decode() for key, value in field.metadata.items()}
    allowed = " / ".join(f"`{value}`" for value in json.loads(notes.get("allowed", "[]")))
    meaning = notes["description"] + (f": {allowed}" if allowed else "")
    kind = f"{field.type}{'?' if field.nullable else ''}"
    cells = (f"`{field.name}`", kind, meaning, notes.get("unit", ""))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(markdown())
