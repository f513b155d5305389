"""The committed page on tables is what the declarations say."""

from pathlib import Path

import tables_page

from metamers.storage import raw_tables, result_tables, tables

PAGE = Path(__file__).parents[2] / "docs/tables.md"


def test_committed_page_is_up_to_date():
    said = PAGE.read_text()
    assert said == tables_page.markdown(), "run: python tools/docs/tables_page.py docs/tables.md"


def test_page_names_every_table_and_column():
    page = tables_page.markdown()
    for table in tables.TABLES.values():
        assert f"## {table.name}\n" in page
        assert all(f"| `{name}` |" in page for name in table.schema.names)


def test_bars_within_values_do_not_break_the_columns():
    page = tables_page.markdown([raw_tables.SIMILARITY])
    assert r"`reference-reference \| metamer-metamer`" in page


def test_optional_column_is_marked():
    page = tables_page.markdown([result_tables.MIXED_SETS])
    assert "| `sd` | double? |" in page
    assert "| `mean` | double |" in page
