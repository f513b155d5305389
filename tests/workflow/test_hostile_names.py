"""Pictures whose names are markup, through a real run, into each page that it has, in a browser."""

from __future__ import annotations

import subprocess

import chromium
import pytest
import tiny_runs
import warm_workflow
from PIL import Image

pytestmark = [pytest.mark.workflow, chromium.needed]

RUN = "document.documentElement.dataset.injected=1"
FOLDER, NAMES = "a<", (
    f"script><script>{RUN}<",  # with the slash of a path, it ends a script and begins another
    f"'\"><img src=x onerror={RUN}>",
    "${alert(1)}{{7*7}}`|x|_ *b* &lt;b&gt;",
)  # fmt: skip
PAGES = ("report.html", "gallery/*.html", "claims.html", "paper_comparison.html", "figures/*.html")
OWN_WARNINGS = (
    "cdn.tailwindcss.com should not be used",
    "The input spec uses Vega-Lite v3",
    "'value': 'WARN'",
)
"""What Snakemake's report, and Vega of columns without values, warn of in any run."""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Return the folder of a finished run with its report."""
    folder = tmp_path_factory.mktemp("hostile")
    for index, name in enumerate(NAMES):
        path = folder / "pictures" / FOLDER / name / "script>.png"
        path.parent.mkdir(parents=True)
        Image.radial_gradient("L").rotate(30 * index).convert("RGB").save(path)
    config = tiny_runs.config(data={"source": "folder", "path": str(folder / "pictures")})
    run = folder / "run"
    with warm_workflow.serving(folder) as server:
        tiny_runs.run(server, run, config, tiny_runs.zoo())
    done = subprocess.run(
        [*warm_workflow.COMMAND, "--directory", run, "--configfile", run / "tiny.yaml",
         "--report-stylesheet", warm_workflow.ROOT / "workflow/report/style.css",
         "--report", run / "results/tiny/report.html"],
        cwd=warm_workflow.ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return run / "results/tiny"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium.page(tmp_path_factory.mktemp("browser")) as page:
        yield page


def test_the_names_are_in_the_run(results):
    """Else nothing is tested: one of them is in the page of examples, as text."""
    assert "onerror" in (results / "figures/examples.html").read_text()


@pytest.mark.parametrize("pages", PAGES)
def test_no_page_runs_a_name(results, browser, pages):
    found = sorted(results.glob(pages))
    assert found
    for page in found:
        browser.problems.clear()
        browser.open(page.as_uri())
        browser.wait("document.body && document.body.innerText.length > 20")
        if page.name == "report.html":
            open_each_category(browser)
        browser.run("new Promise(done => setTimeout(done, 300))")
        assert browser.run("document.documentElement.dataset.injected ?? null") is None, page
        problems = [p for p in browser.problems if not any(own in str(p) for own in OWN_WARNINGS)]
        assert problems == [], page


def open_each_category(browser):
    browser.run(
        "(async () => { for (const link of [...document.querySelectorAll('a')]) {"
        "if (/^[1-9] /.test(link.innerText.trim())) {"
        "link.click(); await new Promise(done => setTimeout(done, 100)); } } })()"
    )
