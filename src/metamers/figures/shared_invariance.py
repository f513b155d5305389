"""How much of what a set's members ignore an evaluator ignores too."""

from __future__ import annotations

import math
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
    printed,
    refuse_other_columns,
    set_labels,
    sets_in_order,
)
from metamers.figures.similarity import heatmap, two_places
from metamers.storage.tables import SHARED_INVARIANCE

_KINDS = {
    "stir": "STIR:\nreferences and\nmetamers",
    "inverted_cka": "inverted CKA:\nevaluator and\nmembers",
}
_CELL, _NARROW, _SETS_WITH_TEXT = 76, 15, 12


def shared_invariance(
    table: pd.DataFrame,
    *,
    labels: Labels,
    stages: Sequence[str],
    flagged: Collection[ConditionKey] = (),
) -> alt.VConcatChart:
    """Return STIR and inverted CKA as heatmaps, evaluator against set, a panel per stage.

    Parameters
    ----------
    table
        Table `shared_invariance`.
    labels, stages, flagged
        As for `similarity`.

    Raises
    ------
    ValueError
        If the table has other columns or no rows.
    """
    refuse_other_columns(table, SHARED_INVARIANCE)
    rows = pd.concat([_cells(table, name, labels, flagged) for name in _KINDS], ignore_index=True)
    sets = sets_in_order(rows["model_set"], rows["set"], labels)
    shown = in_order(set(rows["stage"]), stages)
    cell = _CELL if len(sets) <= _SETS_WITH_TEXT else _NARROW
    evaluators = in_order(set(rows["shown"]), list(labels.values()))
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


def _cells(
    table: pd.DataFrame, name: str, labels: Labels, flagged: Collection[ConditionKey]
) -> pd.DataFrame:
    ends = {name: "value", f"{name}_low": "low", f"{name}_high": "high"}
    rows = table.rename(columns=ends).dropna(subset=["value"]).reset_index(drop=True)
    rows["set"], rows["shown"] = set_labels(rows, labels), printed(rows["evaluator"], labels)
    rows["flagged"] = is_flagged(rows, flagged)
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
