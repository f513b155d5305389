"""Panels of a figure as drawn: what the heading of each says, and what its marks are of.

Where scales are independent and panels sorted, Vega may put a heading over another's panel,
depending on the order of the data. So these are shuffled, every mark is made to say in which panel
its data belong, and the drawing is read.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import vl_convert

SIDES = {"column": "x", "row": "y"}
CLOSE = 8  # pixels: panels beneath each other need not align to the last one


@dataclass(frozen=True)
class Group:
    """A panel or a heading: of which facet, of which kind, where, and what it says."""

    facet: str
    kind: str
    x: float
    y: float
    heading: str
    marks: frozenset[str]


def channels(specification: dict[str, Any]) -> set[str]:
    """Return by which channels a figure is faceted: ``row``, ``column``, or ``facet`` in a grid."""
    return {channel for facet in _facets(specification) for channel in _fields(facet)}


def panels(specification: dict[str, Any], channel: str) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the heading of each panel by a channel, and the headings that belong to its marks."""
    for facet in _facets(specification):
        field = _fields(facet).get(channel)
        if field is not None:
            _describe(facet["spec"], field)
    for rows in specification.get("datasets", {}).values():
        random.Random(0).shuffle(rows)
    root = ElementTree.fromstring(vl_convert.vegalite_to_svg(json.dumps(specification)))
    groups = [
        Group(kind[1] or "", kind[2], x, y, _heading(element), _marks(element))
        for around, element, x, y in _placed(root)
        if (kind := re.search(r"^(?:.* )?(?:(\w+)_)?(cell|row_header|column_header)$", around))
    ]
    headings = [one for one in groups if one.kind == f"{channel}_header" and one.heading]
    for cell in groups:
        if cell.kind == "cell" and cell.marks:
            heading = cell if channel == "facet" else _nearest(cell, headings, SIDES[channel])
            yield heading.heading, cell.marks


def _facets(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict) and {"facet", "spec"} <= part.keys():
        yield part
    elif isinstance(part, dict | list):
        for inner in part.values() if isinstance(part, dict) else part:
            yield from _facets(inner)


def _fields(facet: dict[str, Any]) -> dict[str, str]:
    own = facet["facet"]
    definitions = {"facet": own} if "field" in own else own
    return {channel: definition["field"] for channel, definition in definitions.items()}


def _describe(chart: dict[str, Any], field: str) -> None:
    for layer in chart.get("layer", []):
        _describe(layer, field)
    if "mark" in chart:
        description = {"field": field, "type": "nominal"}
        chart["encoding"] = chart.get("encoding", {}) | {"description": description}


def _placed(
    element: Element, x: float = 0, y: float = 0
) -> Iterator[tuple[str, Element, float, float]]:
    """Yield what is in an element, at any depth: the class around it, and where it lies."""
    for inner in element:
        moved = re.match(r"translate\(([-\d.]+),([-\d.]+)\)", inner.get("transform", ""))
        at = (x + float(moved[1]), y + float(moved[2])) if moved else (x, y)
        yield element.get("class", ""), inner, *at
        yield from _placed(inner, *at)


def _heading(element: Element) -> str:
    titles = [one for one in element.iter() if "role-title-text" in one.get("class", "")]
    return _flat("".join(text for one in titles for text in one.itertext()))


def _marks(element: Element) -> frozenset[str]:
    drawn = [one for one in element.iter() if "role-mark" in one.get("class", "")]
    said = [inner.get("aria-label") for one in drawn for inner in one.iter()]
    return frozenset(_flat(text) for text in said if text)


def _flat(text: str) -> str:
    return re.sub(r"\s+", "", text)


def _nearest(cell: Group, headings: list[Group], side: str) -> Group:
    """Return the heading of a panel: of its own facet, or of one that it stands beneath."""

    def distance(one: Group) -> float:
        return abs(getattr(one, side) - getattr(cell, side))

    found = min([one for one in headings if one.facet == cell.facet] or headings, key=distance)
    assert distance(found) < CLOSE
    return found
