"""Figure 3: who recognises the metamers, by set and stage."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd

from metamers import chart_style as style
from metamers.chart_data import (
    ConditionKey,
    Labels,
    in_order,
    inline,
    is_flagged,
    pick,
    printed,
    refuse_other_columns,
    set_labels,
    sets_in_order,
)
from metamers.tables import RECOGNIZABILITY, RECOGNIZABILITY_BY_SET

RULE_TEXT = {
    "self": "same answer as the evaluator's own to the reference",
    "label": "the answer is the reference's label",
    "generator": "the answer is that of most of the set's members to the reference",
}
WAYS_TEXT = {
    "1000": "1000 classes",
    "16_mean": "16 classes by mean probability",
    "16_first": "16 classes by the most probable class",
}
# One in a thousand cannot be told from the axis.
_CHANCE = {"16_mean": 1 / 16, "16_first": 1 / 16}
_HELD_OUT, _MEMBER = "held-out model", "member of the set"
_TWIN, _MEAN = "weights of a member", "mean of held-out models, 95 % interval"
_COLOURS = {
    _MEAN: style.BLACK,
    _HELD_OUT: style.HELD_OUT,
    _MEMBER: style.MEMBER,
    _TWIN: style.SAME_WEIGHTS,
}
_DASHES = {_MEAN: [1, 0], _HELD_OUT: [1, 0], _MEMBER: [5, 3], _TWIN: [2, 2]}
_FEW = 6


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
    line is the mean over held-out evaluators, the band its 95 % interval. Up to six evaluators
    are told apart by shape.

    Parameters
    ----------
    table, by_set
        Tables `recognizability` and `recognizability_by_set`.
    experiment
        The experiment to draw.
    labels
        Printed labels of models and sets; sets appear in its order.
    stages
        Names of the stages, from shallow to deep.
    rule, ways
        What the answer is compared with; by default the primary rule.
    flagged
        Conditions that are not metamers: their means are open circles.

    Raises
    ------
    ValueError
        If a table has other columns, or no row of this experiment and rule.
    """
    refuse_other_columns(table, RECOGNIZABILITY)
    refuse_other_columns(by_set, RECOGNIZABILITY_BY_SET)
    chosen = {"experiment": experiment, "rule": rule, "ways": ways}
    held_out = by_set[by_set["group"] == "held_out"]
    means = held_out[(held_out[list(chosen)] == list(chosen.values())).all(axis=1)]
    rows = _lines(pick(table, **chosen), means, labels, flagged)
    sets = sets_in_order(rows["model_set"], rows["set"], labels)
    columns = min(len(sets), 3) if len(sets) <= 9 else 5
    shapes = in_order(set(rows.loc[rows["kind"] != _MEAN, "line"]), list(labels.values()))
    grid = _Grid(
        sets,
        in_order(set(rows["stage"]), stages),
        columns,
        [kind for kind in _COLOURS if kind in set(rows["kind"])],
        shapes if len(shapes) <= _FEW else [],
        _CHANCE.get(ways),
    )
    return style.finish(
        _small_multiples(rows, grid),
        "Recognizability of metamers by models that did not make them",
        [f"Recognised: {RULE_TEXT[rule]}, {WAYS_TEXT[ways]}."],
        _notes(rows, ways),
        width=max(columns * 215, 380),
    )


@dataclass(frozen=True)
class _Grid:
    sets: list[str]
    stages: list[str]
    columns: int
    kinds: list[str]
    shapes: list[str]
    chance: float | None

    def at_bottom(self, place: int) -> bool:
        return place >= len(self.sets) - self.columns


def _lines(
    single: pd.DataFrame,
    means: pd.DataFrame,
    labels: Labels,
    flagged: Collection[ConditionKey],
) -> pd.DataFrame:
    kinds = [
        _MEMBER if member else _TWIN if twin else _HELD_OUT
        for member, twin in zip(single["member"], single["same_weights"], strict=True)
    ]
    single = single.assign(
        kind=kinds, line=printed(single["evaluator"], labels), value=single["recognizability"]
    )
    means = means.assign(kind=_MEAN, line=_MEAN, value=means["mean"])
    rows = pd.concat([single, means], ignore_index=True)
    rows["set"] = set_labels(rows, labels)
    rows["flagged"] = is_flagged(rows, flagged)
    wanted = ["model_set", "set", "stage", "line", "kind", "value", "low", "high", "flagged"]
    return rows[[*wanted, "n_images", "n_evaluators"]]


