"""Figure 5: how an evaluator's representation of metamers differs from that of references."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from metamers.evaluation.similarity.densities import Convention
from metamers.figures import style
from metamers.figures.data import inline, pick, printed
from metamers.figures.inputs import FigureInputs
from metamers.storage.columns import COMPARISONS

_DASHED = (
    "Dashed: the evaluator is a member of the set, so the cell says nothing about transfer. "
    "Small: median of the second kind of distance over that of the first."
)
# Cells hold their number up to this many sets; beyond, colour alone speaks.
_SETS_WITH_TEXT = 12
_LARGE, _SMALL = 68, 15


def similarity(inputs: FigureInputs) -> alt.VConcatChart:
    """Return Fig 5: Jensen-Shannon divergence, evaluator against set, a panel per stage.

    One row of panels per comparison of distance distributions. A cell gives the divergence and,
    since that has no sign, the ratio of the medians; a dashed outline says that the evaluator is
    a member of the set, a dagger that the condition is flagged.
    """
    table = inputs.rows("similarity")
    rows = pd.concat([pick(table, comparison=name) for name in COMPARISONS], ignore_index=True)
    rows = _cells(rows, inputs)
    sets, stages = inputs.sets(rows), inputs.stages(rows)
    cell = _LARGE if len(sets) <= _SETS_WITH_TEXT else _SMALL
    evaluators = inputs.printed_order(rows["shown"])
    chart = heatmap(sets, evaluators, cell, f"divergence ({inputs.convention.unit})").facet(
        row=alt.Row("kind:N", sort=_kinds(COMPARISONS), title=None, header=style.side_header()),
        column=alt.Column("stage:N", sort=stages, title=None),
        data=inline(rows),
    )
    return style.finish(
        chart,
        "Representational similarity of metamers and references",
        [_reading(rows, inputs.convention)],
        [_DASHED, *style.flag_notes(rows, style.FLAG)],
        width=max(cell * len(sets) * len(stages) + 270, 480),
    )


def _kinds(comparisons: Sequence[str]) -> list[str]:
    return [name.replace(" | ", "\nagainst\n") for name in comparisons]


def _cells(rows: pd.DataFrame, inputs: FigureInputs) -> pd.DataFrame:
    rows = inputs.described(rows)
    rows["shown"] = printed(rows["evaluator"], inputs.labels)
    rows["kind"] = _kinds(list(rows["comparison"]))
    daggers = rows["flagged"].map({True: style.FLAG, False: ""})
    rows["text"] = rows["divergence"].map(two_places) + daggers
    rows["ratio"] = rows["median_ratio"].map(_factor)
    wanted = ["model_set", "set", "shown", "kind", "stage", "member", "flagged", "text", "ratio"]
    rows["value"] = rows["divergence"]
    return rows[[*wanted, "divergence", "value", "low", "high", "median_ratio", "n_images"]]


def two_places(divergence: float) -> str:
    """Return a number as the text of a cell."""
    return "–" if pd.isna(divergence) else f"{divergence:.2f}"


def _factor(ratio: float) -> str:
    if not math.isfinite(ratio):
        return ""
    return f"×{ratio:.0f}" if ratio >= 10 else f"×{ratio:.2f}" if ratio < 1 else f"×{ratio:.1f}"


def _reading(rows: pd.DataFrame, convention: Convention) -> str:
    width = float((rows["high"] - rows["low"]).max())
    known = "" if math.isnan(width) else f"; 95 % intervals at most {width:.2f} wide"
    images = style.spread(rows["n_images"], "image")
    return (
        "Jensen-Shannon divergence of the distributions of distances between activations, in "
        f"{convention.unit} (0: the same, {convention.of(1):.2g}: apart); n = {images}{known}."
    )


def heatmap(sets: list[str], evaluators: list[str], cell: int, title: str) -> style.Layers:
    """Return the cells of evaluators against sets: colour by ``value``, from 0 to 1.

    Columns set, shown (the evaluator), stage, value, low, high, text, ratio, member and flagged.
    """
    base = alt.Chart().encode(
        x=alt.X("set:N", sort=sets, title=None)
        .scale(domain=sets)
        .axis(labelAngle=-45, labelLimit=220, ticks=False, domain=False),
        y=alt.Y("shown:N", sort=evaluators, title=None)
        .scale(domain=evaluators)
        .axis(labelLimit=240, ticks=False, domain=False),
    )
    colour = (
        alt.Color("value:Q", title=title)
        .scale(scheme="blues", domain=[0, 1], clamp=True)
        .legend(values=[0, 0.2, 0.4, 0.6, 0.8, 1], gradientLength=120)
    )
    tooltip = ["shown:N", "set:N", "stage:N", "value:Q", "low:Q", "high:Q", "ratio:N"]
    outline = base.transform_filter(alt.datum.member).mark_rect(
        fillOpacity=0,
        stroke=style.MEMBER,
        strokeWidth=1.8,
        strokeDash=style.DASH,
        width=alt.RelativeBandSize(0.9),
        height=alt.RelativeBandSize(0.84),
    )
    cells = base.mark_rect(stroke="white", strokeWidth=0.5).encode(color=colour, tooltip=tooltip)
    words = _numbers(base) if cell > _SMALL else [_daggers(base)]
    return alt.layer(cells, *words, outline).properties(width=alt.Step(cell), height=alt.Step(20))


def _numbers(base: alt.Chart) -> list[alt.Chart]:
    return [
        base.mark_text(fontSize=10.5, align="right", dx=-1).encode(text="text:N", color=_ink()),
        base.mark_text(fontSize=9, align="left", dx=3).encode(text="ratio:N", color=_ink()),
    ]


def _daggers(base: alt.Chart) -> alt.Chart:
    flagged = base.transform_filter(alt.datum.flagged)
    return flagged.mark_text(fontSize=10, text=style.FLAG).encode(color=_ink())


def _ink() -> Any:  # noqa: ANN401, Altair has no public name for a condition
    return alt.condition(alt.datum.value > 0.6, alt.value("white"), alt.value(style.INK))
