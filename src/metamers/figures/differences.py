"""What an ensemble gains, and what a model's presence in a set does (Table 5)."""

from __future__ import annotations

import altair as alt
import pandas as pd

from metamers.figures import style
from metamers.figures.data import NothingToDrawError, inline, printed
from metamers.figures.inputs import RECOGNISED, FigureInputs

_PLAIN, _ADJUSTED = "plain, as in Table 5", "evaluator means removed first"
_GAIN_RULES = (
    "95 % bootstrap intervals. Thin: over images and evaluators. Thick: over images only, for "
    "these evaluators alone."
)
_OWN = "its members alone (mean)"


def difference_in_means(inputs: FigureInputs) -> alt.VConcatChart:
    """Return Table 5 as a chart: effect of each model's presence, with 95 % intervals.

    Both the plain difference and the one after removing each evaluator's own mean are drawn.
    """
    table, labels = inputs.rows("difference_in_means"), inputs.labels
    ordered = table.sort_values(["adjusted", "model"], ascending=[False, True], ignore_index=True)
    ordered["shown"] = [
        f"{labels.get(name, name)} ({number}){' *' if p < 0.05 else ''}"
        for name, number, p in zip(
            ordered["model"], ordered["appearances"], ordered["p_adjusted"], strict=True
        )
    ]
    kinds = [_ADJUSTED, _PLAIN]
    plain = ordered.assign(kind=_PLAIN)
    adjusted = ordered.assign(
        kind=_ADJUSTED,
        difference=ordered["adjusted"],
        low=ordered["adjusted_low"],
        high=ordered["adjusted_high"],
    )
    rows = pd.concat([adjusted, plain], ignore_index=True).assign(flagged=False)
    chart = _intervals(rows, list(ordered["shown"]), kinds, "kind", 22)
    return style.finish(
        chart,
        "Effect of a model's presence in a mixed set on recognizability",
        [
            "Mean with it less mean without it, 95 % intervals; "
            f"n = {style.spread(ordered['n_sets'], 'set')} (in brackets: with it)."
        ],
        ["* differs from 0 at 5 % after Holm's correction for the number of models."],
        width=560,
    )


def ensemble_gain(inputs: FigureInputs) -> alt.VConcatChart:
    """Return how much more an ensemble's metamers are recognised than a single model's.

    Marks of flagged ensembles are open.
    """
    try:
        rows = inputs.described(inputs.judged("ensemble_gain"))
    except NothingToDrawError as reason:
        raise NothingToDrawError(
            "no ensemble stands beside a single model, with a model held out for both"
        ) from reason
    names = {"members": _OWN} | dict(inputs.labels)
    rows["shown"] = rows["set"] + " over " + printed(rows["against"], names)
    shown = inputs.stages(rows)
    chart = _intervals(rows, _comparisons(rows, inputs), shown, "stage", 12 + 9 * len(shown))
    return style.finish(
        chart,
        "What an ensemble gains over a single model",
        [
            "Difference in share recognised by models held out for both, image by image; "
            f"n = {style.spread(rows['n_images'], 'image')}, "
            f"{style.spread(rows['n_evaluators'], 'held-out model')}.",
            RECOGNISED,
        ],
        [_GAIN_RULES, *style.flag_notes(rows, "Open marks")],
        width=700,
    )


def _comparisons(rows: pd.DataFrame, inputs: FigureInputs) -> list[str]:
    """Return the lines of the chart: by ensemble, the comparison with its own members first."""
    sets = inputs.sets(rows)
    ranks = {name: rank for rank, name in enumerate(inputs.labels)} | {"members": -1}
    ranked = rows.assign(
        set_rank=rows["set"].map(sets.index),
        rank=rows["against"].map(lambda name: ranks.get(name, len(ranks))),
    )
    return list(ranked.sort_values(["set_rank", "rank", "shown"])["shown"].drop_duplicates())


def _intervals(
    rows: pd.DataFrame, order: list[str], kinds: list[str], kind: str, step: int
) -> style.Layers:
    base = alt.Chart(inline(rows)).encode(
        y=alt.Y("shown:N", sort=order, title=None)
        .scale(domain=order, paddingInner=0.15)
        .axis(ticks=False, domain=False, labelLimit=420),
        yOffset=alt.YOffset(f"{kind}:N", sort=kinds).scale(domain=kinds, paddingOuter=0.3),
    )
    if kind == "stage":
        colour = style.stage_colour(kinds)
    else:
        colour = (
            alt.Color(f"{kind}:N", title=None)
            .scale(domain=kinds, range=[style.HELD_OUT, style.MEMBER])
            .legend(orient="bottom")
        )
    shape = style.shape_of(kind, kinds, "stage" if kind == "stage" else "")
    x = alt.X("difference:Q", title="difference in share recognised")
    x = x.scale(padding=8).axis(tickCount=6, labelOverlap=False)
    thick = {"x": "images_low:Q", "x2": "images_high:Q", "color": colour}
    inner = [base.mark_rule(strokeWidth=3.5).encode(**thick)] if "images_low" in rows else []
    zero = alt.Chart(inline(pd.DataFrame({"zero": [0.0]}))).mark_rule(color=style.INK)
    return alt.layer(
        zero.encode(x="zero:Q"),
        base.mark_rule(strokeWidth=1.4).encode(x="low:Q", x2="high:Q", color=colour),
        *inner,
        base.mark_point(size=60, filled=True, opacity=1, stroke="white", strokeWidth=0.8).encode(
            x=x,
            color=colour,
            shape=shape,
            tooltip=["shown:N", "difference:Q", "low:Q", "high:Q"],
        ),
        style.opened(base, 13).encode(x=x, shape=shape),
    ).properties(width=360, height=style.step(step))
