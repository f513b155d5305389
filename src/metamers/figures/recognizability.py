"""Figure 3: who recognises the metamers, by set and stage."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import altair as alt
import pandas as pd

from metamers.figures import style
from metamers.figures.data import (
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
from metamers.storage.tables import CONDITION_KEY, RECOGNIZABILITY, RECOGNIZABILITY_BY_SET

RULE_TEXT = {
    "self": "same answer as the evaluator's own to the reference",
    "label": "the answer is the reference's label",
    "generator": "the answer is that of most of the set's members to the reference",
}
LABEL_SPACE_TEXT = {
    "1000": "1000 classes",
    "16_mean": "16 classes by mean probability",
    "16_first": "16 classes by the most probable class",
}
_HELD_OUT, _MEMBER = "held-out model", "member of the set"
_TWIN, _MEAN = "weights of a member", "mean of held-out models, 95 % interval"
_PEOPLE = "people, published (Feather et al. 2023), 16 categories"
_COLOURS = {
    _MEAN: style.BLACK,
    _PEOPLE: style.GOOD,
    _HELD_OUT: style.HELD_OUT,
    _MEMBER: style.MEMBER,
    _TWIN: style.SAME_WEIGHTS,
}
_DASHES = {_MEAN: [1, 0], _PEOPLE: [1, 0], _HELD_OUT: [1, 0], _MEMBER: [5, 3], _TWIN: [2, 2]}
_FEW = 6


def recognizability(
    table: pd.DataFrame,
    by_set: pd.DataFrame,
    *,
    experiment: str,
    labels: Labels,
    stages: Sequence[str],
    rule: str = "self",
    label_space: str = "1000",
    flagged: Collection[ConditionKey] = (),
    limits: Sequence[float] = (),
    people: pd.DataFrame | None = None,
) -> alt.VConcatChart:
    """Return Fig 3: one panel per model set, share recognised against stage.

    A thin line is one evaluator; the set's members are dashed and of another colour. The thick
    line is the mean over held-out, trained evaluators, the band its 95 % interval. Up to six
    evaluators are told apart by shape.

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
    rule, label_space
        What the answer is compared with; by default the primary rule.
    flagged
        Conditions that are not metamers: their means are open circles.
    limits
        Chance and ceiling of trained evaluators, as means: dotted.
    people
        Columns model_set, stage, people, people_low and people_high: what people recognised in
        metamers of that network and layer (Feather et al. 2023), drawn beside the sets' lines.

    Raises
    ------
    ValueError
        If a table has other columns, or no row of this experiment and rule.
    """
    refuse_other_columns(table, RECOGNIZABILITY)
    refuse_other_columns(by_set, RECOGNIZABILITY_BY_SET)
    chosen = {"experiment": experiment, "rule": rule, "label_space": label_space}
    held_out = by_set[by_set["group"] == "trained"]
    means = held_out[(held_out[list(chosen)] == list(chosen.values())).all(axis=1)]
    rows = _lines(pick(table, **chosen), means, labels, flagged, people)
    sets = sets_in_order(rows["model_set"], rows["set"], labels)
    columns = _columns(len(sets))
    headings = style.headings(sets, columns)
    rows["panel"] = rows["set"].map(dict(zip(sets, headings, strict=True)))
    chart = _layers(rows, in_order(set(rows["stage"]), stages), labels, limits).facet(
        facet=alt.Facet("panel:N", sort=headings, title=None, header=style.panel_header()),
        columns=columns,
        data=inline(rows),
        spacing={"row": 18, "column": 20},
    )
    return style.finish(
        chart,
        "Recognizability of metamers by models that did not make them",
        [f"Recognised: {RULE_TEXT[rule]}, {LABEL_SPACE_TEXT[label_space]}."],
        _notes(rows, limits),
        width=max(columns * 215, 380),
    )


def _columns(panels: int) -> int:
    """Return the columns of the grid: such that no place stays empty, if few enough can do it."""
    if panels <= 3:
        return panels
    choices = (3, 4, 5) if panels <= 9 else (5, 4, 6)
    return next((number for number in choices if panels % number == 0), choices[0])


def _lines(
    single: pd.DataFrame,
    means: pd.DataFrame,
    labels: Labels,
    flagged: Collection[ConditionKey],
    people: pd.DataFrame | None,
) -> pd.DataFrame:
    kinds = [
        _MEMBER if member else _TWIN if twin else _HELD_OUT
        for member, twin in zip(single["member"], single["same_weights"], strict=True)
    ]
    single = single.assign(
        kind=kinds, line=printed(single["evaluator"], labels), value=single["recognizability"]
    )
    means = means.assign(kind=_MEAN, line=_MEAN, value=means["mean"])
    rows = pd.concat([single, means, *_people(means, people)], ignore_index=True)
    rows["set"] = set_labels(rows, labels)
    rows["flagged"] = is_flagged(rows, flagged)
    rows["counts"] = rows["set"].map({name: _counts(own) for name, own in rows.groupby("set")})
    rows["counts"] = rows["counts"].mask(rows["set"].duplicated())
    wanted = ["model_set", "set", "stage", "line", "kind", "value", "low", "high", "flagged"]
    return rows[[*wanted, "counts"]]


def _people(means: pd.DataFrame, people: pd.DataFrame | None) -> list[pd.DataFrame]:
    """Return the rows of people, one for each condition that they saw the like of, if any."""
    if people is None:
        return []
    seen = means[list(CONDITION_KEY)].merge(people, on=["model_set", "stage"])
    names = {"people": "value", "people_low": "low", "people_high": "high"}
    return [seen.rename(columns=names).assign(kind=_PEOPLE, line=_PEOPLE)] if len(seen) else []


def _counts(rows: pd.DataFrame) -> str:
    means = rows[rows["kind"] == _MEAN]
    images = style.spread(rows["n_images"].dropna().astype(int), "image")
    if means.empty:
        return f"n = {images}, no held-out model"
    return f"n = {images}, {style.spread(means['n_evaluators'].astype(int), 'held-out model')}"


def _layers(
    rows: pd.DataFrame, stages: list[str], labels: Labels, limits: Sequence[float]
) -> style.Layers:
    base = alt.Chart().encode(
        x=alt.X("stage:O", sort=stages, title="stage").scale(domain=stages).axis(labelAngle=0),
        y=style.share_axis("value"),
        tooltip=["line:N", "stage:N", alt.Tooltip("value:Q", format=".3f"), "low:Q", "high:Q"],
    )
    dotted = alt.Chart().mark_rule(strokeDash=[1, 3], color=style.FAINT)
    marks = [dotted.encode(y=alt.datum(limit)) for limit in limits]
    layers = alt.layer(
        style.beneath_heading("counts"), *marks, *_single(base, rows, labels), *_mean(base)
    )
    return layers.properties(width=190, height=170)


def _single(base: alt.Chart, rows: pd.DataFrame, labels: Labels) -> list[alt.Chart]:
    kinds = [kind for kind in _COLOURS if kind in set(rows["kind"])]
    judged = ~rows["kind"].isin([_MEAN, _PEOPLE])
    evaluators = in_order(set(rows.loc[judged, "line"]), list(labels.values()))
    few = len(evaluators) <= _FEW
    colour = (
        alt.Color("kind:N", title=None)
        .scale(domain=kinds, range=[_COLOURS[kind] for kind in kinds])
        .legend(
            orient="bottom",
            direction="vertical",
            symbolType="stroke",
            symbolSize=350,
            symbolOpacity=1,
        )
    )
    dash = alt.StrokeDash("kind:N", title=None).scale(
        domain=kinds, range=[_DASHES[kind] for kind in kinds]
    )
    one = base.transform_filter(alt.datum.kind != _MEAN)
    lines = one.mark_line(strokeWidth=1, opacity=0.8 if few else 0.4).encode(
        color=colour, strokeDash=dash, detail="line:N"
    )
    points = one.mark_point(size=30 if few else 8, filled=True, opacity=0.8).encode(color=colour)
    seen = one.transform_filter(alt.datum.kind == _PEOPLE)
    spans = seen.mark_rule(strokeWidth=1, color=_COLOURS[_PEOPLE]).encode(y="low:Q", y2="high:Q")
    if few:
        points = points.encode(shape=style.shape_of("line", evaluators, "evaluator", columns=2))
    return [lines, points, spans]


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


def _notes(rows: pd.DataFrame, limits: Sequence[float]) -> list[str]:
    notes = ["Interval: 95 % bootstrap over images and evaluators."]
    if limits:
        shown = " and ".join(f"{limit:.3f}" for limit in limits)
        notes.append(f"Dotted: agreement with other and with mildly changed references, {shown}.")
    return notes + style.flag_notes(rows, "Open circles")
