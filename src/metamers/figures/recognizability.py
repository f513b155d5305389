"""Figure 3: who recognises the metamers, by set and stage."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from metamers.figures import style
from metamers.figures.data import inline, printed
from metamers.figures.human_alignment import published_people
from metamers.figures.inputs import RECOGNISED, FigureInputs
from metamers.storage.columns import CONDITION_KEY, PRIMARY_RULE
from metamers.storage.tables import matching

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


def recognizability(inputs: FigureInputs) -> alt.VConcatChart:
    """Return Fig 3: one panel per model set, share recognised against stage.

    A thin line is one evaluator; the set's members are dashed and of another colour. The thick
    line is the mean over held-out, trained evaluators, the band its 95 % interval; means of
    flagged conditions are open circles. Up to six evaluators are told apart by shape. Dotted are
    chance and ceiling of trained evaluators. Beside stands what people recognised in metamers of
    the same network and layer (Feather et al. 2023), where they saw them.
    """
    means = matching(inputs.rows("recognizability_by_set"), group="trained", **PRIMARY_RULE)
    rows = _lines(inputs.judged("recognizability"), means, inputs)
    limits, sets = _limits(inputs), inputs.sets(rows)
    columns = _columns(len(sets))
    headings = style.headings(sets, columns)
    rows["panel"] = rows["set"].map(dict(zip(sets, headings, strict=True)))
    chart = _layers(rows, limits, inputs).facet(
        facet=alt.Facet("panel:N", sort=headings, title=None, header=style.panel_header()),
        columns=columns,
        data=inline(rows),
        spacing={"row": 18, "column": 20},
    )
    return style.finish(
        chart,
        "Recognizability of metamers by models that did not make them",
        [RECOGNISED],
        _notes(rows, limits),
        width=max(columns * 215, 380),
    )


def _columns(panels: int) -> int:
    """Return the columns of the grid: such that no place stays empty, if few enough can do it."""
    if panels <= 3:
        return panels
    choices = (3, 4, 5) if panels <= 9 else (5, 4, 6)
    return next((number for number in choices if panels % number == 0), choices[0])


def _limits(inputs: FigureInputs) -> list[float]:
    """Return chance and ceiling of the evaluators that were trained, as means over them."""
    judged = inputs.tables["recognizability"]
    trained = set(judged.loc[judged["trained"], "evaluator"])
    found = []
    for name, column in (("chance", "chance"), ("ceiling", "agreement")):
        rows = matching(inputs.tables[name], label_space=PRIMARY_RULE["label_space"])
        rows = rows[rows["evaluator"].isin(trained)]
        found += [float(rows[column].mean())] if len(rows) else []
    return found


def _lines(single: pd.DataFrame, means: pd.DataFrame, inputs: FigureInputs) -> pd.DataFrame:
    kinds = [
        _MEMBER if member else _TWIN if twin else _HELD_OUT
        for member, twin in zip(single["member"], single["same_weights"], strict=True)
    ]
    single = single.assign(
        kind=kinds,
        line=printed(single["evaluator"], inputs.labels),
        value=single["recognizability"],
    )
    means = means.assign(kind=_MEAN, line=_MEAN, value=means["mean"])
    rows = inputs.described(
        pd.concat([single, means, *_people(means, published_people(inputs))], ignore_index=True)
    )
    rows["counts"] = rows["set"].map({name: _counts(own) for name, own in rows.groupby("set")})
    rows["counts"] = rows["counts"].mask(rows["set"].duplicated())
    wanted = ["model_set", "set", "stage", "line", "kind", "value", "low", "high", "flagged"]
    return rows[[*wanted, "counts"]]


def _people(means: pd.DataFrame, people: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the rows of people, one for each condition that they saw the like of, if any."""
    seen = means[list(CONDITION_KEY)].merge(people, on=["model_set", "stage"])
    names = {"people": "value", "people_low": "low", "people_high": "high"}
    return [seen.rename(columns=names).assign(kind=_PEOPLE, line=_PEOPLE)] if len(seen) else []


def _counts(rows: pd.DataFrame) -> str:
    means = rows[rows["kind"] == _MEAN]
    images = style.spread(rows["n_images"].dropna().astype(int), "image")
    if means.empty:
        return f"n = {images}, no held-out model"
    return f"n = {images}, {style.spread(means['n_evaluators'].astype(int), 'held-out model')}"


def _layers(rows: pd.DataFrame, limits: Sequence[float], inputs: FigureInputs) -> style.Layers:
    stages = inputs.stages(rows)
    base = alt.Chart().encode(
        x=alt.X("stage:O", sort=stages, title="stage").scale(domain=stages).axis(labelAngle=0),
        y=style.share_axis("value"),
        tooltip=["line:N", "stage:N", alt.Tooltip("value:Q", format=".3f"), "low:Q", "high:Q"],
    )
    dotted = alt.Chart().mark_rule(strokeDash=[1, 3], color=style.FAINT)
    marks = [dotted.encode(y=alt.datum(limit)) for limit in limits]
    layers = alt.layer(
        style.beneath_heading("counts"), *marks, *_single(base, rows, inputs), *_mean(base)
    )
    return layers.properties(width=190, height=170)


def _single(base: alt.Chart, rows: pd.DataFrame, inputs: FigureInputs) -> list[alt.Chart]:
    kinds = [kind for kind in _COLOURS if kind in set(rows["kind"])]
    judged = ~rows["kind"].isin([_MEAN, _PEOPLE])
    evaluators = inputs.printed_order(rows.loc[judged, "line"])
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
