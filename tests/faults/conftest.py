"""What the suite runs on, and counts of what it does: its page, docs/reliability.md."""

from __future__ import annotations

import collections
import os
import time
from pathlib import Path

import faulted_runs
import pytest
import warm_workflow

PAGE = Path(__file__).parents[2] / "docs/reliability.md"
BEGIN, END = "<!-- begin counts -->\n", "<!-- end counts -->\n"
COUNTS: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
BEGUN = time.monotonic()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with warm_workflow.serving(tmp_path_factory.mktemp("server")) as ready:
        yield ready


@pytest.fixture(scope="session")
def whole(server, tmp_path_factory):
    """A run that nothing happened to."""
    return faulted_runs.undisturbed(server, tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture(scope="session")
def record():
    """Return the function that counts an attempt: lost, wrong, and jobs that were done twice."""

    def count(fault, *, lost, wrong, repeated):
        COUNTS[fault].update(times=1, lost=int(lost), wrong=int(wrong), repeated=repeated)
        write_page("and was not at its end yet")

    return count


@pytest.fixture
def faulted(server, whole, tmp_path, record):
    return faulted_runs.Faulted(server, tmp_path / "run", whole, record)


def write_page(end):
    if "METAMERS_FAULTS" not in os.environ or not COUNTS:
        return
    total = sum(COUNTS.values(), collections.Counter())
    minutes = (time.monotonic() - BEGUN) / 60
    lines = [
        f"The suite ran for {minutes:.0f} minutes {end}: {total['times']} faults, of which "
        f"{total['lost']} lost a run and {total['wrong']} changed a result.",
        "",
        "| fault | times tried | lost | wrong | jobs repeated |",
        "|---|---|---|---|---|",
    ]
    for fault, found in sorted(COUNTS.items()):
        numbers = " | ".join(str(found[n]) for n in ("times", "lost", "wrong", "repeated"))
        lines.append(f"| {fault} | {numbers} |")
    head, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(head + BEGIN + "\n".join(lines) + "\n" + END + rest.partition(END)[2])


def pytest_sessionfinish(session, exitstatus):
    failed = session.testsfailed
    write_page("to its end" if not failed else f"to its end, {failed} of its tests failed")
