"""Writing a chart for paper, screen and report."""

from __future__ import annotations

from pathlib import Path

import altair as alt


def save(chart: alt.TopLevelMixin, path_without_suffix: str | Path) -> list[Path]:
    """Write a chart as SVG, PNG (two pixels per point) and HTML; return the three paths.

    The HTML carries its own copy of the drawing library: it opens without a network. The same
    chart gives the same PNG; an SVG may differ in the numbers of its gradients.
    """
    base = Path(path_without_suffix)
    base.parent.mkdir(parents=True, exist_ok=True)
    paths = [base.with_name(base.name + suffix) for suffix in (".svg", ".png", ".html")]
    svg, png, html = paths
    chart.save(str(svg))
    chart.save(str(png), scale_factor=2)
    chart.save(str(html), inline=True, embed_options={"actions": {"editor": False}})
    return paths
