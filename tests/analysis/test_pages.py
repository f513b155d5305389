"""Pages for readers: what is there first, what is not there together, links that lead somewhere."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from fixtures import ROOT

from metamers.analysis import pages
from metamers.storage import tables

CONFIG = {"run": "a<b", "random_weights": False}


def compared(rows):
    columns = tables.TABLES["paper_comparison"].schema.names
    return pd.DataFrame([dict.fromkeys(columns) | row for row in rows], columns=columns)


def row(place, subject, differs, run=None):
    named = {"place": place, "quantity": "recognizability", "subject": subject, "differs": differs}
    return named | {"paper": 0.5, "run": run}


MODELS = [
    row("Table 4", f"model_{k}", "not in this run: it does not have the model") for k in range(30)
]
THERE = row("section 4.5", "late", "images: 20 for 400; steps: 200 for 40000", run=-0.0)


def test_numbers_of_the_run_come_first_and_what_it_lacks_in_one_row():
    page = pages.comparison_page(compared([*MODELS, THERE]), CONFIG)
    assert page.index("late") < page.index("Not in this run") < page.index("model_0")
    assert page.count("it does not have the model") == 1
    assert "30: model_0, model_1, model_2, …" in page
    assert "<li>images: 20 for 400</li><li>steps: 200 for 40000</li>" in page
    assert "a&lt;b" in page
    assert "a<b" not in page


@pytest.mark.parametrize(
    ("value", "text"), [(-0.0, "0.000"), (-0.0001, "0.000"), (-0.25, "-0.250"), (4e7, "40,000,000")]
)
def test_numbers_are_printed_without_a_negative_zero(value, text):
    assert pages.printed(value) == text


def test_the_claims_link_to_how_intervals_are_made_on_the_same_page():
    markdown = (
        "# Claims\n\nHow: [evaluation.md](evaluation.md).\n\n| a | b |\n|---|---|\n| <i> | 2 |\n"
    )
    page = pages.claims_page(markdown, (ROOT / "docs/evaluation.md").read_text())
    targets = set(re.findall(r'href="#([^"]+)"', page))
    assert targets == {"intervals"}
    assert 'id="intervals"' in page
    assert "pigeonhole bootstrap" in page
    assert "<td>&lt;i&gt;</td>" in page
    assert not re.search(r'href="(?!#|https?:)', page)


def test_claims_say_if_the_page_on_evaluation_has_no_intervals():
    with pytest.raises(ValueError, match="no section 'Intervals'"):
        pages.claims_page("", "# Evaluation")
