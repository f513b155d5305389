"""Pages of figures: text from files and configurations is shown, and never run."""

import os
import shutil
import subprocess
from html.parser import HTMLParser

import altair as alt
import pytest
from figure_inputs import figure_inputs

from metamers.figures import style
from metamers.figures.differences import difference_in_means
from metamers.figures.recognizability import recognizability

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
RUN = "document.documentElement.setAttribute('data-injected','yes')"
HOSTILE = f"a</script><script>{RUN}</script><!--<script>"


class Elements(HTMLParser):
    """The elements of a page and their attributes; what stands in scripts is not parsed."""

    def __init__(self):
        super().__init__()
        self.names, self.attributes = set(), set()

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}


def page_of(tmp_path, text):
    rows = {"values": [{"name": text, "value": 1}]}
    chart = alt.Chart(rows).mark_bar().encode(x="value:Q", y="name:N", tooltip="name:N")
    return style.save(style.finish(chart, text, notes=[text], width=300), tmp_path / "figure")[2]


def dom(page):
    command = [
        *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={page}.d"),
        *("--virtual-time-budget=5000", "--dump-dom", page.as_uri()),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def test_markup_in_a_name_ends_no_script_of_the_page(tmp_path):
    hostile, plain = (page_of(tmp_path, text).read_text() for text in (HOSTILE, "a name"))
    assert hostile.count("</script>") == plain.count("</script>")


@pytest.mark.skipif(
    CHROMIUM is None and "CI" not in os.environ,  # .ci/run installs it: there it is an error
    reason="chromium is not installed: no page was opened",
)
def test_markup_in_a_name_is_drawn_and_not_run_by_a_browser(tmp_path):
    seen = dom(page_of(tmp_path, HOSTILE))
    assert 'class="marks"' in seen  # the figure was drawn, so that scripts do run
    assert 'data-injected="yes"' not in seen


def test_saving_writes_three_files_and_a_page_that_loads_nothing(tmp_path):
    paths = style.save(
        difference_in_means(figure_inputs(kind="mixed_sets")), tmp_path / "new" / "table_5"
    )
    assert [path.name for path in paths] == ["table_5.svg", "table_5.png", "table_5.html"]
    assert paths[0].read_text().startswith("<svg")
    assert paths[1].read_bytes().startswith(b"\x89PNG")
    page = Elements()
    page.feed(paths[2].read_text())
    assert "script" in page.names
    assert not {"src", "href"} & page.attributes


def test_saving_twice_gives_the_same_picture(tmp_path):
    first = style.save(recognizability(figure_inputs()), tmp_path / "a")
    second = style.save(recognizability(figure_inputs()), tmp_path / "b")
    assert first[1].read_bytes() == second[1].read_bytes()


def test_a_name_with_dots_keeps_them(tmp_path):
    paths = style.save(difference_in_means(figure_inputs(kind="mixed_sets")), tmp_path / "eps_0.3")
    assert [path.name for path in paths] == ["eps_0.3.svg", "eps_0.3.png", "eps_0.3.html"]
