"""The documentation site: built strictly, its tutorials executed, its references whole."""

import os
import re
import subprocess
import sys
from pathlib import Path

import diagrams
import pytest
import yaml
from site_hooks import keys

import metamers

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the site as ``make docs`` does; a warning of mkdocs or of a tutorial's code fails."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )
    assert built.returncode == 0, built.stderr[-3000:]
    return folder


def text(page):
    return re.sub(r"<[^>]+>", "", page.read_text())


def test_tutorials_were_executed(site):
    assert "held out" in text(site / "tutorials/own_photo.html")
    assert (site / "tutorials/own_photo.html").read_text().count(
        'src="data:image/jpeg;base64,/9j'
    ) == 2
    assert "torch.Size([1, 3, 64, 64])" in text(site / "tutorials/own_model.html")
    assert "lite_squeezenet   early" in text(site / "tutorials/reading_tables.html")


def test_diagrams_are_pictures_of_what_the_pages_say(site):
    sources = diagrams.sources()
    assert len(sources) == 2
    assert sorted(path.name for path in (ROOT / "docs/images/diagrams").iterdir()) == sorted(
        Path(diagrams.picture(source)).name for source in sources
    ), "old: python tools/docs/diagrams.py"
    page = (site / "architecture.html").read_text()
    for source in sources:
        shown = diagrams.picture(source).removeprefix("docs/")
        assert re.search(rf'<img alt="{diagrams.title(source)}[^"]*" src="{shown}"', page)
        assert (site / shown).exists()


def test_pages_load_nothing_from_elsewhere(site):
    loading = re.compile(r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?(https?:[^"' >]*)""")
    styles = re.compile(r"""<link\b[^>]*rel="stylesheet"[^>]*href="(https?:[^"]*)""")
    for page in site.rglob("*.html"):
        assert loading.findall(page.read_text()) + styles.findall(page.read_text()) == [], page
        assert 'class="mermaid"' not in page.read_text()


def test_every_public_name_is_in_the_reference(site):
    page = (site / "reference/python.html").read_text()
    for name, module in metamers.EXPORTS.items():
        assert f'id="{module}.{name}"' in page, name


def test_every_key_of_the_schema_is_in_the_reference(site):
    schema = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
    page = (site / "reference/schema.html").read_text().replace("&lt;", "<").replace("&gt;", ">")
    found = [key for key, _ in keys(schema, schema)]
    assert "engine.chunk_size" in found
    assert [key for key in found if f"<code>{key}</code>" not in page] == []


def test_pages_ask_no_other_host_for_fonts_or_styles(site):
    for page in site.rglob("*.html"):
        loaded = re.findall(
            r'<(?:link|script|img)[^>]+(?:href|src)="(https?:[^"]+)"', page.read_text()
        )
        assert loaded == [], page.name
