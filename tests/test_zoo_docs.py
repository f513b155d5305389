from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from metamers import cli_zoo, zoo, zoo_docs

ROOT = Path(__file__).parents[1]
SPECS = list(zoo.specs(zoo.read(ROOT / "config/models.yaml")).values())
CARD = zoo_docs.read_card(ROOT / "tests/golden/stages.csv")


@pytest.fixture(scope="module")
def page():
    return zoo_docs.page(SPECS, CARD)


def test_docs_zoo_is_up_to_date(page):
    """If this fails: metamers stages --output tests/golden/stages.csv; metamers zoo-docs."""
    assert (ROOT / "docs/zoo.md").read_text() == page


def test_every_model_stands_in_each_table(page):
    for spec in SPECS:
        assert page.count(f"\n| `{spec.name}` |") == 3


def test_every_note_is_told(page):
    for spec in SPECS:
        assert spec.note.strip() in page
        assert spec.weights.note.strip() in page


def test_a_missing_hash_is_told():
    spec = next(s for s in SPECS if s.name == "resnet18")
    unpinned = replace(spec, weights=replace(spec.weights, sha256_prefix=""))
    assert f"- `resnet18`: {spec.weights.file}" not in zoo_docs.page([spec], CARD)
    assert f"- `resnet18`: {spec.weights.file}" in zoo_docs.page([unpinned], CARD)


def test_the_page_has_no_line_break_inside_a_table_row(page):
    lines = page.split("## Notes")[0].splitlines()
    assert all(line.endswith(" |") for line in lines if line.startswith("|"))


def test_command_writes_the_page(page, tmp_path):
    output = tmp_path / "zoo.md"
    arguments = ["zoo-docs", "--models", str(ROOT / "config/models.yaml"), "--card",
                 str(ROOT / "tests/golden/stages.csv"), "--output", str(output)]  # fmt: skip
    assert CliRunner().invoke(cli_zoo.app, arguments).exit_code == 0
    assert output.read_text() == page
