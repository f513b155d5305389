"""What the report opens on, and the archive that holds the gallery."""

from __future__ import annotations

import base64
import json
import re
from zipfile import ZipFile

import chromium
import docutils.core
import pandas as pd
import pytest
import synthetic_tables as synthetic
from fixtures import ROOT

from metamers.cli import report
from metamers.config import validation
from metamers.config.finished_run import FinishedRun
from metamers.storage import provenance, tables

TABLES = {
    "recognizability": synthetic.recognizability,
    "recognizability_by_set": synthetic.recognizability_by_set,
    "ensemble_gain": synthetic.ensemble_gain,
}
WHY = "images: 20 for 400"


@pytest.fixture
def run(tmp_path):
    config = validation.read([], ROOT / "config/config.yaml")
    stamp = provenance.stamp(config)
    for name, of in TABLES.items():
        tables.write(
            tables.TABLES[name],
            of(synthetic.QUICKSTART),
            tmp_path / f"tables/{name}.parquet",
            stamp,
        )
    columns = tables.TABLES["paper_comparison"].schema.names
    row = dict.fromkeys(columns) | {"place": "section 4.5", "quantity": "recognizability"}
    absent = "not in this run: it has no metamers of this stage"
    whys = {"late": WHY, "early": absent}
    rows = [row | {"subject": s, "paper": 0.5, "differs": why} for s, why in whys.items()]
    frame = pd.DataFrame(rows, columns=columns)
    tables.write(
        tables.TABLES["paper_comparison"],
        frame,
        tmp_path / "tables/paper_comparison.parquet",
        stamp,
    )
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures/recognizability.png").write_bytes(b"\x89PNG" * 9000)
    return FinishedRun.open(tmp_path)


def test_the_report_opens_on_gallery_results_differences_and_provenance(run):
    found = report.sections(run)
    assert list(found) == ["Gallery", "What came out", "What differs from the paper", "Made by"]
    html = {name: html_of(text) for name, text in found.items()}
    assert 'href="gallery/index.html"' in html["Gallery"]
    address = re.search(r'src="data:image/png;base64,([^"]*)"', html["What came out"])[1]
    assert base64.b64decode(address, validate=True) == b"\x89PNG" * 9000
    assert "own members" in html["What came out"]
    assert WHY in html["What differs from the paper"]
    assert "not in this run" not in html["What differs from the paper"]
    assert "commit" in html["Made by"]


def html_of(text):
    strict = {"halt_level": 2}
    return docutils.core.publish_parts(text, writer="html", settings_overrides=strict)["body"]


PAGE = '<script>\nvar workflow_desc = "<p>a \\"word\\"</p>";\n</script>'


def test_the_archive_opens_on_them_and_holds_the_gallery_where_the_link_leads(run):
    folder = run.folder
    (folder / "gallery/data").mkdir(parents=True)
    (folder / "gallery/index.html").write_text("page")
    (folder / "gallery/data/run.js").write_text("data")
    with ZipFile(folder / "report.zip", "w") as archive:
        archive.writestr("report/report.html", PAGE)
        archive.writestr("report/data/figure.svg", "<svg/>")
    report._complete(folder / "report.zip", run)
    archive = ZipFile(folder / "report.zip")
    names = ["data/figure.svg", "gallery/data/run.js", "gallery/index.html", "report.html"]
    assert sorted(archive.namelist()) == [f"report/{name}" for name in names]
    page = archive.read("report/report.html").decode()
    assert "</script>" not in page[:-20]
    description = json.loads(page.split("var workflow_desc = ")[1].split(";\n</script>")[0])
    assert description.startswith('<p>a "word"</p><h2>Gallery</h2>')
    assert 'href="gallery/index.html"' in description


def test_a_page_of_another_snakemake_is_refused_with_the_reason():
    with pytest.raises(ValueError, match="has no description"):
        report.opened_on("<html></html>", {})


# The elements around a figure in Snakemake's report, and the classes that its style gives them.
CONTENT = (
    "<style>{style} .flex{{display:flex}} .grow{{flex-grow:1}} .items-center{{align-items:center}}"
    ".justify-center{{justify-content:center}} .h-screen{{height:100vh}} .p-3{{padding:12px}}"
    ".overflow-auto{{overflow:auto}} body{{margin:0}}</style>"
    "<div id='app'><div class='flex h-screen'><div style='flex:none;width:300px'></div>"
    "<div class='grow flex items-center justify-center h-screen overflow-auto'>"
    "<div class='p-3'><img src=\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' "
    "width='2600' height='1900'/>\"></div></div></div></div>"
)


@chromium.needed
@pytest.mark.parametrize("size", [(1400, 900), (1000, 1200)])
def test_a_large_figure_is_shown_whole(tmp_path, size):
    page = tmp_path / "page.html"
    style = (ROOT / "workflow/report/style.css").read_text()
    page.write_text("<!doctype html>" + CONTENT.format(style=style))
    with chromium.page(tmp_path, size) as browser:
        browser.open(page.as_uri())
        box = "document.querySelector('img').getBoundingClientRect()"
        sides = browser.run(f"(b => [b.x, b.y, b.right, b.bottom])({box})")
        width, height = browser.run("[innerWidth, innerHeight]")
    left, top, right, bottom = sides
    assert left >= 300
    assert top >= 0
    assert right <= width
    assert bottom <= height
    assert (right - left) / (bottom - top) == pytest.approx(2600 / 1900, rel=0.02)
    assert max((right - left) / (width - 300), (bottom - top) / height) > 0.9
