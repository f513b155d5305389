"""Figure 6: recognizability of metamers that were kept within a bound."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd

from metamers import chart_style as style
from metamers.chart_style import ConditionKey, Labels
from metamers.figures.transfer import RULE_TEXT, WAYS_TEXT
from metamers.tables import RECOGNIZABILITY


@dataclass(frozen=True)
class BoundCard:
    """How a bound is printed: its size (``ℓ∞ 8/255``) and its centre, ``initial`` or such."""

    size: str
    center: str


def bounds(
    table: pd.DataFrame,
    cards: Mapping[str, BoundCard],
    *,
    experiment: str,
    labels: Labels,
    stages: Sequence[str],
    rule: str = "self",
    ways: str = "1000",
    flagged: Collection[ConditionKey] = (),
) -> alt.VConcatChart:
    """Return Fig 6: share recognised against bound, a panel per stage and centre.

    All evaluators count, the set's members too; these have another mark. Boxes span the
    quartiles of all evaluators, the bar within is their median.

    Parameters
    ----------
    table
        Table `recognizability`.
    cards
        How each bound is printed; bounds appear in its order.
    experiment
        The experiment whose rows are drawn.
    labels, stages, rule, ways
        As for `recognizability`.
    flagged
        Conditions that are not metamers: a dagger above their box.

    Raises
    ------
    ValueError
        If the table has other columns, no such row, or a bound without a card.
    """
    style.refuse_other_columns(table, RECOGNIZABILITY)
    rows = style.pick(table, experiment=experiment, rule=rule, ways=ways)
    unknown = sorted(set(rows["bound"]) - set(cards))
    if unknown:
        raise ValueError(f"no card for the bounds {unknown}; there are cards of {sorted(cards)}")
    rows = _points(rows, cards, labels, flagged)
    stages = style.in_order(set(rows["stage"]), stages)
    sizes = list(
        dict.fromkeys(card.size for name, card in cards.items() if name in set(rows["bound"]))
    )
    centers = list(dict.fromkeys(card.center for card in cards.values()))
    chart = _layers(rows, sizes).facet(
        row=alt.Row("panel:N", title=None, sort=_panel_order(rows, centers)),
        column=alt.Column("stage:N", sort=stages, title=None),
        data=style.inline(rows),
    )
    images = style.spread(rows["n_images"], "image")
    models = style.counted(rows["shown"].nunique(), "evaluator")
    notes = ["Box: quartiles and median of all evaluators, members of the set included."]
    notes += style.flag_notes(rows, style.FLAG)
    return style.finish(
        chart,
        "Recognizability within a bound",
        [f"n = {images}, {models}. Recognised: {RULE_TEXT[rule]}, {WAYS_TEXT[ways]}."],
        notes,
        width=230 * len(stages),
    )


def _points(
    rows: pd.DataFrame,
    cards: Mapping[str, BoundCard],
    labels: Labels,
    flagged: Collection[ConditionKey],
) -> pd.DataFrame:
    rows["size"] = rows["bound"].map(lambda name: cards[name].size)
    rows["center"] = rows["bound"].map(lambda name: cards[name].center)
    rows["set"] = style.set_labels(rows.assign(bound=""), labels)
    rows["panel"] = rows["set"] + "\n" + "centre: " + rows["center"]
    rows["shown"] = rows["evaluator"].map(lambda name: style.label_of(name, labels))
    rows["kind"] = rows["member"].map({True: "member of the set", False: "held-out model"})
    rows["flagged"] = style.is_flagged(rows, flagged)
    groups = rows.groupby(["panel", "stage", "size"])["recognizability"]
    for name, share in (("q1", 0.25), ("q2", 0.5), ("q3", 0.75)):
        rows[name] = groups.transform("quantile", share)
    rows["first"] = ~rows.duplicated(["panel", "stage", "size"])
    wanted = ["panel", "center", "stage", "size", "shown", "kind", "recognizability", "n_images"]
    return rows[[*wanted, "bound", "flagged", "first", "q1", "q2", "q3"]]


def _panel_order(rows: pd.DataFrame, centers: list[str]) -> list[str]:
    panels = rows.drop_duplicates("panel")
    rank = panels["center"].map(centers.index)
    return list(panels.assign(rank=rank).sort_values("rank", kind="stable")["panel"])


def _layers(rows: pd.DataFrame, sizes: list[str]) -> style.Layers:
    x = alt.X("size:N", sort=sizes, title="bound").scale(domain=sizes).axis(labelAngle=0)
    value = alt.Y("recognizability:Q", title="share recognised").scale(domain=[0, 1])
    base = alt.Chart().encode(x=x)
    box = base.transform_filter(alt.datum.first)
    kinds = ["held-out model", "member of the set"]
    points = base.mark_point(size=30, filled=True, opacity=0.75).encode(
        y=value,
        color=alt.Color("kind:N", title=None)
        .scale(domain=kinds, range=[style.HELD_OUT, style.MEMBER])
        .legend(orient="bottom"),
        shape=alt.Shape("kind:N", title=None).scale(domain=kinds, range=["circle", "diamond"]),
        tooltip=["shown:N", "stage:N", "size:N", alt.Tooltip("recognizability:Q", format=".3f")],
    )
    return alt.layer(
        box.mark_bar(width=34, color="#e8e8e8", stroke=style.FAINT).encode(y="q1:Q", y2="q3:Q"),
        box.mark_tick(thickness=2, width=34, color=style.INK).encode(y="q2:Q"),
        points,
        box.transform_filter(alt.datum.flagged)
        .mark_text(dy=-8, text=style.FLAG)
        .encode(y=alt.datum(1)),
    ).properties(width=max(60 * len(sizes), 120), height=190)
