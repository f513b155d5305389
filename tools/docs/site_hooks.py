"""Hooks of `mkdocs.yml`: pages from outside `docs/`, the configuration's keys, diagrams."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import diagrams
import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "workflow/schemas/config.schema.yaml"
# Pages of the repository that lie outside docs/, and their places in the site.
OUTSIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "config/README.md": "configuration.md",
}
SOURCES = {place: source for source, place in OUTSIDE.items()}
HEAD = """# Keys of the configuration

Generated from `workflow/schemas/config.schema.yaml`, which every run is checked against. What the
keys mean for a run, and their defaults, is told in [Configuration](../configuration.md).

| key | allowed | meaning |
|---|---|---|
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside, and the reference of the configuration."""
    for source, place in OUTSIDE.items():
        files.append(File.generated(config, place, content=(ROOT / source).read_text()))
    schema = yaml.safe_load(SCHEMA.read_text())
    files.append(File.generated(config, "reference/schema.md", content=schema_page(schema)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to where the pages are in the site, and show diagrams as pictures.

    Links to files that are in no site are taken away.
    """
    place = page.file.src_uri
    source = SOURCES.get(place, f"docs/{place}")

    def relink(match: re.Match[str]) -> str:
        image, text, target = match.groups()
        path, mark, anchor = target.partition("#")
        if not path or re.match(r"[a-z]+:", target):
            return match.group()
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        there = OUTSIDE.get(path, path.removeprefix("docs/") if path.startswith("docs/") else "")
        if not there:
            return text
        there = posixpath.relpath(there, posixpath.dirname(place) or ".")
        return f"{image}[{text}]({there}{mark}{anchor})"

    def picture(match: re.Match[str]) -> str:
        shown = diagrams.picture(match[1]).removeprefix("docs/")
        path = posixpath.relpath(shown, posixpath.dirname(place) or ".")
        return f"[![{diagrams.title(match[1])}]({path})]({path})"

    code = re.compile(r"(?ms)(^ *```.*?^ *```)")
    parts = code.split(markdown)
    linked = "".join(
        part if code.fullmatch(part) else re.sub(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)", relink, part)
        for part in parts
    )
    return diagrams.BLOCK.sub(picture, linked)


def schema_page(schema: Mapping[str, Any]) -> str:
    """Return a page with a line for each key of a JSON schema."""
    rows = keys(schema, schema)
    lines = (f"| `{key}` | {_allowed(part)} | {_meaning(part)} |" for key, part in rows)
    return HEAD + "\n".join(lines) + "\n"


def keys(
    schema: Mapping[str, Any], whole: Mapping[str, Any], path: str = ""
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each key's path, with ``<name>`` where names are free, and its schema."""
    schema = _resolved(schema, whole)
    below = dict(schema.get("properties", {}))
    free = schema.get("additionalProperties")
    if isinstance(free, dict):
        below["<name>"] = free
    for name, part in below.items():
        part = _resolved(part, whole)
        yield f"{path}{name}", part
        yield from keys(part, whole, f"{path}{name}.")


def _resolved(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        found: Any = whole
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        schema = found | {key: value for key, value in schema.items() if key != "$ref"}
    return schema


def _allowed(part: Mapping[str, Any]) -> str:
    if "enum" in part:
        return ", ".join(f"`{json.dumps(value)}`" for value in part["enum"])
    kinds = part.get("type", "")
    words = kinds if isinstance(kinds, str) else " or ".join(kinds)
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {part[key]}" for key, sign in signs.items() if key in part]
    either = [_allowed(other) for key in ("oneOf", "anyOf") for other in part.get(key, ())]
    alone = ", ".join(word for word in (words, *limits) if word)
    return alone or " or ".join(filter(None, either))


def _meaning(part: Mapping[str, Any]) -> str:
    return " ".join(part.get("description", "").split()).replace("|", "\\|")
