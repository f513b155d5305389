"""Figure 7 and Table 5: metamers of mixed model sets."""

from __future__ import annotations

from collections.abc import Collection

import altair as alt
import numpy as np
import pandas as pd

from metamers import chart_style as style
from metamers.chart_style import ConditionKey, Labels
from metamers.figures.transfer import RULE_TEXT, WAYS_TEXT
from metamers.tables import CONDITION_KEY, DIFFERENCE_IN_MEANS, MIXED_SETS, RECOGNIZABILITY

_WIDTH = 760


def mixed_sets(
    table: pd.DataFrame,
    recognizability: pd.DataFrame,
    *,
    experiment: str,
    labels: Labels,
    rule: str = "self",
    ways: str = "1000",
    flagged: Collection[ConditionKey] = (),
) -> alt.VConcatChart:
    """Return Fig 7: recognizability of each mixed set, sorted, and the histogram of their means.

    Parameters
    ----------
    table
        Table `mixed_sets`.
    recognizability
        Table `recognizability`: gives the held-out evaluators of each set.
    experiment
        The experiment whose rows of `recognizability` are drawn.
    labels
        Printed labels of models and sets.
    rule, ways
        As for `recognizability`; those that `table` was made with.
    flagged
        Conditions that are not metamers: open marks.

    Raises
    ------
    ValueError
        If a table has other columns, or a set has no held-out evaluator.
    """
    style.refuse_other_columns(table, MIXED_SETS)
    style.refuse_other_columns(recognizability, RECOGNIZABILITY)
    judged = style.pick(recognizability, experiment=experiment, rule=rule, ways=ways)
    held_out = judged[~judged["member"] & ~judged["same_weights"]]
    rows = _sorted(table, held_out, labels, flagged)
    images = style.spread(rows["n_images"], "image")
    subtitle = [
        f"{style.counted(len(rows), 'set')} of {style.spread(rows['size'], 'model')}; "
        f"n = {images}, {style.spread(rows['n_evaluators'], 'held-out model')}. "
        f"Mean {rows['mean'].mean():.3f}, standard deviation over sets {rows['mean'].std():.3f}.",
        f"Recognised: {RULE_TEXT[rule]}, {WAYS_TEXT[ways]}.",
    ]
    notes = ["Each line: lowest to highest held-out model; bar: quartiles; dot: mean."]
    notes += style.flag_notes(rows, "Open dots")
    return style.finish(
        alt.hconcat(_distributions(rows), _histogram(rows), spacing=14),
        "Recognizability of metamers of mixed model sets",
        subtitle,
        notes,
        width=_WIDTH,
    )


def _sorted(
    table: pd.DataFrame,
    held_out: pd.DataFrame,
    labels: Labels,
    flagged: Collection[ConditionKey],
) -> pd.DataFrame:
    key = list(CONDITION_KEY)
    quantiles = held_out.groupby(key)["recognizability"].quantile(np.linspace(0, 1, 5)).unstack()
    quantiles.columns = pd.Index(["q0", "q1", "q2", "q3", "q4"])
    rows = table.merge(quantiles.reset_index(), on=key, how="left")
    if rows["q2"].isna().any():
        lost = sorted(rows.loc[rows["q2"].isna(), "model_set"])
        raise ValueError(f"no held-out evaluator judged the sets {lost}; see `recognizability`")
    rows["flagged"] = style.is_flagged(rows, flagged)
    rows["set"] = style.set_labels(rows, labels)
    rows["made_of"] = [
        ", ".join(style.label_of(name, labels) for name in made) for made in rows["members"]
    ]
    rows = rows.sort_values(["mean", "set"], kind="stable", ignore_index=True)
    rows["place"] = rows.index + 1
    return rows.drop(columns=["members"])


