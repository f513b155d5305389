"""The page ``docs/tables.md``, made from the declared tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from metamers.storage.columns import Table
from metamers.storage.tables import TABLES

_HEADING = """# Tables

Made by `python tools/docs/tables_page.py docs/tables.md` from the declarations in
`src/metamers/storage/`; do not edit. A test compares the two.

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
these).

The first five columns of most tables are the condition: which references, by which recipe, of
which model set, at which stage, within which bound. They are names of the configuration; two
tables are joined by them. `?` after a type marks a column that may be empty.

## Questions

In DuckDB, within `tables/`; pandas does as well. Tests run what stands here.

Which photograph transfers best: whose metamers do held-out models recognise most often?

```sql
select "references", image_id, avg(recognised::int) as share, count(*) as n
from 'recognition.parquet'
where rule = 'self' and label_space = '1000' and not member and not same_weights
group by all order by share desc, image_id
```

What does each judge answer, the five first classes, to a photograph and to its metamers?

```sql
with answers as (
    select model_set, stage, bound, image_id, evaluator,
        unnest(top5) as class, unnest(top5_probability) as probability
    from 'predictions.parquet'
    union all
    select 'reference', null, null, image_id, evaluator, unnest(top5), unnest(top5_probability)
    from 'reference_predictions.parquet'
)
select * exclude (class), name from answers join 'classes.parquet' using (class)
order by image_id, evaluator, model_set, stage, bound, probability desc
```

The same with pandas, for the metamers:

```python
import pandas

classes = pandas.read_parquet("classes.parquet")
answers = pandas.read_parquet("predictions.parquet").explode(["top5", "top5_probability"])
top = answers.merge(classes, left_on="top5", right_on="class")
```

Which models recognise the metamers of which set, and how sure is that?

```sql
select model_set, stage, evaluator, recognizability, low, high, n_images
from 'recognizability.parquet'
where experiment = 'main' and rule = 'self' and label_space = '1000'
order by model_set, stage, recognizability desc
```

## Images

`references/<draw>.safetensors` holds `pixels`, uint8 `(n, 3, side, side)`; and
`metamers/<references>/<recipe>/<model_set>/<stage>/<bound>/<shard>.safetensors`:

| array | shape | |
|---|---|---|
| `pixels` | `(n, 3, side, side)`, uint8 | what is evaluated |
| `floats` | the same, float32 in [0, 1] | before rounding to 8 bits |
| `losses_before`, `_after`, `_stored` | `(n, models)` | as in [`optimisation`](#optimisation) |
| `steps`, `evaluations` | `(n,)` | what each image took |

The header has `image_ids`, `models` and `notes` (condition, settings, bound, seed, the module of
each model that was matched, hashes of weights, engine, version, commit), as JSON. Any reader of
safetensors opens them; the library's own joins shards:

```python
from pathlib import Path

from metamers.config.finished_run import FinishedRun

run = FinishedRun.open(Path("results/quickstart"))
condition = run.conditions("*/single_squeezenet/late/*")[0]
metamers = run.metamers(condition)
ids, references = run.references(condition.references)
```

`metamers export results/quickstart` writes all of them as PNG files, named by image;
`--conditions '*/late/*'` chooses.

## The tables
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
