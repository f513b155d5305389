"""The committed page on tables is what the declarations say."""

from pathlib import Path

from metamers import table_docs, tables

PAGE = Path(__file__).parents[1] / "docs/tables.md"


def test_committed_page_is_up_to_date():
    said = PAGE.read_text()
    assert said == table_docs.markdown(), "run: python -m metamers.table_docs docs/tables.md"


def test_page_names_every_table_and_column():
    page = table_docs.markdown()
    for table in tables.TABLES.values():
        assert f"## {table.name}\n" in page
        assert all(f"| `{name}` |" in page for name in table.schema.names)


def test_bars_within_values_do_not_break_the_columns():
    page = table_docs.markdown([tables.SIMILARITY])
    assert r"`reference-reference \| metamer-metamer`" in page


def test_optional_column_is_marked():
    page = table_docs.markdown([tables.MIXED_SETS])
    assert "| `sd` | double? |" in page
    assert "| `mean` | double |" in page
