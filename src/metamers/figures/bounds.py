"""Figure 6: recognizability of metamers that were kept within a bound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from metamers.figures import style
from metamers.figures.data import inline, printed, set_labels
from metamers.figures.inputs import RECOGNISED, FigureInputs
from metamers.synthesis.settings import parse_radius

_NORMS = {"linf": "ℓ∞", "l2": "ℓ2"}
_KINDS = {False: "held-out model", True: "member of the set"}
_BOX = ["model_set", "set", "panel", "stage", "size"]
_NOTE = (
    "Box: quartiles and median over all evaluators, members included. Bound: how far the pixels, "
    "which go from 0 to 1, may lie from those of the centre."
)
# Half of the width, in pixels, over which the points of one box are spread.
_SPREAD = 15


@dataclass(frozen=True, order=True)
class _Card:
    """A bound as it is printed, in the order of its norm and radius."""

    norm: str
    radius: float
    center: str
    size: str

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> _Card:
        size = f"{_NORMS[row['norm']]} {row['radius']}"
        return cls(row["norm"], parse_radius(row["radius"]), row["center"], size)


def bounds(inputs: FigureInputs) -> alt.VConcatChart:
    """Return Fig 6: share recognised against bound, a panel per centre and stage.

    All evaluators count, the set's members too; these have another mark. Boxes span the
    quartiles of all evaluators, the bar within is their median. A dagger above a box says that
    its condition is flagged.
    """
    rows = inputs.judged("recognizability")
    declared = inputs.config["bounds"]
    cards = {name: _Card.of(declared[name]) for name in rows["bound"].unique()}
    rows = _points(rows, cards, inputs)
    sizes = list(dict.fromkeys(card.size for card in sorted(cards.values())))
    stages = inputs.stages(rows)
    chart = _boxes(sizes).facet(
        row=alt.Row("panel:N", sort=_panels(rows), title=None, header=style.side_header()),
        column=alt.Column("stage:N", sort=stages, title=None),
        data=inline(rows),
    )
    models = style.counted(rows["shown"].nunique(), "evaluator")
    return style.finish(
        chart,
        "Recognizability of metamers kept within a bound",
        [f"n = {style.spread(rows['n_images'], 'image')}, {models}. {RECOGNISED}"],
        [_NOTE, *_idle(list(cards.values())), *style.flag_notes(rows, style.FLAG)],
        width=_width(sizes) * len(stages) + 190,
    )


def _idle(cards: list[_Card]) -> list[str]:
    """Return the note on a cube that holds all images, wherever its centre is."""
    wide = dict.fromkeys(card.size for card in cards if card.norm == "linf" and card.radius >= 1)
    return [f"{size}: wider than the range of pixels; the centre does not matter." for size in wide]


def _points(rows: pd.DataFrame, cards: Mapping[str, _Card], inputs: FigureInputs) -> pd.DataFrame:
    rows = inputs.described(rows)
    rows["size"] = rows["bound"].map(lambda name: cards[name].size)
    rows["center"] = rows["bound"].map(lambda name: cards[name].center)
    rows["set"] = set_labels(rows.assign(bound=""), inputs.labels)
    rows["panel"] = [
        "\n".join([*style.folded(name, 20), "", "around the", f"{center} image"])
        for name, center in zip(rows["set"], rows["center"], strict=True)
    ]
    rows["shown"] = printed(rows["evaluator"], inputs.labels)
    rows["kind"] = rows["member"].map(_KINDS)
    rows = rows.sort_values([*_BOX, "recognizability", "shown"], ignore_index=True)
    groups = rows.groupby(_BOX)
    for name, share in (("q1", 0.25), ("q2", 0.5), ("q3", 0.75)):
        rows[name] = groups["recognizability"].transform("quantile", share)
    rank = groups.cumcount()
    rows["first"] = rank == 0
    # Neighbours in value are drawn apart: the golden ratio fills an interval evenly.
    rows["offset"] = _SPREAD * (2 * np.mod(0.5 + rank * 0.618034, 1) - 1)
    wanted = [*_BOX, "center", "shown", "kind", "recognizability", "n_images", "bound", "flagged"]
    return rows[[*wanted, "first", "q1", "q2", "q3", "offset"]]


def _panels(rows: pd.DataFrame) -> list[str]:
    panels = rows.drop_duplicates("panel").sort_values(["set", "center"], kind="stable")
    return list(panels["panel"])


def _width(sizes: list[str]) -> int:
    return max(68 * len(sizes), 150)


def _boxes(sizes: list[str]) -> style.Layers:
    x = alt.X("size:N", sort=sizes, title="bound").scale(domain=sizes).axis(labelAngle=0)
    value = style.share_axis("recognizability")
    base = alt.Chart().encode(x=x)
    box = base.transform_filter(alt.datum.first)
    kinds = list(_KINDS.values())
    colour = alt.Color("kind:N", title=None).scale(
        domain=kinds, range=[style.HELD_OUT, style.MEMBER]
    )
    points = base.mark_point(size=30, filled=True, opacity=0.8).encode(
        y=value,
        xOffset=alt.XOffset("offset:Q").scale(domain=[-2 * _SPREAD, 2 * _SPREAD]),
        color=colour.legend(orient="bottom"),
        shape=alt.Shape("kind:N", title=None).scale(domain=kinds, range=["circle", "diamond"]),
        tooltip=["shown:N", "stage:N", "size:N", alt.Tooltip("recognizability:Q", format=".3f")],
    )
    width = 38
    return alt.layer(
        box.mark_bar(width=width, color="#ebebeb", stroke=style.FAINT).encode(y="q1:Q", y2="q3:Q"),
        box.mark_tick(thickness=2, width=width, color=style.INK).encode(y="q2:Q"),
        points,
        box.transform_filter(alt.datum.flagged)
        .mark_text(text=style.FLAG, fontSize=13, baseline="bottom", dy=-2)
        .encode(y=alt.value(0)),
    ).properties(width=_width(sizes), height=190)
