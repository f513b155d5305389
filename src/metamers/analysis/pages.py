"""Pages for readers: the paper's numbers beside the run's, and its claims. They load nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import Any

import pandas as pd
from markdown_it import MarkdownIt

from metamers.storage import provenance

ABSENT = "not in this run: "
_COLUMNS = ["place", "quantity", "subject", "paper", "paper_sd", "run", "run_sd", "low", "high"]
_STYLE = (
    "body{font:15px/1.5 'Liberation Sans',Arial,sans-serif;margin:2em auto;max-width:68rem;"
    "padding:0 1em;color:#222;background:#fff}table{border-collapse:collapse;margin:1em 0}"
    "td,th{padding:.25em .7em;text-align:left;vertical-align:top}"
    "tr:nth-child(even) td{background:#f3f3f3}h2{margin-top:1.6em}code{font-size:90%}"
)


def comparison_page(compared: pd.DataFrame, config: Mapping[str, Any]) -> str:
    """Return the page of the table `paper_comparison`: the run's numbers, then what it lacks.

    Numbers that the run does not have are told together, by place and reason.
    """
    absent = compared["differs"].str.startswith(ABSENT)
    there = compared[~absent]
    title = f"The paper's numbers beside those of run {escape(config['run'])}"
    body = [
        f"<h1>{title}</h1>",
        f"<p><strong>{provenance.RANDOM_WEIGHTS}</strong></p>" if config["random_weights"] else "",
        "<p>Numbers that the paper prints, and the run's own with their 95&nbsp;% intervals.</p>",
        _table(there[_COLUMNS]) if len(there) else "<p>The run has none of them.</p>",
        *_differences(there),
        *_lacking(compared[absent]),
    ]
    return _page(title, "\n".join(body))


def claims_page(markdown: str, evaluation: str) -> str:
    """Return the page of claims.

    Parameters
    ----------
    markdown
        The same in Markdown (`metamers.analysis.claims.markdown`).
    evaluation
        ``docs/evaluation.md``, whose section on intervals stands at the end, where the page's
        link leads: a report has no file beside it.
    """
    section = re.search(r"^## Intervals\n.*?(?=^## |\Z)", evaluation, re.MULTILINE | re.DOTALL)
    if section is None:
        raise ValueError("docs/evaluation.md has no section 'Intervals', which claims refer to")
    kept = re.sub(r"\[([^]]+)\]\((?!http)[^)]*\)", r"\1", section[0])
    text = markdown.replace("[evaluation.md](evaluation.md)", "[Intervals](#intervals)")
    render = MarkdownIt("commonmark", {"html": False}).enable("table").render
    heading = render(kept).replace("<h2>", '<h2 id="intervals">', 1)
    return _page("The paper's claims on this run", render(text) + heading)


def printed(value: float) -> str:
    """Return a count in full, and another number to three places; none has the sign of zero."""
    if float(value).is_integer() and abs(value) > 1:
        return f"{value:,.0f}"
    text = f"{value:.3f}"
    return text.lstrip("-") if float(text) == 0 else text


def _differences(there: pd.DataFrame) -> list[str]:
    groups = there[there["differs"] != ""].groupby("differs", sort=False)["place"].unique()
    if groups.empty:
        return []
    items = [
        f"<li>{escape(', '.join(places))}<ul>"
        + "".join(f"<li>{escape(part)}</li>" for part in str(why).split("; "))
        + "</ul></li>"
        for why, places in groups.items()
    ]
    return ["<h2>What differs in the run</h2>", "<ul>", *items, "</ul>"]


def _lacking(absent: pd.DataFrame) -> list[str]:
    if absent.empty:
        return []
    groups = absent.groupby(["place", "quantity", "differs"], sort=False)["subject"]
    rows = [
        "<tr>"
        + "".join(f"<td>{escape(text)}</td>" for text in (*map(str, key[:2]), _subjects(list(of))))
        + f"<td>{escape(str(key[2]).removeprefix(ABSENT))}</td></tr>"
        for key, of in groups
        if isinstance(key, tuple)
    ]
    head = "<tr><th>place</th><th>quantity</th><th>of</th><th>why not</th></tr>"
    return ["<h2>Not in this run</h2>", "<table>", head, *rows, "</table>"]


def _subjects(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 4 else f"{len(names)}: {', '.join(names[:3])}, …"


def _table(rows: pd.DataFrame) -> str:
    html = rows.to_html(index=False, na_rep="–", float_format=printed, border=0)
    return str(html)


def _page(title: str, body: str) -> str:
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{title}</title><style>{_STYLE}</style></head><body>{body}</body></html>"
    )
