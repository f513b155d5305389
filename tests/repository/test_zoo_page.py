from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
import yaml
import zoo_page

from metamers.models import zoo
from metamers.preflight.flops import stage_cards

ROOT = Path(__file__).parents[2]
SPECS = list(zoo.specs(zoo.read(ROOT / "config/models.yaml")).values())
CARD = zoo_page.read_card(ROOT / "tests/golden/stages.csv")


@pytest.fixture(scope="module")
def page():
    return zoo_page.page(SPECS, CARD)


def test_docs_zoo_is_up_to_date(page):
    """If not: metamers stages --output tests/golden/stages.csv; python tools/docs/zoo_page.py."""
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
    assert f"- `resnet18`: {spec.weights.file}" not in zoo_page.page([spec], CARD)
    assert f"- `resnet18`: {spec.weights.file}" in zoo_page.page([unpinned], CARD)


def test_the_page_has_no_line_break_inside_a_table_row(page):
    lines = page.split("## Notes")[0].splitlines()
    assert all(line.endswith(" |") for line in lines if line.startswith("|"))


@pytest.mark.filterwarnings("ignore:.torch.jit.interface:FutureWarning")
def test_the_example_of_an_own_model_is_a_right_row(page):
    example = yaml.safe_load(page.split("```yaml")[1].split("```")[0])
    schema = yaml.safe_load((ROOT / "workflow/schemas/models.schema.yaml").read_text())
    jsonschema.validate(example, schema)
    spec = zoo.specs(example)["my_model"]
    (card,) = stage_cards(spec, {"early": 0.2})
    assert card.module == "layer1.1"
