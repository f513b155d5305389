"""Figure 3: who recognises the metamers, by set and stage."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import altair as alt
import pandas as pd

from metamers import chart_style as style
from metamers.chart_style import ConditionKey, Labels
from metamers.tables import RECOGNIZABILITY, RECOGNIZABILITY_BY_SET

RULE_TEXT = {
    "self": "same answer as the evaluator's own to the reference",
    "label": "answer is the reference's label",
    "generator": "answer is that of most of the set's members to the reference",
}
WAYS_TEXT = {
    "1000": "1000 classes",
    "16_mean": "16 classes (mean probability)",
    "16_first": "16 classes (first mapped class)",
}
CHANCE = {"1000": 1 / 1000, "16_mean": 1 / 16, "16_first": 1 / 16}
_HELD_OUT, _MEMBER = "held-out model", "member of the set"
_TWIN, _MEAN = "weights of a member", "mean of the held-out models"
_DASHES = {_HELD_OUT: [1, 0], _MEMBER: [5, 3], _TWIN: [2, 2], _MEAN: [1, 0]}
_COLOURS = {
    _HELD_OUT: style.HELD_OUT, _MEMBER: style.MEMBER,
    _TWIN: style.SAME_WEIGHTS, _MEAN: "#000000",
}  # fmt: skip


def recognizability(
    table: pd.DataFrame,
    by_set: pd.DataFrame,
    *,
    experiment: str,
    labels: Labels,
    stages: Sequence[str],
    rule: str = "self",
    ways: str = "1000",
    flagged: Collection[ConditionKey] = (),
) -> alt.VConcatChart:
    """Return Fig 3: one panel per model set, share recognised against stage.

    A thin line is one evaluator; the set's members are dashed and of another colour. The thick
    line is the mean over held-out evaluators, the band its 95 % interval.

    Parameters
    ----------
    table, by_set
        Tables `recognizability` and `recognizability_by_set`.
    labels
        Printed labels of models and sets; sets appear in its order.
    stages
        Names of the stages, from shallow to deep.
    rule, ways
        What the answer is compared with; by default the primary rule of the paper.
    flagged
        Conditions that are not metamers: their means are open circles.

    Raises
    ------
    ValueError
        If a table has other columns, or no row of this experiment and rule.
    """
    style.refuse_other_columns(table, RECOGNIZABILITY)
    style.refuse_other_columns(by_set, RECOGNIZABILITY_BY_SET)
    chosen = {"experiment": experiment, "rule": rule, "ways": ways}
    lines = _lines(style.pick(table, **chosen), labels, flagged)
    means = _means(style.pick(by_set, **chosen, group="held_out"), labels, flagged)
    rows, panels = _panels(lines, means, labels)
    columns = _columns(len(panels))
    chart = _layers(rows, stages, ways).facet(
        facet=alt.Facet("panel:N", sort=panels, title=None, header=_header()),
        columns=columns,
        data=style.inline(rows),
    )
    return style.finish(
        chart,
        "Recognizability of metamers by models that did not make them",
        [f"Recognised: {RULE_TEXT[rule]}, {WAYS_TEXT[ways]}."],
        _notes(rows),
        width=columns * 230,
    )


def _kind(row: pd.Series) -> str:
    return _MEMBER if row["member"] else _TWIN if row["same_weights"] else _HELD_OUT


def _lines(rows: pd.DataFrame, labels: Labels, flagged: Collection[ConditionKey]) -> pd.DataFrame:
    rows["kind"] = rows.apply(_kind, axis=1)
    rows["line"] = rows["evaluator"].map(lambda name: style.label_of(name, labels))
    rows["value"] = rows["recognizability"]
    rows["flagged"] = style.is_flagged(rows, flagged)
    rows["n_evaluators"] = 1
    return rows


def _means(rows: pd.DataFrame, labels: Labels, flagged: Collection[ConditionKey]) -> pd.DataFrame:
    rows["kind"] = rows["line"] = _MEAN
    rows["value"] = rows["mean"]
    rows["flagged"] = style.is_flagged(rows, flagged)
    return rows


def _panels(
    lines: pd.DataFrame, means: pd.DataFrame, labels: Labels
) -> tuple[pd.DataFrame, list[str]]:
    rows = pd.concat([lines, means], ignore_index=True)
    shown = style.set_labels(rows, labels)
    counts = rows.assign(shown=shown)[rows["kind"] == _MEAN].groupby("shown")
    headings = {
        name: f"{name}\nn = {style.spread(group['n_images'], 'image')}, "
        f"{style.spread(group['n_evaluators'], 'held-out model')}"
        for name, group in counts
    }
    rows["panel"] = shown.map(lambda name: headings.get(name, f"{name}\nno held-out model"))
    order = [
        rows.loc[shown == name, "panel"].iloc[0]
        for name in style.order_of_sets(rows, shown, labels)
    ]
    wanted = ["panel", "stage", "line", "kind", "value", "low", "high", "flagged", "n_images"]
    return rows[wanted], order


def _columns(panels: int) -> int:
    return min(panels, 3) if panels <= 9 else 5


def _header() -> alt.Header:
    return alt.Header(labelExpr="split(datum.label, '\\n')", labelPadding=6)


def _layers(rows: pd.DataFrame, stages: Sequence[str], ways: str) -> style.Layers:
    present = [kind for kind in _COLOURS if kind in set(rows["kind"])]
    shown = style.in_order(set(rows["stage"]), stages)
    x = alt.X("stage:O", sort=shown, title="stage of the inverted activations").axis(labelAngle=0)
    y = alt.Y("value:Q", title="share recognised").scale(domain=[0, 1])
    colour = (
        alt.Color("kind:N", title=None)
        .scale(domain=present, range=[_COLOURS[kind] for kind in present])
        .legend(orient="bottom", symbolType="stroke", symbolStrokeWidth=3)
    )
    dash = (
        alt.StrokeDash("kind:N", title=None)
        .scale(domain=present, range=[_DASHES[kind] for kind in present])
        .legend(orient="bottom")
    )
    base = alt.Chart().encode(x=x)
    single = base.transform_filter(alt.datum.kind != _MEAN)
    mean = base.transform_filter(alt.datum.kind == _MEAN)
    tooltip = ["line:N", "stage:N", alt.Tooltip("value:Q", format=".3f"), "n_images:Q"]
    line = {"y": y, "color": colour, "strokeDash": dash, "detail": "line:N", "tooltip": tooltip}
    return alt.layer(
        mean.mark_area(opacity=0.16, color="#000000").encode(y="low:Q", y2="high:Q"),
        mean.mark_rule(strokeWidth=1.2, color="#000000").encode(y="low:Q", y2="high:Q"),
        single.mark_line(strokeWidth=1, opacity=0.7).encode(**line),
        single.mark_point(size=9, filled=True, opacity=0.8).encode(
            y=y, color=colour, tooltip=tooltip
        ),
        mean.mark_line(strokeWidth=2.4).encode(**line),
        mean.mark_point(size=46, filled=True, opacity=1, stroke="#000000", strokeWidth=1.5).encode(
            y=y,
            tooltip=tooltip,
            fill=style.flag_fill("#000000"),
        ),
    ).properties(width=190, height=170)


def _notes(rows: pd.DataFrame) -> list[str]:
    notes = ["Band and bars: 95 % bootstrap interval of the mean, over images and evaluators."]
    return notes + style.flag_notes(rows, "Open circles")
