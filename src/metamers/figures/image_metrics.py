"""Figure 4: image metrics of metamers."""

from __future__ import annotations

import re

import altair as alt
import numpy as np
import pandas as pd

from metamers.bootstrap import bootstrap_interval
from metamers.evaluation.metrics.registry import (
    MEASURES,
    MetricSpec,
    card,
    floor_of,
    takes_a_classifier,
)
from metamers.figures import style
from metamers.figures.data import NothingToDrawError, in_order, inline
from metamers.figures.inputs import FigureInputs
from metamers.images.crops import photograph_of
from metamers.storage.columns import CONDITION_KEY

UNDRAWN = ("scc_ceiling",)  # a property of the references alone
COMPUTED = "computed"
_OWN_FEATURES = (
    "Distances in a model's features are small for sets of which the model is a member: their "
    "metamers were made to match it."
)
_DIRECTION = (
    "Better is nearer to the reference as a picture. A metamer is made to match activations alone: "
    "a poor value is no failure of it."
)
_FLOOR = (
    "Dashed: distance of random halves of the references, which is bias alone, at half the number "
    "of images."
)
_CELL = [*CONDITION_KEY, "measure"]
_BETTER = {
    "up": "↑ higher is better",
    "down": "↓ lower is better",
    "neither": "no better direction",
}


def image_metrics(inputs: FigureInputs) -> alt.VConcatChart:
    """Return Fig 4: a panel per metric; a mark per set and stage, with its 95 % interval.

    Metrics without a value are named beneath, with the reason that the table gives. Marks of
    flagged conditions are open; the floor of a distance between sets is a line in its panel.

    Raises
    ------
    ValueError
        If a metric has no card (`metamers.evaluation.metrics.registry.card`).
    """
    table = inputs.rows("image_metrics")
    table = table[~table["measure"].isin(UNDRAWN)]
    floors = table[table["measure"].isin([*map(floor_of, table["measure"].unique())])]
    table = table.drop(index=floors.index)
    cards = {name: card(name) for name in in_order(set(table["measure"]), list(MEASURES))}
    rows = inputs.described(_means(table[table["status"] == COMPUTED]))
    rows["floor"] = rows["measure"].map(floor_of).map(floors.groupby("measure")["value"].mean())
    rows["floor"] = rows["floor"].mask(rows["measure"].duplicated())
    sets, stages = inputs.sets(rows), inputs.stages(rows)
    drawn = [name for name in cards if name in set(rows["measure"])]
    columns = min(len(drawn), 3)
    headings = style.headings([_label(cards[name]) for name in drawn], columns)
    rows["panel"] = rows["measure"].map(dict(zip(drawn, headings, strict=True)))
    rows["better"] = rows["measure"].map(lambda name: _BETTER[cards[name].better])
    rows["better"] = rows["better"].mask(rows["measure"].duplicated())
    chart = _marks(sets, stages).facet(
        facet=alt.Facet("panel:N", sort=headings, title=None, header=style.panel_header()),
        columns=columns,
        data=inline(rows),
        spacing={"row": 18, "column": 20},
    )
    return style.finish(
        chart.resolve_scale(x="independent"),
        "Image metrics of metamers",
        [_reading(rows)],
        [
            _DIRECTION,
            *([_FLOOR] if rows["floor"].notna().any() else []),
            *([_OWN_FEATURES] if any(map(takes_a_classifier, drawn)) else []),
            *_missing(table, cards),
            *_left_out(table, cards),
            *style.flag_notes(rows, "Open marks"),
        ],
        width=columns * 215 + 130,
    )


def _label(measure: MetricSpec) -> str:
    return f"{measure.label} ({measure.unit})" if measure.unit else measure.label


