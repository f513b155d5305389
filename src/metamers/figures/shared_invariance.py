"""How much of what a set's members ignore an evaluator ignores too."""

from __future__ import annotations

import math

import altair as alt
import pandas as pd

from metamers.figures import style
from metamers.figures.data import inline, printed
from metamers.figures.inputs import FigureInputs
from metamers.figures.similarity import heatmap, two_places

_KINDS = {
    "stir": "STIR:\nreferences and\nmetamers",
    "inverted_cka": "inverted CKA:\nevaluator and\nmembers",
}
_CELL, _NARROW, _SETS_WITH_TEXT = 76, 15, 12


def shared_invariance(inputs: FigureInputs) -> alt.VConcatChart:
    """Return STIR and inverted CKA as heatmaps, evaluator against set, a panel per stage."""
    table = inputs.rows("shared_invariance")
    rows = pd.concat([_cells(table, name, inputs) for name in _KINDS], ignore_index=True)
    sets, shown = inputs.sets(rows), inputs.stages(rows)
    cell = _CELL if len(sets) <= _SETS_WITH_TEXT else _NARROW
    evaluators = inputs.printed_order(rows["shown"])
    kinds = list(_KINDS.values())
    chart = heatmap(sets, evaluators, cell, "debiased CKA").facet(
        row=alt.Row("kind:N", sort=kinds, title=None, header=style.side_header()),
        column=alt.Column("stage:N", sort=shown, title=None),
        data=inline(rows),
    )
    return style.finish(
        chart,
        "Invariances that evaluators share with the members of a set",
        [_reading(table)],
        [
            "Dashed: the evaluator is a member; its STIR is the ceiling.",
            *style.flag_notes(rows, style.FLAG),
        ],
        width=max(cell * len(sets) * len(shown) + 270, 480),
    )


def _cells(table: pd.DataFrame, name: str, inputs: FigureInputs) -> pd.DataFrame:
    ends = {name: "value", f"{name}_low": "low", f"{name}_high": "high"}
    rows = table.rename(columns=ends).dropna(subset=["value"]).reset_index(drop=True)
    rows = inputs.described(rows)
    rows["shown"] = printed(rows["evaluator"], inputs.labels)
    rows["text"] = [
        two_places(value) + style.FLAG * flag
        for value, flag in zip(rows["value"], rows["flagged"], strict=True)
    ]
    wanted = ["model_set", "set", "shown", "stage", "member", "flagged", "text", *ends.values()]
    return rows[wanted].assign(kind=_KINDS[name], ratio="")


def _reading(table: pd.DataFrame) -> str:
    images = style.spread(table["n_images"].astype(int), "image")
    highest = float(table[["stir_floor", "inverted_cka_floor"]].max().max())
    floor = "" if math.isnan(highest) else f"; unrelated images stay below {highest:.2f}"
    return (
        "Debiased linear CKA (0: unrelated, 1: not told apart) of an evaluator's activations of "
        f"references and metamers, and of its own and the members' of metamers; n = {images}"
        f"{floor}."
    )
