"""The files that others read: citation, version, changelog, catalogue."""

import re
import tomllib
from pathlib import Path

import yaml

from metamers import __version__

ROOT = Path(__file__).parents[2]


def test_citation_is_whole():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors", "version", "license"} <= citation.keys()
    paper = citation["preferred-citation"]
    assert {"type", "authors", "title", "year"} <= paper.keys()
    assert [author["family-names"] for author in paper["authors"]] == [
        "Boehm", "Mueller", "Loeffler", "Schwinn", "Eskofier", "Zanca",
    ]  # fmt: skip


def test_version_is_one():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert project["version"] == citation["version"] == __version__


def test_changelog_begins_with_what_is_not_released():
    headings = re.findall(r"(?m)^## (.+)$", (ROOT / "CHANGELOG.md").read_text())
    assert headings[0] == "[Unreleased]"
    dated = r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d"
    assert all(re.fullmatch(dated, heading) for heading in headings[1:])


def test_workflow_catalogue_names_what_there_is():
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage["software-stack-deployment"]["conda"] is (ROOT / "envs/metamers.yaml").exists()
