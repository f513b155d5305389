"""Figure 4: image metrics of metamers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import altair as alt
import numpy as np
import pandas as pd

from metamers import chart_style as style
from metamers.chart_style import ConditionKey, Labels
from metamers.measures import Measure
from metamers.tables import CONDITION_KEY, IMAGE_METRICS

COMPUTED = "computed"
_ARROWS = {
    "up": "↑ higher is better",
    "down": "↓ lower is better",
    "neither": "no better direction",
}
_RESAMPLES = 2000


def image_metrics(
    table: pd.DataFrame,
    measures: Mapping[str, Measure],
    *,
    labels: Labels,
    stages: Sequence[str],
    flagged: Collection[ConditionKey] = (),
) -> alt.VConcatChart:
    """Return Fig 4: a panel per metric; a dot per set and stage, with its 95 % interval.

    Metrics without a value are named beneath, with the reason that the table gives.

    Parameters
    ----------
    table
        Table `image_metrics`. Rows without image are values of a whole set: no interval.
    measures
        The card of each metric (`metamers.measures`); panels are in its order.
    labels
        Printed labels of sets; sets appear in its order.
    stages
        Names of the stages, from shallow to deep.
    flagged
        Conditions that are not metamers: open marks.

    Raises
    ------
    ValueError
        If the table has other columns, or holds a metric without a card.
    """
    style.refuse_other_columns(table, IMAGE_METRICS)
    unknown = sorted(set(table["measure"]) - set(measures))
    if unknown:
        raise ValueError(f"no card for the metrics {unknown}; see metamers.measures")
    rows = _means(table[table["status"] == COMPUTED].copy())
    if rows.empty:
        raise ValueError("no metric of the table is computed: nothing to draw")
    rows["set"] = style.set_labels(rows, labels)
    rows["flagged"] = style.is_flagged(rows, flagged)
    sets = style.order_of_sets(rows, rows["set"], labels)
    stages = style.in_order(set(rows["stage"]), stages)
    drawn = style.in_order(set(rows["measure"]), list(measures))
    panels = [
        _panel(rows[rows["measure"] == name], measures[name], sets, stages, place % 3 == 0)
        for place, name in enumerate(drawn)
    ]
    images = style.spread(rows.loc[rows["n"] > 0, "n"], "image")
    return style.finish(
        alt.concat(*panels, columns=3, spacing=22),
        "Image metrics of metamers",
        [f"Mean over n = {images}, with its 95 % bootstrap interval over images."],
        _notes(table, rows, measures),
        width=800,
    )


def _means(rows: pd.DataFrame) -> pd.DataFrame:
    """Return mean and interval of each condition and metric; n is 0 for a value of a set."""
    rows["finite"] = np.isfinite(rows["value"].astype(float))
    groups = rows.groupby([*CONDITION_KEY, "measure"], sort=False)
    return pd.DataFrame(
        [
            dict(zip([*CONDITION_KEY, "measure"], key, strict=True)) | _summary(group)
            for key, group in groups
        ]
    )


def _summary(group: pd.DataFrame) -> dict[str, object]:
    values = group.loc[group["finite"], "value"].to_numpy(float)
    left_out = int((~group["finite"]).sum())
    if group["image_id"].isna().all() or len(values) == 0:
        value = values[0] if len(values) else np.nan
        return {"value": value, "low": np.nan, "high": np.nan, "n": 0, "left_out": left_out}
    draws = np.random.default_rng(0).integers(len(values), size=(_RESAMPLES, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), [0.025, 0.975])
    return {
        "value": values.mean(),
        "low": low,
        "high": high,
        "n": len(values),
        "left_out": left_out,
    }


def _panel(
    rows: pd.DataFrame, measure: Measure, sets: list[str], stages: list[str], labelled: bool
) -> style.Layers:
    axis = alt.Axis(ticks=False, domain=False, labels=labelled, labelLimit=200)
    unit = f" ({measure.unit})" if measure.unit else ""
    base = alt.Chart(style.inline(rows)).encode(
        y=alt.Y("set:N", sort=sets, title=None).scale(domain=sets, paddingInner=0.25).axis(axis),
        yOffset=alt.YOffset("stage:N", sort=stages).scale(domain=stages, paddingOuter=0.4),
        color=style.stage_colour(stages),
    )
    dots = base.mark_point(size=42, filled=True, opacity=1, strokeWidth=1.4).encode(
        x=alt.X("value:Q", title=f"{measure.label}{unit}").scale(zero=False),
        shape=style.stage_shape(stages),
        stroke=alt.Stroke("stage:N", legend=None).scale(
            domain=stages, range=style.stage_colours(len(stages))
        ),
        fillOpacity=alt.condition(alt.datum.flagged, alt.value(0), alt.value(1)),
        tooltip=["set:N", "stage:N", "value:Q", "low:Q", "high:Q", "n:Q"],
    )
    rules = base.mark_rule(strokeWidth=1.6).encode(x="low:Q", x2="high:Q")
    title = alt.Title(
        measure.label, subtitle=_ARROWS[measure.better], fontSize=12, subtitleFontSize=11,
        subtitleColor=style.FAINT if measure.better == "neither" else style.GOOD,
    )  # fmt: skip
    height = alt.Step(12 + 9 * len(stages), **{"for": "position"})
    return alt.layer(rules, dots).properties(width=190, height=height, title=title)


def _notes(table: pd.DataFrame, rows: pd.DataFrame, measures: Mapping[str, Measure]) -> list[str]:
    notes = []
    missing = table[table["status"] != COMPUTED].drop_duplicates(["measure", "status"])
    for name in style.in_order(set(missing["measure"]), list(measures)):
        reasons = missing.loc[missing["measure"] == name, "status"]
        notes.append(f"Not computed: {measures[name].label}, {'; '.join(reasons)}")
    infinite = rows[rows["left_out"] > 0].groupby("measure")["left_out"].sum()
    notes += [
        f"{measures[str(name)].label}: {number} values that are not finite left out."
        for name, number in infinite.items()
    ]
    return notes + style.flag_notes(rows, "Open marks")
