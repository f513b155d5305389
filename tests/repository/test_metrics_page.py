"""The committed page on metrics is what the cards say."""

import metrics_page
import pytest
from fixtures import ROOT

from metamers.evaluation.metrics.registry import MEASURES, WEIGHTS


def test_committed_page_is_up_to_date():
    said = (ROOT / "docs/metrics.md").read_text()
    command = "run: python tools/docs/metrics_page.py docs/metrics.md"
    assert said == metrics_page.markdown(), command


@pytest.mark.parametrize("name", MEASURES)
def test_card_says_all_that_is_known(name):
    card = MEASURES[name]
    (section,) = [
        part for part in metrics_page.markdown().split("\n### ") if f"\n`{name}`\n" in part
    ]
    for text in (card.label, card.definition, card.range, card.library, card.source):
        assert text in section
    if card.weights:
        assert WEIGHTS[card.weights].url in section


def test_bars_do_not_break_the_columns():
    rows = [line for line in metrics_page.markdown().splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {3}
