"""How a divergence and its spread depend on the number of images (section 4.5)."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from metamers.evaluation.similarity.densities import Convention
from metamers.evaluation.similarity.sample_size import ROOM, has_room
from metamers.figures import style
from metamers.figures.data import NothingToDrawError, inline
from metamers.figures.inputs import FigureInputs
from metamers.storage.columns import COMPARISONS

ENOUGH = 80  # images that suffice, by the paper
TOLERATED = 0.05  # in the unit of the divergence; the project's reading of "suffice"
_CELL = ["references", "recipe", "model_set", "bound", "evaluator"]
_SIZES = (5, 10, 20, 40, 80, 160, 320)
_ABOVE = ("mean", "low", "high")
_BELOW = ("sd", "sd_low", "sd_high")


def power(inputs: FigureInputs) -> alt.VConcatChart:
    """Return a divergence and its standard deviation against the number of images.

    A column of panels per stage and a colour per comparison; thin lines are an evaluator and a
    set each, thick ones the mean of those with room to spread
    (`metamers.evaluation.similarity.sample_size.has_room`), with the mean of the ends of their
    intervals. A dagger at a stage says that a condition of it is flagged.
    """
    table = inputs.rows("power")
    convention = inputs.convention
    above, below = _lines(table, convention)
    described = inputs.described(table)
    marks = {stage: f"{stage} {style.FLAG}" for stage in described[described["flagged"]]["stage"]}
    for rows in (above, below):
        rows["stage"] = rows["stage"].astype(str).replace(marks)
    shown = [marks.get(stage, stage) for stage in inputs.stages(table)]
    first = alt.Y("mean:Q", title=f"divergence, {convention.unit}").scale(domain=[0, 1])
    second = (
        alt.Y("sd:Q", title="its standard deviation")
        .scale(type="log", nice=False, domain=_domain(below))
        .axis(values=[0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5], format="~g")
    )
    chart = alt.vconcat(
        _panels(above, shown, first, _ABOVE[1:], alt.Header()),
        _panels(below, shown, second, _BELOW[1:], alt.Header(labels=False), limit=TOLERATED),
        spacing=14,
    )
    return style.finish(
        chart,
        "How many images a divergence needs",
        [_reading(table)],
        [*_notes(convention), *style.flag_notes(described, f"{style.FLAG}, some of a stage's")],
        width=230 * len(shown) + 60,
    )


def _notes(convention: Convention) -> list[str]:
    low, high = convention.of(ROOM)
    return [
        "Thin lines: one evaluator and model set each; thick: mean of those between "
        f"{low:.2g} and {high:.2g} {convention.unit}, which have room to spread and alone are "
        "drawn below. Bands: above, what 95 % of the subsets give; below, the 95 % interval over "
        "subsets and photographs, ends averaged. Subsets of n images are drawn without regard to "
        "photographs; pairs of crops of one photograph do not count.",
        f"Vertical: the paper's {ENOUGH} images. Horizontal: {TOLERATED} {convention.unit}, which "
        "this project takes for enough.",
    ]


def _lines(table: pd.DataFrame, convention: Convention) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of the divergences, and of their spread: single lines and means."""
    single = table.assign(cell=table[_CELL].astype(str).agg(" · ".join, axis=1), kind="single")
    with_room = single[has_room(single, convention)]
    if with_room.empty:
        raise NothingToDrawError(
            "every divergence is near 0 or 1, where none spreads: nothing to draw"
        )
    keys = ["stage", "comparison", "n_images"]
    means = with_room.groupby(keys, observed=True)[[*_ABOVE, *_BELOW]].mean().reset_index()
    means["kind"] = "mean"
    above, below = (
        pd.concat([part, means], ignore_index=True)[["cell", "kind", *keys, *fields]]
        for part, fields in ((single, _ABOVE), (with_room, _BELOW))
    )
    return above, below


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
    y: alt.Y,
    ends: tuple[str, str],
    header: alt.Header,
    limit: float | None = None,
) -> alt.FacetChart:
    low, high = ends
    sizes = [size for size in _SIZES if size <= rows["n_images"].max()]
    x = alt.X("n_images:Q", title="images").axis(values=sizes, grid=False)
    names = [name for name in COMPARISONS if name in set(rows["comparison"])]
    colour = alt.Color("comparison:N", title=None).scale(
        domain=names, range=list(style.CATEGORIES[: len(names)])
    )
    base = alt.Chart().encode(
        x=x.scale(type="log", domain=[sizes[0] / 1.1, sizes[-1] * 1.1], nice=False),
        color=colour.legend(orient="bottom", direction="vertical", symbolOpacity=1),
    )
    thick = base.transform_filter(alt.datum.kind == "mean")
    thin = base.transform_filter(alt.datum.kind == "single")
    rule = alt.Chart().mark_rule(color=style.FAINT, strokeDash=style.DASH)
    layers = [
        rule.encode(x=alt.XDatum(ENOUGH)),
        *([] if limit is None else [rule.encode(y=alt.YDatum(limit))]),
        thin.mark_line(strokeWidth=0.6, opacity=0.4).encode(y=y, detail="cell:N"),
        thick.mark_area(opacity=0.18).encode(y=f"{low}:Q", y2=f"{high}:Q"),
        thick.mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=26, filled=True)).encode(
            y=y, tooltip=["comparison:N", "n_images:Q", y.shorthand, f"{low}:Q", f"{high}:Q"]
        ),
    ]
    return (
        alt.layer(*layers)
        .properties(width=200, height=170)
        .facet(
            column=alt.Column("stage:N", sort=stages, title=None, header=header),
            data=inline(rows),
        )
    )


def _domain(rows: pd.DataFrame) -> list[float]:
    values = rows[list(_BELOW)].to_numpy(dtype=float)
    values = values[np.isfinite(values) & (values > 0)]
    if not values.size:
        raise NothingToDrawError(
            "no standard deviation is finite and above 0: there is nothing to draw"
        )
    return [min(float(values.min()), TOLERATED) / 1.1, max(float(values.max()), TOLERATED) * 1.1]
