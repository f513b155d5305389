"""Counts of what the suite does, and its page, docs/reliability.md."""

from __future__ import annotations

import collections
import os
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs/reliability.md"
BEGIN, END = "<!-- begin counts -->\n", "<!-- end counts -->\n"
COUNTS: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)


@pytest.fixture
def record():
    """Return the function that counts an attempt: lost, wrong, and jobs that were done twice."""

    def count(fault, *, lost, wrong, repeated):
        COUNTS[fault].update(times=1, lost=int(lost), wrong=int(wrong), repeated=repeated)

    return count


def pytest_sessionfinish():
    if "METAMERS_FAULTS" not in os.environ or not COUNTS:
        return
    lines = ["| fault | times | lost | wrong | jobs repeated |", "|---|---|---|---|---|"]
    for fault, found in sorted(COUNTS.items()):
        numbers = " | ".join(str(found[n]) for n in ("times", "lost", "wrong", "repeated"))
        lines.append(f"| {fault} | {numbers} |")
    text = PAGE.read_text()
    head, _, rest = text.partition(BEGIN)
    PAGE.write_text(head + BEGIN + "\n".join(lines) + "\n" + END + rest.partition(END)[2])
