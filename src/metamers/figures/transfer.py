"""Who recognises whose metamers: transfer within and across families."""

from __future__ import annotations

import altair as alt
import pandas as pd

from metamers.figures import style
from metamers.figures.data import inline, printed
from metamers.figures.inputs import FigureInputs

MEAN = "mean, held out and trained"
_NOTES = [
    "Dashed: the evaluator is a member of the set, or has the weights of one. Evaluators are by "
    "family; below each, the mean of those that are held out and trained."
]
_SETS_WITH_TEXT = 12
_LARGE, _SMALL = 44, 15


def transfer(inputs: FigureInputs) -> alt.VConcatChart:
    """Return the share of each set's metamers that each evaluator recognises, by family.

    A panel per stage and family of evaluators, a column per model set; a dagger says that a
    condition is flagged.
    """
    rows = _cells(inputs.judged("recognizability"), inputs)
    sets, shown = inputs.sets(rows), inputs.stages(rows)
    cell = _LARGE if len(sets) <= _SETS_WITH_TEXT else _SMALL
    evaluators = [*inputs.printed_order(rows.loc[rows["shown"] != MEAN, "shown"]), MEAN]
    # Side by side, not as columns of a facet: where scales are independent, Vega puts these beneath
    # headings in alphabetical order.
    chart = alt.hconcat(
        *(
            _heatmap(sets, evaluators, cell)
            .facet(
                row=alt.Row("family:N", title=None, header=style.side_header()),
                data=inline(rows[rows["stage"] == stage]),
            )
            .resolve_scale(y="independent")
            .properties(title=alt.Title(stage, anchor="middle"))
            for stage in shown
        )
    )
    images = style.spread(rows["n_images"], "image")
    return style.finish(
        chart,
        "Transfer of metamers within and across families",
        [f"Share that an evaluator takes for the class of the reference; n = {images}."],
        [*_NOTES, *style.flag_notes(rows, style.FLAG)],
        width=max(cell * len(sets) * len(shown) + 270, 480),
    )


def _cells(rows: pd.DataFrame, inputs: FigureInputs) -> pd.DataFrame:
    zoo = inputs.plan.zoo
    rows = rows.assign(
        shown=printed(rows["evaluator"], inputs.labels),
        family=[zoo[name]["family"] for name in rows["evaluator"]],
        own=rows["member"] | rows["same_weights"],
    )
    kept = ["references", "recipe", "model_set", "stage", "bound", "family", "n_images"]
    means = rows[~rows["own"] & rows["trained"]].groupby(kept, observed=True, as_index=False)
    mean = means["recognizability"].mean().assign(shown=MEAN, own=False)
    found = pd.concat([rows[[*kept, "shown", "own", "recognizability"]], mean], ignore_index=True)
    found = inputs.described(found)
    daggers = found["flagged"].map({True: style.FLAG, False: ""})
    found["text"] = found["recognizability"].map("{:.2f}".format) + daggers
    return found


def _heatmap(sets: list[str], evaluators: list[str], cell: int) -> style.Layers:
    base = alt.Chart().encode(
        x=alt.X("set:N", sort=sets, title=None)
        .scale(domain=sets)
        .axis(labelAngle=-45, labelLimit=220, ticks=False, domain=False),
        y=alt.Y("shown:N", sort=evaluators, title=None).axis(
            labelLimit=240, ticks=False, domain=False
        ),
    )
    colour = (
        alt.Color("recognizability:Q", title="share recognised")
        .scale(scheme="blues", domain=[0, 1])
        .legend(values=[0, 0.2, 0.4, 0.6, 0.8, 1], gradientLength=120)
    )
    tooltip = ["shown:N", "set:N", "stage:N", "family:N", "recognizability:Q"]
    cells = base.mark_rect(stroke="white", strokeWidth=0.5).encode(color=colour, tooltip=tooltip)
    outline = base.transform_filter(alt.datum.own).mark_rect(
        fillOpacity=0, stroke=style.MEMBER, strokeWidth=1.8, strokeDash=style.DASH
    )
    ink = alt.condition(alt.datum.recognizability > 0.6, alt.value("white"), alt.value(style.INK))
    daggers = base.transform_filter(alt.datum.flagged).mark_text(fontSize=10, text=style.FLAG)
    words = base.mark_text(fontSize=10.5).encode(text="text:N") if cell > _SMALL else daggers
    layers = alt.layer(cells, words.encode(color=ink), outline)
    return layers.properties(width=alt.Step(cell), height=alt.Step(18))
