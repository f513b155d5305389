"""How all figures look: colours, fonts, legends, titles and notes; and how they are written.

Colours are those of Okabe and Ito (2008), told apart by colour-blind readers; no distinction
rests on colour alone.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd
import vl_convert

# vl-convert carries Liberation Sans, which has the widths of Arial: the same layout everywhere.
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
INK = "#222222"
FAINT = "#666666"
LINE = "#d9d9d9"
BLACK = "#000000"
HELD_OUT = "#0072B2"
MEMBER = "#D55E00"
SAME_WEIGHTS = "#CC79A7"
GOOD = "#00785A"
CATEGORIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
DASH = [4, 3]
FLAG = "†"
NOT_METAMERS = "not metamers (the activations are not matched, or the class is lost)."
_STAGES = ("#56B4E9", "#0072B2", "#00305A")

_CONFIG = alt.Config(
    font=FONT,
    background="white",
    padding=12,
    view=alt.ViewConfig(stroke=LINE),
    text=alt.MarkConfig(fontSize=11, color=INK),
    axis=alt.AxisConfig(
        labelFontSize=11,
        titleFontSize=12,
        titleFontWeight="normal",
        labelColor=INK,
        titleColor=INK,
        gridColor="#ececec",
        domainColor=FAINT,
        tickColor=FAINT,
        labelLimit=300,
        titleLimit=600,
    ),
    legend=alt.LegendConfig(
        labelFontSize=11,
        titleFontSize=11,
        titleFontWeight="normal",
        labelColor=INK,
        titleColor=INK,
        labelLimit=320,
        titleLimit=320,
        symbolSize=60,
    ),
    header=alt.HeaderConfig(
        labelFontSize=12, labelFontWeight="bold", labelColor=INK, labelLimit=600
    ),
    title=alt.TitleConfig(
        fontSize=15,
        fontWeight="bold",
        color=INK,
        subtitleFontSize=12,
        subtitleColor=FAINT,
        subtitlePadding=5,
    ),
)

# A page shows a figure whole, however narrow the window; its marks stay vectors.
_FITTING = "<style>.vega-embed svg { max-width: 100%; height: auto; }</style>"

# What Altair says that a layered chart becomes once its size is set.
Layers = alt.LayerChart | alt.FacetChart
Body = (
    alt.Chart
    | alt.FacetChart
    | alt.LayerChart
    | alt.ConcatChart
    | alt.HConcatChart
    | alt.VConcatChart
)


def stage_colour(stages: Sequence[str]) -> alt.Color:
    """Return the colour of a stage: the deeper, the darker."""
    last = max(len(stages) - 1, 1)
    colours = [_STAGES[round(2 * place / last)] for place in range(len(stages))]
    return (
        alt.Color("stage:N", sort=list(stages), title="stage")
        .scale(domain=list(stages), range=colours)
        .legend(orient="bottom")
    )


def shape_of(field: str, values: Sequence[str], title: str, *, columns: int = 0) -> alt.Shape:
    """Return the shape of a mark by a nominal field; the legend has so many columns, 0: all."""
    shapes = [SHAPES[place % len(SHAPES)] for place in range(len(values))]
    return (
        alt.Shape(f"{field}:N", sort=list(values), title=title)
        .scale(domain=list(values), range=shapes)
        .legend(
            orient="bottom",
            columns=columns or len(values),
            symbolFillColor=FAINT,
            symbolStrokeColor=FAINT,
        )
    )


def share_axis(field: str, top: float = 1.0, *, labelled: bool = True) -> alt.Y:
    """Return the axis of a share recognised, 0 to `top`, with room for marks at its ends."""
    ticks = [round(top * place / 5, 3) for place in range(6)]
    # Vega thins explicit values to the count of ticks that it finds fit, unless told.
    axis = alt.Axis(
        values=ticks,
        tickCount=len(ticks),
        format=".1f" if top == 1 else ".2f",
        labels=labelled,
        ticks=labelled,
    )
    return (
        alt.Y(f"{field}:Q", title="share recognised" if labelled else None)
        .scale(domain=[-0.03 * top, 1.03 * top], nice=False)
        .axis(axis)
    )


def opened(base: alt.Chart, size: float) -> alt.Chart:
    """Return the white centres that open the marks of flagged rows."""
    return base.transform_filter(alt.datum.flagged).mark_point(
        size=size, filled=True, opacity=1, color="white"
    )


def headings(names: Sequence[str], columns: int) -> list[str]:
    """Return the headings of panels in a grid, folded; those of a row have as many lines.

    Lines are parted by a line feed: see `panel_header`. Where they differed in number, the
    panels of a row would not stand level.
    """
    lines = [folded(name, 29) for name in names]
    rows = [lines[place : place + columns] for place in range(0, len(lines), columns)]
    return ["\n".join(_lengthened(one, max(map(len, row)))) for row in rows for one in row]


def _lengthened(lines: list[str], number: int) -> list[str]:
    return ["\u00a0"] * (number - len(lines)) + lines


def panel_header() -> alt.Header:
    """Return the look of the headings of a grid of panels; 15 pixels beneath stay free."""
    return alt.Header(labelAnchor="start", labelPadding=4, labelExpr="split(datum.label, '\\n')")


def beneath_heading(field: str, colour: Any = None) -> alt.Chart:  # noqa: ANN401
    """Return a line of text, the one that is not null, between a panel and its heading."""
    return (
        alt.Chart()
        .transform_filter(f"isValid(datum.{field})")
        .mark_text(align="left")
        .encode(
            text=f"{field}:N",
            x=alt.value(0),
            y=alt.value(-9),
            color=alt.value(FAINT) if colour is None else colour,
        )
    )


def flag_notes(rows: pd.DataFrame, mark: str) -> list[str]:
    """Return the note that explains the mark of flagged rows, if there are any."""
    return [f"{mark}: {NOT_METAMERS}"] if rows["flagged"].any() else []


def side_header() -> alt.Header:
    """Return the heading of a row of panels, written horizontally, a line per line of text."""
    return alt.Header(
        labelAngle=0, labelAlign="left", labelExpr="split(datum.label, '\\n')", labelLineHeight=15
    )


def step(pixels: int) -> alt.Step:
    """Return the height of one position of an axis, all its offsets together."""
    return alt.Step.from_dict({"step": pixels, "for": "position"})


def counted(number: int, noun: str) -> str:
    """Return ``1 image`` or ``400 images``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def spread(values: Collection[int], noun: str) -> str:
    """Return how many there are: one number, or the range of several."""
    low, high = min(values), max(values)
    return counted(low, noun) if low == high else f"{low} to {high} {noun}s"