def _means(rows: pd.DataFrame) -> pd.DataFrame:
    """Return mean and interval of each condition and metric; n is 0 for a value of a set."""
    finite = rows[np.isfinite(rows["value"].astype(float))]
    if finite.empty:
        raise NothingToDrawError("no metric of the table is computed: there is nothing to draw")
    groups = finite.groupby(_CELL, sort=False)
    means = groups[["value", "low", "high"]].mean()
    means["n"] = groups["image_id"].count()  # of a set's own value 0: it has no image
    single = finite[finite["image_id"].notna()]
    photograph = single["image_id"].map(photograph_of)
    of_photographs = single.groupby([*_CELL, photograph])["value"].mean()
    resampled = of_photographs.groupby(level=_CELL).apply(np.asarray)
    ends = _intervals(resampled)
    means.loc[ends.index, ["low", "high"]] = ends
    return means.reset_index()


def _intervals(values: pd.Series) -> pd.DataFrame:
    ends = pd.DataFrame(index=values.index, columns=["low", "high"], dtype=float)
    for _, alike in values.groupby(values.map(len)):
        low, high = bootstrap_interval(np.stack(list(alike)), np.random.default_rng(0))
        ends.loc[alike.index] = np.column_stack([low, high])
    return ends


def _reading(rows: pd.DataFrame) -> str:
    single = rows.loc[rows["n"] > 0, "n"]
    if single.empty:
        return "Values of whole sets of images, with their 95 % intervals over images."
    return (
        f"Mean over n = {style.spread(single, 'image')} with its 95 % bootstrap interval; "
        "distances between sets with theirs, at this number of images."
    )


def _marks(sets: list[str], stages: list[str]) -> style.Layers:
    base = alt.Chart().encode(
        y=alt.Y("set:N", sort=sets, title=None)
        .scale(domain=sets, paddingInner=0.2)
        .axis(ticks=False, domain=False, labelLimit=220),
        yOffset=alt.YOffset("stage:N", sort=stages).scale(domain=stages, paddingOuter=0.4),
    )
    colour, shape = style.stage_colour(stages), style.shape_of("stage", stages, "stage")
    x = (
        alt.X("value:Q", title=None)
        .scale(zero=False, padding=8)
        .axis(tickCount=4, labelOverlap=True, labelSeparation=5)
    )
    tooltip = ["set:N", "stage:N", "value:Q", "low:Q", "high:Q", "n:Q"]
    neither = alt.datum.better == _BETTER["neither"]
    colours = alt.condition(neither, alt.value(style.FAINT), alt.value(style.GOOD))
    return alt.layer(
        style.beneath_heading("better", colours),
        alt.Chart()
        .transform_filter("isValid(datum.floor)")
        .mark_rule(color=style.FAINT, strokeDash=style.DASH)
        .encode(x=alt.X("floor:Q", title=None)),
        base.mark_rule(strokeWidth=1.6).encode(x="low:Q", x2="high:Q", color=colour),
        base.mark_point(size=46, filled=True, opacity=1).encode(
            x=x, shape=shape, color=colour, tooltip=tooltip
        ),
        style.opened(base, 14).encode(x=x, shape=shape),
    ).properties(width=190, height=style.step(12 + 9 * len(stages)))


def _missing(table: pd.DataFrame, cards: dict[str, MetricSpec]) -> list[str]:
    """Return why metrics have no value at all; addresses are left to the table."""
    computed = set(table.loc[table["status"] == COMPUTED, "measure"])
    missing = table[~table["measure"].isin(computed)].drop_duplicates(["measure", "status"])
    reasons = missing.groupby("measure")["status"].agg("; ".join)
    notes = [f"{cards[name].label}: {_brief(reasons[name])}" for name in cards if name in reasons]
    return notes and [*notes, "How to get them: column 'status' of the table image_metrics."]


def _brief(reason: str) -> str:
    return re.split(r";[^;]*https?://", reason)[0].rstrip(".") + "."


def _left_out(table: pd.DataFrame, cards: dict[str, MetricSpec]) -> list[str]:
    """Return how many values metrics lack, of those that have some."""
    known = (table["status"] == COMPUTED) & np.isfinite(table["value"].astype(float))
    counts = known.groupby(table["measure"]).agg(["sum", "size"])
    return [
        f"{cards[name].label}: {size - number} of {size} values are undefined and left out."
        for name, number, size in counts.itertuples()
        if 0 < number < size
    ]
