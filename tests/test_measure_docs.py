"""The committed page on metrics is what the cards say."""

import pytest
from conftest import ROOT

from metamers import measure_docs
from metamers.measures import MEASURES, WEIGHTS


def test_committed_page_is_up_to_date():
    said = (ROOT / "docs/metrics.md").read_text()
    command = "run: python -m metamers.measure_docs docs/metrics.md"
    assert said == measure_docs.markdown(), command


@pytest.mark.parametrize("name", MEASURES)
def test_card_says_all_that_is_known(name):
    card = MEASURES[name]
    (section,) = [
        part for part in measure_docs.markdown().split("\n### ") if f"\n`{name}`\n" in part
    ]
    for text in (card.label, card.definition, card.range, card.library, card.source):
        assert text in section
    if card.weights:
        assert WEIGHTS[card.weights].url in section


def test_bars_do_not_break_the_columns():
    rows = [line for line in measure_docs.markdown().splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {3}
