"""How a divergence and its spread depend on the number of images (section 4.5)."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from metamers import chart_style as style
from metamers.chart_data import in_order, inline, refuse_other_columns
from metamers.power import ROOM, has_room
from metamers.tables import COMPARISONS, POWER

ENOUGH = 80  # images that suffice, by the paper
TOLERATED = 0.05  # bits; the project's reading of "suffice"
_CELL = ["references", "recipe", "model_set", "bound", "evaluator"]
_SIZES = (5, 10, 20, 40, 80, 160, 320)


def power(table: pd.DataFrame, *, stages: Sequence[str]) -> alt.VConcatChart:
    """Return a divergence and its standard deviation against the number of images.

    A column of panels per stage and a colour per comparison; thin lines are an evaluator and a
    set each, thick ones the mean of those with room to spread (`metamers.power.has_room`), with
    the mean of the ends of their intervals.

    Parameters
    ----------
    table
        Table `power`.
    stages
        Names of the stages, from shallow to deep.

    Raises
    ------
    ValueError
        If the table has other columns or no rows.
    """
    refuse_other_columns(table, POWER)
    single = table.assign(cell=table[_CELL].astype(str).agg(" · ".join, axis=1))
    keys = ["stage", "comparison", "n_images"]
    columns = ["mean", "low", "high", "sd", "sd_low", "sd_high"]
    averaged = single[has_room(single)]
    means = averaged.groupby(keys, observed=True)[columns].mean().reset_index()
    rows = pd.concat([single.assign(kind="single"), means.assign(kind="mean")], ignore_index=True)
    rows["limit"] = np.where(np.arange(len(rows)) == 0, TOLERATED, np.nan)
    shown = in_order(set(rows["stage"]), stages)
    chart = alt.vconcat(
        _panels(rows, shown, "mean", ("low", "high"), "divergence, bits", labelled=True),
        _panels(rows, shown, "sd", ("sd_low", "sd_high"), "its standard deviation", limit=True),
        spacing=14,
    )
    return style.finish(
        chart,
        "How many images a divergence needs",
        [_reading(table)],
        [
            "Thin lines: one evaluator and model set each; thick: mean of those between "
            f"{ROOM[0]} and {ROOM[1]} bits, which have room to spread. Bands: above, what "
            "95 % of the subsets give; below, the 95 % interval over subsets and photographs, "
            "ends averaged. Subsets of n images are drawn without regard to photographs; pairs of "
            "crops of one photograph do not count.",
            f"Vertical: the paper's {ENOUGH} images. Horizontal: {TOLERATED} bits, which this "
            "project takes for enough.",
        ],
        width=230 * len(shown) + 60,
    )


def _reading(table: pd.DataFrame) -> str:
    total, photographs = int(table["n_total"].max()), int(table["n_photographs"].max())
    cells = len(table[[*_CELL, "stage"]].drop_duplicates())
    of = (
        f"n = {total} images, which are crops of {photographs} photographs and not independent"
        if photographs < total
        else f"n = {style.counted(total, 'image')}"
    )
    return (
        f"Subsets of {of}; {int(table['repeats'].min())} of each size; "
        f"{table['evaluator'].nunique()} evaluators, {cells} pairs of evaluator and condition."
    )


def _panels(
    rows: pd.DataFrame,
    stages: list[str],
    field: str,
    ends: tuple[str, str],
    title: str,
    *,
    labelled: bool = False,
    limit: bool = False,
) -> alt.FacetChart:
    low, high = ends
    kept = ["stage", "comparison", "kind", "cell", "n_images", "limit", field, low, high]
    drawn = rows[kept]
    sizes = [size for size in _SIZES if size <= rows["n_images"].max()]
    x = alt.X("n_images:Q", title="images")
    x = x.scale(type="log", domain=[sizes[0] / 1.1, sizes[-1] * 1.1], nice=False)
    scale = (
        alt.Scale(type="log", nice=False, domain=_domain(drawn, field, low, high))
        if limit
        else alt.Scale(domain=[0, 1])
    )
    names = [name for name in COMPARISONS if name in set(rows["comparison"])]
    base = alt.Chart().encode(
        x=x.axis(values=sizes, grid=False),
        color=alt.Color("comparison:N", title=None)
        .scale(domain=names, range=list(style.CATEGORIES[: len(names)]))
        .legend(orient="bottom", direction="vertical", symbolOpacity=1),
    )
    y = alt.Y(f"{field}:Q", title=title, scale=scale)
    if limit:
        y = y.axis(values=[0.005, 0.01, 0.02, 0.05, 0.1, 0.2], format="~g")
    average, single = alt.datum.kind == "mean", alt.datum.kind == "single"
    tooltip = ["comparison:N", "n_images:Q", f"{field}:Q", f"{low}:Q", f"{high}:Q"]
    thick = base.transform_filter(average)
    layers = [
        alt.Chart()
        .transform_filter(f"datum.kind === 'mean' && datum.n_images === {ENOUGH}")
        .mark_rule(color=style.FAINT, strokeDash=style.DASH)
        .encode(x="n_images:Q"),
        base.transform_filter(single)
        .mark_line(strokeWidth=0.6, opacity=0.35)
        .encode(y=y, detail="cell:N"),
        thick.mark_area(opacity=0.18).encode(y=alt.Y(f"{low}:Q"), y2=f"{high}:Q"),
        thick.mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=26, filled=True)).encode(
            y=y, tooltip=tooltip
        ),
    ]
    if limit:
        layers.append(
            alt.Chart()
            .transform_filter(average)
            .transform_calculate(limit=f"{TOLERATED}")
            .mark_rule(color=style.FAINT, strokeDash=style.DASH)
            .encode(y="limit:Q")
        )
    header = alt.Header() if labelled else alt.Header(labels=False)
    return (
        alt.layer(*layers)
        .properties(width=200, height=170)
        .facet(
            column=alt.Column("stage:N", sort=stages, title=None, header=header),
            data=inline(drawn),
        )
    )


def _domain(rows: pd.DataFrame, *fields: str) -> list[float]:
    values = rows[list(fields)].to_numpy(dtype=float)
    values = values[np.isfinite(values) & (values > 0)]
    if not values.size:
        raise ValueError("no standard deviation is finite and above 0: there is nothing to draw")
    return [max(float(values.min()), 1e-4) / 1.1, max(float(values.max()), TOLERATED) * 1.1]