def _distributions(rows: pd.DataFrame) -> style.Layers:
    step = max(min(560 // len(rows), 40), 6)
    base = alt.Chart(style.inline(rows)).encode(
        x=alt.X("place:O", title="model set, sorted by its mean").axis(labels=False, ticks=False)
    )
    value = alt.Y("mean:Q", title="share recognised").scale(domain=[0, 1])
    size = alt.Color("size:O", title="models in the set").scale(scheme="viridis", reverse=True)
    return alt.layer(
        base.mark_rule(color="#9a9a9a").encode(y="q0:Q", y2="q4:Q"),
        base.mark_bar(width=alt.RelativeBandSize(0.7), opacity=0.45).encode(
            y="q1:Q", y2="q3:Q", color=size
        ),
        base.mark_point(size=26, filled=True, opacity=1, stroke="black", strokeWidth=1).encode(
            y=value,
            fill=style.flag_fill("black"),
            tooltip=["set:N", "made_of:N", "size:Q", "mean:Q", "low:Q", "high:Q", "n_evaluators:Q"],
        ),
    ).properties(width=step * len(rows), height=260)


def _histogram(rows: pd.DataFrame) -> alt.Chart:
    edges = pd.cut(rows["mean"], [k / 20 for k in range(21)], include_lowest=True)
    counts = edges.value_counts(sort=False).reset_index(drop=True)
    bins = pd.DataFrame(
        {
            "from": [k / 20 for k in range(20)],
            "to": [(k + 1) / 20 for k in range(20)],
            "sets": counts,
        }
    )
    return (
        alt.Chart(style.inline(bins))
        .mark_bar(color=style.HELD_OUT, opacity=0.8, stroke="white", orient="horizontal")
        .encode(
            y=alt.Y("from:Q", title=None).scale(domain=[0, 1]).axis(labels=False),
            y2="to:Q",
            x=alt.X("sets:Q", title="number of sets").axis(tickMinStep=1, format="d"),
            x2=alt.datum(0),
        )
        .properties(width=110, height=260)
    )


def difference_in_means(table: pd.DataFrame, *, labels: Labels) -> alt.VConcatChart:
    """Return Table 5 as a chart: effect of each model's presence, with its 95 % interval.

    Filled dots are adjusted for which evaluators judged; crosses are the plain difference
    of means, as the paper prints it.

    Raises
    ------
    ValueError
        If the table has other columns or no rows.
    """
    style.refuse_other_columns(table, DIFFERENCE_IN_MEANS)
    if table.empty:
        raise ValueError("table 'difference_in_means' has no rows: nothing to draw")
    rows = table.sort_values(["adjusted", "model"], ascending=[False, True], ignore_index=True)
    rows["shown"] = [
        f"{style.label_of(name, labels)} ({number})"
        for name, number in zip(rows["model"], rows["appearances"], strict=True)
    ]
    return style.finish(
        _effects(rows),
        "Effect of a model's presence in a mixed set",
        [f"Mean recognizability with it less without it; {style.spread(rows['n_sets'], 'set')} "
         "(in brackets: sets with it)."],
        ["Filled dots with 95 % intervals: after removing each evaluator's own mean. Crosses: "
         "plain difference in means. Star: significant at 5 % after Holm's correction."],
        width=560,
    )  # fmt: skip


def _effects(rows: pd.DataFrame) -> style.Layers:
    rows["star"] = ["*" if p < 0.05 else "" for p in rows["p_adjusted"]]
    base = alt.Chart(style.inline(rows)).encode(
        y=alt.Y("shown:N", sort=list(rows["shown"]), title=None).axis(grid=True, ticks=False)
    )
    x = alt.X("adjusted:Q", title="difference in mean recognizability")
    zero = alt.Chart(style.inline(pd.DataFrame({"zero": [0.0]}))).mark_rule(color=style.INK)
    return alt.layer(
        zero.encode(x="zero:Q"),
        base.mark_rule(color=style.HELD_OUT, strokeWidth=1.6).encode(
            x="adjusted_low:Q", x2="adjusted_high:Q"
        ),
        base.mark_point(color=style.HELD_OUT, filled=True, size=50, opacity=1).encode(x=x),
        base.mark_point(color=style.MEMBER, shape="cross", size=30, opacity=1).encode(
            x="difference:Q"
        ),
        base.mark_text(dx=0, dy=-5, fontSize=13).encode(x="adjusted_high:Q", text="star:N"),
    ).properties(width=380, height=alt.Step(19))