def _small_multiples(rows: pd.DataFrame, grid: _Grid) -> alt.ConcatChart:
    panels = [
        _panel(rows[rows["set"] == name], grid, place) for place, name in enumerate(grid.sets)
    ]
    return alt.concat(
        *panels, columns=grid.columns, spacing={"row": 18, "column": 20}
    ).resolve_scale(color="shared", strokeDash="shared", shape="shared")


def _panel(rows: pd.DataFrame, grid: _Grid, place: int) -> style.Layers:
    x = alt.X("stage:O", sort=grid.stages, title="stage" if grid.at_bottom(place) else None)
    first = place % grid.columns == 0
    base = alt.Chart(inline(rows)).encode(
        x=x.scale(domain=grid.stages).axis(labelAngle=0),
        y=style.share_axis("value", labelled=first),
        tooltip=["line:N", "stage:N", alt.Tooltip("value:Q", format=".3f"), "low:Q", "high:Q"],
    )
    layers = alt.layer(*_chance(grid), *_single(base, grid), *_mean(base))
    title = style.panel_title(grid.sets[place], _counts(rows))
    return layers.properties(width=190, height=170, title=title)


def _counts(rows: pd.DataFrame) -> str:
    means = rows[rows["kind"] == _MEAN]
    images = style.spread(rows["n_images"], "image")
    if means.empty:
        return f"n = {images}, no held-out model"
    return f"n = {images}, {style.spread(means['n_evaluators'].astype(int), 'held-out model')}"


def _chance(grid: _Grid) -> list[alt.Chart]:
    if grid.chance is None:
        return []
    line = alt.Chart(inline(pd.DataFrame({"share": [grid.chance]})))
    return [line.mark_rule(strokeDash=[1, 3], color=style.FAINT).encode(y="share:Q")]


def _single(base: alt.Chart, grid: _Grid) -> list[alt.Chart]:
    colour = (
        alt.Color("kind:N", title=None)
        .scale(domain=grid.kinds, range=[_COLOURS[kind] for kind in grid.kinds])
        .legend(
            orient="bottom",
            direction="vertical",
            symbolType="stroke",
            symbolSize=350,
            symbolOpacity=1,
        )
    )
    dash = alt.StrokeDash("kind:N", title=None).scale(
        domain=grid.kinds, range=[_DASHES[kind] for kind in grid.kinds]
    )
    one = base.transform_filter(alt.datum.kind != _MEAN)
    lines = one.mark_line(strokeWidth=1, opacity=0.8 if grid.shapes else 0.4).encode(
        color=colour, strokeDash=dash, detail="line:N"
    )
    points = one.mark_point(size=30 if grid.shapes else 8, filled=True, opacity=0.8)
    if grid.shapes:
        points = points.encode(shape=style.shape_of("line", grid.shapes, "evaluator", columns=2))
    return [lines, points.encode(color=colour)]


def _mean(base: alt.Chart) -> list[alt.Chart]:
    mean = base.transform_filter(alt.datum.kind == _MEAN)
    span = {"y": "low:Q", "y2": "high:Q"}
    return [
        mean.mark_area(opacity=0.14, color=style.BLACK).encode(**span),
        mean.mark_rule(strokeWidth=1.2, color=style.BLACK).encode(**span),
        mean.mark_line(strokeWidth=2.4, color=style.BLACK),
        mean.mark_point(size=52, filled=True, opacity=1, color=style.BLACK),
        style.opened(mean, 16),
    ]


def _notes(rows: pd.DataFrame, ways: str) -> list[str]:
    notes = ["Interval: 95 % bootstrap over images and evaluators."]
    if ways in _CHANCE:
        notes.append(f"Dotted: chance, {_CHANCE[ways]:.4f}.")
    return notes + style.flag_notes(rows, "Open circles")
