"""How well the optimisation did: losses along the way and at the end."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from metamers.figures import style
from metamers.figures.data import NothingToDrawError, inline, printed
from metamers.figures.inputs import FigureInputs
from metamers.storage.columns import CONDITION_KEY
from metamers.storage.traces import thinned

_SERIES = [*CONDITION_KEY, "model"]
_LOSS = (
    "Loss: distance between the activations of metamer and reference, relative to the "
    "reference's; no unit."
)
# Members are told apart by colour up to this many, which is as many as there are colours.
_FEW = len(style.CATEGORIES)
# Turns drawn of each model at most, evenly chosen, the first and the last included.
_TURNS = 200


def loss_traces(inputs: FigureInputs) -> alt.VConcatChart:
    """Return the loss of each member against steps, a panel per set and stage.

    The line is the median over images, the band their range. A dagger in a panel says that its
    condition is flagged.
    """
    rows = _dressed(_medians(thinned(inputs.rows("traces"), _TURNS)), inputs)
    rows["panel"] = ["\n".join(style.folded(name, 20)) for name in rows["set"]]
    sets, shown = inputs.sets(rows, "panel"), inputs.stages(rows)
    chart = _curves(rows, inputs).facet(
        row=alt.Row("panel:N", title=None, sort=sets, header=style.side_header()),
        column=alt.Column("stage:N", title=None, sort=shown),
        data=inline(rows),
        spacing=14,
    )
    images = style.spread(rows["n_images"], "image")
    return style.finish(
        chart,
        "Loss during synthesis",
        [f"Median (line) and range (band) over n = {images}, for each member of the set."],
        [_LOSS, *style.flag_notes(rows, style.FLAG)],
        width=210 * len(shown) + 150,
    )


def losses_after(inputs: FigureInputs) -> alt.VConcatChart:
    """Return the loss of finished metamers for each member of their set, by stage.

    Finished is: rounded to 8 bits. The dot is the median over images, the rule their range; the
    tick is the median at the start. Dots of flagged conditions are open.
    """
    rows = _dressed(_ends(inputs.rows("optimisation")), inputs)
    rows["row"] = rows["set"] + "\n" + rows["shown"]
    order = [line for name in inputs.sets(rows) for line in _lines_of(name, rows, inputs)]
    shown = inputs.stages(rows)
    chart = _dots(rows, order).facet(
        column=alt.Column("stage:N", title=None, sort=shown), data=inline(rows)
    )
    images = style.spread(rows["n_images"], "image")
    return style.finish(
        chart,
        "Loss of finished metamers for each member of their set",
        [f"Dot and rule: median and range over n = {images}; grey tick: median at the start."],
        [_LOSS, *style.flag_notes(rows, "Open dots")],
        width=210 * len(shown) + 130,
    )


def _medians(table: pd.DataFrame) -> pd.DataFrame:
    losses = table.astype({"loss": float}).groupby([*_SERIES, "step"])["loss"]
    return losses.agg(low="min", median="median", high="max", n_images="size").reset_index()


def _ends(table: pd.DataFrame) -> pd.DataFrame:
    groups = table.groupby(_SERIES)
    rows = groups["loss_stored"].agg(low="min", median="median", high="max", n_images="size")
    return rows.assign(before=groups["loss_before"].median()).reset_index()


def _dressed(rows: pd.DataFrame, inputs: FigureInputs) -> pd.DataFrame:
    rows = inputs.described(rows)
    rows["shown"] = printed(rows["model"], inputs.labels)
    # A logarithm has no zero: such a loss is left out of the drawing.
    losses = [name for name in ("low", "median", "high", "before") if name in rows]
    rows[losses] = rows[losses].where(rows[losses] > 0)
    return rows


def _log_scale(rows: pd.DataFrame) -> alt.Scale:
    values = rows[[name for name in ("low", "high", "before") if name in rows]].to_numpy(float)
    values = values[np.isfinite(values)]
    if values.size == 0:
        raise NothingToDrawError("no loss is finite and above 0: there is nothing to draw")
    low, high = float(values.min()), float(values.max())
    return alt.Scale(type="log", domain=[low / 1.15, high * 1.15], nice=False)


def _curves(rows: pd.DataFrame, inputs: FigureInputs) -> style.Layers:
    base = alt.Chart().encode(
        x=alt.X("step:Q", title="gradient steps of the set").axis(tickCount=4),
        color=_colour(inputs.printed_order(rows["shown"])),
    )
    loss = alt.Y("median:Q", title="loss", scale=_log_scale(rows)).axis(tickCount=4)
    tooltip = ["shown:N", "step:Q", "median:Q", "low:Q", "high:Q"]
    return alt.layer(
        base.mark_area(opacity=0.18).encode(y="low:Q", y2="high:Q", detail="shown:N"),
        base.mark_line(strokeWidth=1.6).encode(y=loss, detail="shown:N", tooltip=tooltip),
        alt.Chart()
        .transform_filter(alt.datum.flagged)
        .mark_text(text=style.FLAG, fontSize=15, align="right", baseline="top")
        .encode(x=alt.value(186), y=alt.value(4)),
    ).properties(width=190, height=110)


def _colour(models: list[str]) -> alt.Color:
    colours = [style.CATEGORIES[place % _FEW] for place in range(len(models))]
    colour = alt.Color("shown:N", title="member").scale(domain=models, range=colours)
    few = len(models) <= _FEW
    return colour.legend(orient="bottom", symbolOpacity=1) if few else colour.legend(None)


def _lines_of(name: str, rows: pd.DataFrame, inputs: FigureInputs) -> list[str]:
    """Return the lines of a set: its heading, which has no marks, and its members."""
    members = inputs.printed_order(rows.loc[rows["set"] == name, "shown"])
    return [f"{name}\n", *(f"{name}\n{member}" for member in members)]


def _dots(rows: pd.DataFrame, order: list[str]) -> style.Layers:
    heading = "split(datum.value, '\\n')[1] === ''"
    axis = alt.Axis(
        labelExpr=f"{heading} ? split(datum.value, '\\n')[0] : split(datum.value, '\\n')[1]",
        labelFontWeight=alt.condition(heading, alt.value("bold"), alt.value("normal")),
        ticks=False,
        domain=False,
        grid=False,
    )
    base = alt.Chart().encode(y=alt.Y("row:N", title=None, axis=axis).scale(domain=order))
    loss = alt.X("median:Q", title="loss", scale=_log_scale(rows))
    loss = loss.axis(tickCount=5, labelOverlap="greedy", labelSeparation=6)
    colour = style.HELD_OUT
    return alt.layer(
        base.mark_tick(thickness=2, height=11, color="#a0a0a0").encode(x="before:Q"),
        base.mark_rule(strokeWidth=1.6, color=colour).encode(x="low:Q", x2="high:Q"),
        base.mark_point(size=44, filled=True, opacity=1, color=colour).encode(
            x=loss, tooltip=["set:N", "shown:N", "median:Q", "low:Q", "high:Q", "before:Q"]
        ),
        style.opened(base, 14).encode(x=loss),
    ).properties(width=190, height=alt.Step(16))