def folded(text: str, characters: int) -> list[str]:
    """Return the text as lines of at most so many characters, words kept whole."""
    return textwrap.wrap(text, characters, break_long_words=False, break_on_hyphens=False) or [""]


def finish(
    chart: Body,
    title: str,
    subtitle: Sequence[str] = (),
    notes: Sequence[str] = (),
    *,
    width: int,
) -> alt.VConcatChart:
    """Return the figure: title above, notes beneath, and the style of all figures.

    Parameters
    ----------
    width
        Pixels to which title, subtitle and notes are folded.
    """
    titled = alt.vconcat(chart).properties(
        title=alt.Title(
            folded(title, max(width // 8, 34)),
            subtitle=_folded(subtitle, width),
            anchor="start",
            frame="bounds",
            offset=14,
        )
    )
    beneath = alt.Title(
        _folded(notes, width),
        orient="bottom",
        anchor="start",
        frame="bounds",
        fontSize=11,
        fontWeight="normal",
        color=FAINT,
        offset=10,
    )
    whole = alt.vconcat(titled).properties(title=beneath) if notes else titled
    return whole.properties(config=_CONFIG)


def empty(title: str, reason: str) -> alt.VConcatChart:
    """Return a finished figure without marks that says why there is nothing to draw."""
    lines = folded(f"{reason[:1].upper()}{reason[1:]}.", 60)
    text = alt.Chart({"values": [{}]}).mark_text(color=FAINT, text=lines, lineHeight=16)
    return finish(text.properties(width=400, height=120), title, width=400)


def failed(title: str, error: Exception) -> alt.VConcatChart:
    """Return a finished figure in the place of one that could not be drawn, with the error."""
    reason = f"an error kept this figure from being drawn: {error or repr(error)}"
    return headed(empty(title, reason.rstrip(".")), "Not drawn", MEMBER)


def headed(chart: alt.VConcatChart, text: str, colour: str) -> alt.VConcatChart:
    """Return a finished figure with a line of text in colour above its title."""
    inner = chart.copy()
    inner.config = alt.Undefined
    banner = alt.Title(text, anchor="start", frame="bounds", color=colour, fontSize=13)
    return alt.vconcat(inner).properties(title=banner, config=_CONFIG)


def save(chart: alt.TopLevelMixin, path_without_suffix: str | Path) -> list[Path]:
    """Write a chart as SVG, PNG (two pixels per point) and HTML; return the three paths.

    The HTML carries its own copy of the drawing library: it opens without a network. The same
    chart gives the same PNG; an SVG may differ in the numbers of its gradients.
    """
    base = Path(path_without_suffix)
    base.parent.mkdir(parents=True, exist_ok=True)
    svg, png, html = (base.with_name(base.name + suffix) for suffix in (".svg", ".png", ".html"))
    chart.save(str(svg))
    png.write_bytes(vl_convert.svg_to_png(svg.read_text(), scale=2))
    chart.save(
        str(html),
        inline=True,
        embed_options={"actions": {"editor": False}, "renderer": "svg"},
        json_kwds={"cls": _ScriptSafeEncoder},
    )
    html.write_text(html.read_text().replace("</head>", f"{_FITTING}</head>", 1))
    return [svg, png, html]


class _ScriptSafeEncoder(json.JSONEncoder):
    """JSON that may stand in a script element: no text in it, as a file's name, can end that."""

    def encode(self, o: object) -> str:
        # In JSON an angle bracket can only stand within a string, where this is the same.
        return super().encode(o).replace("<", "\\u003c")


def _folded(paragraphs: Sequence[str], width: int) -> list[str]:
    return [line for text in paragraphs for line in folded(text, max(width // 6, 44))]
