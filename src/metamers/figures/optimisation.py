"""How well the optimisation did: losses along the way and at the end."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import altair as alt
import numpy as np
import pandas as pd

from metamers import chart_style as style
from metamers.chart_style import ConditionKey, Labels
from metamers.tables import CONDITION_KEY, OPTIMISATION, TRACES, Table

_LOSS = "relative distance of activations"
_FEW = 8
_SERIES = [*CONDITION_KEY, "model"]


def loss_traces(
    table: pd.DataFrame,
    *,
    labels: Labels,
    stages: Sequence[str],
    flagged: Collection[ConditionKey] = (),
    points: int = 200,
) -> alt.VConcatChart:
    """Return the loss of each member against steps, a panel per set and stage.

    The line is the median over images, the band their range.

    Parameters
    ----------
    table
        Table `traces`.
    labels, stages
        As for `recognizability`.
    flagged
        Conditions that are not metamers: a dagger in the panel.
    points
        Turns drawn of each model, evenly chosen, the first and the last included.

    Raises
    ------
    ValueError
        If the table has other columns or no rows.
    """
    _refuse(table, TRACES)
    rows = _quartiles(_thinned(table, points), labels, flagged)
    base = alt.Chart().encode(
        x=alt.X("step:Q", title="gradient steps of the whole set"), color=_colour(rows, labels)
    )
    loss = alt.Y("median:Q", title=_LOSS).scale(type="log")
    cell = alt.layer(
        base.mark_area(opacity=0.18).encode(y="low:Q", y2="high:Q"),
        base.mark_line(strokeWidth=1.6).encode(y=loss, detail="model:N"),
        _daggers(),
    ).properties(width=190, height=120)
    sets = style.order_of_sets(rows, rows["set"], labels)
    shown = style.in_order(set(rows["stage"]), stages)
    chart = cell.facet(
        row=alt.Row("set:N", title=None, sort=sets),
        column=alt.Column("stage:N", title=None, sort=shown),
        data=style.inline(rows),
    )
    images = style.spread(rows["n_images"], "image")
    return style.finish(
        chart,
        "Loss during synthesis",
        [f"Median (line) and range (band) over n = {images}, for each member of the set."],
        style.flag_notes(rows, f"{style.FLAG} in the corner"),
        width=210 * len(shown),
    )


def losses_after(
    table: pd.DataFrame,
    *,
    labels: Labels,
    stages: Sequence[str],
    flagged: Collection[ConditionKey] = (),
) -> alt.VConcatChart:
    """Return the loss of finished metamers for each member of their set, by stage.

    The dot is the median over images, the rule their range; the tick is the median at the start.

    Parameters
    ----------
    table
        Table `optimisation`; the loss after rounding to 8 bits is drawn.
    labels, stages, flagged
        As for `recognizability`; flagged dots are open.

    Raises
    ------
    ValueError
        If the table has other columns or no rows.
    """
    _refuse(table, OPTIMISATION)
    rows = _summary(table, labels, flagged)
    sets = style.order_of_sets(rows, rows["set"], labels)
    shown = style.in_order(set(rows["stage"]), stages)
    base = alt.Chart().encode(
        y=alt.Y("shown:N", title=None, sort=style.in_order(set(rows["shown"]), [*labels.values()]))
    )
    loss = alt.X("median:Q", title=_LOSS).scale(type="log")
    cell = alt.layer(
        base.mark_rule(strokeWidth=1.6, color=style.HELD_OUT).encode(x="low:Q", x2="high:Q"),
        base.mark_tick(thickness=2, color=style.FAINT).encode(x="before:Q"),
        base.mark_point(size=44, filled=True, opacity=1, stroke=style.HELD_OUT).encode(
            x=loss, fill=style.flag_fill(style.HELD_OUT), tooltip=["set:N", "shown:N", "median:Q"]
        ),
    ).properties(width=190, height=alt.Step(16))
    chart = cell.facet(
        row=alt.Row("set:N", title=None, sort=sets, header=style.side_header()),
        column=alt.Column("stage:N", title=None, sort=shown),
        data=style.inline(rows),
    ).resolve_scale(y="independent")
    images = style.spread(rows["n_images"], "image")
    return style.finish(
        chart,
        "Loss of the finished metamers for each member of their set",
        [f"Dot and rule: median and range over n = {images}; grey tick: median at the start."],
        style.flag_notes(rows, "Open dots"),
        width=210 * len(shown) + 160,
    )


def _refuse(table: pd.DataFrame, declared: Table) -> None:
    style.refuse_other_columns(table, declared)
    if table.empty:
        raise ValueError(f"table {declared.name!r} has no rows: nothing to draw")


def _thinned(table: pd.DataFrame, points: int) -> pd.DataFrame:
    turns = table[[*_SERIES, "turn"]].drop_duplicates().sort_values([*_SERIES, "turn"])
    series = turns.groupby(_SERIES)
    rank, number = series.cumcount(), series["turn"].transform("size")
    stride = np.maximum((number - 1) / max(points - 1, 1), 1)
    kept = (np.floor(rank / stride) != np.floor((rank - 1) / stride)) | (rank == number - 1)
    return table.merge(turns[kept], on=[*_SERIES, "turn"])


def _quartiles(
    table: pd.DataFrame, labels: Labels, flagged: Collection[ConditionKey]
) -> pd.DataFrame:
    losses = table.groupby([*_SERIES, "step"])["loss"]
    rows = losses.agg(low="min", median="median", high="max", n_images="size").reset_index()
    rows = rows.astype({"low": float, "median": float, "high": float})
    return _dressed(rows, labels, flagged)


def _summary(
    table: pd.DataFrame, labels: Labels, flagged: Collection[ConditionKey]
) -> pd.DataFrame:
    groups = table.groupby(_SERIES)
    rows = groups["loss_stored"].agg(low="min", median="median", high="max", n_images="size")
    rows["before"] = groups["loss_before"].median()
    return _dressed(rows.reset_index(), labels, flagged)


def _dressed(rows: pd.DataFrame, labels: Labels, flagged: Collection[ConditionKey]) -> pd.DataFrame:
    rows["set"] = style.set_labels(rows, labels)
    rows["shown"] = rows["model"].map(lambda name: style.label_of(name, labels))
    rows["flagged"] = style.is_flagged(rows, flagged)
    # A logarithm has no zero: such a loss is left out of the drawing.
    losses = [name for name in ("low", "median", "high", "before") if name in rows]
    rows[losses] = rows[losses].where(rows[losses] > 0)
    return rows


def _colour(rows: pd.DataFrame, labels: Labels) -> alt.Color:
    models = style.in_order(set(rows["shown"]), list(labels.values()))
    colours = [style.CATEGORIES[k % len(style.CATEGORIES)] for k in range(len(models))]
    colour = alt.Color("shown:N", title="member").scale(domain=models, range=colours)
    return colour if len(models) <= _FEW else colour.legend(None)


def _daggers() -> alt.Chart:
    return (
        alt.Chart()
        .transform_filter(alt.datum.flagged)
        .mark_text(text=style.FLAG, fontSize=15, align="right", baseline="top")
        .encode(x=alt.value(186), y=alt.value(4))
    )
