"""Figure 5: how an evaluator's representation of metamers differs from that of references."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import altair as alt
import pandas as pd

from metamers import chart_style as style
from metamers.chart_style import ConditionKey, Labels
from metamers.tables import COMPARISONS, SIMILARITY

CLOSER = "↓"
_READING = (
    f"{CLOSER} the median of the second kind of distance lies below that of the first. Dashed: "
    "the evaluator is a member of the set, so the cell says nothing about transfer."
)


def similarity(
    table: pd.DataFrame,
    *,
    labels: Labels,
    stages: Sequence[str],
    comparisons: Sequence[str] = COMPARISONS,
    flagged: Collection[ConditionKey] = (),
) -> alt.VConcatChart:
    """Return Fig 5: Jensen-Shannon divergence, evaluator against set, a panel per stage.

    One row of panels per comparison of distance distributions. Each cell gives the divergence
    in bits; a dashed outline says that the evaluator is a member of the set.

    Parameters
    ----------
    table
        Table `similarity`.
    labels
        Printed labels of models and sets; both appear in its order.
    stages
        Names of the stages, from shallow to deep.
    comparisons
        Which of `metamers.tables.COMPARISONS` to draw.
    flagged
        Conditions that are not metamers: their cells are marked with a dagger.

    Raises
    ------
    ValueError
        If the table has other columns, or none of its rows is of a comparison.
    """
    style.refuse_other_columns(table, SIMILARITY)
    rows = pd.concat([style.pick(table, comparison=name) for name in comparisons])
    rows = _cells(rows, labels, flagged)
    sets = style.order_of_sets(rows, rows["set"], labels)
    evaluators = style.in_order(set(rows["shown"]), list(labels.values()))
    stages = style.in_order(set(rows["stage"]), stages)
    cell = _cell_size(len(sets))
    panels = [
        _panel(rows[rows["comparison"] == name], name, sets, evaluators, stages, cell)
        for name in comparisons
    ]
    images = style.spread(rows["n_images"], "image")
    return style.finish(
        alt.vconcat(*panels, spacing=26),
        "Representational similarity: divergence between distributions of distances",
        [f"Jensen-Shannon divergence in bits: 0 the same, 1 apart; n = {images}."],
        [_READING, *style.flag_notes(rows, style.FLAG)],
        width=max(cell * len(sets) * len(stages) + 160, 480),
    )


def _cells(rows: pd.DataFrame, labels: Labels, flagged: Collection[ConditionKey]) -> pd.DataFrame:
    rows["set"] = style.set_labels(rows, labels)
    rows["shown"] = rows["evaluator"].map(lambda name: style.label_of(name, labels))
    rows["flagged"] = style.is_flagged(rows, flagged)
    rows["text"] = rows.apply(_text, axis=1)
    wanted = [
        "comparison",
        "model_set",
        "set",
        "shown",
        "stage",
        "divergence",
        "low",
        "high",
        "median_ratio",
    ]
    return rows[[*wanted, "member", "flagged", "text", "n_images"]]


def _text(row: pd.Series) -> str:
    if pd.isna(row["divergence"]):
        return "–"
    mark = CLOSER if row["median_ratio"] < 1 else ""
    return f"{row['divergence']:.2f}{mark}{style.FLAG if row['flagged'] else ''}"


def _cell_size(sets: int) -> int:
    return 54 if sets <= 12 else 16


def _panel(
    rows: pd.DataFrame,
    comparison: str,
    sets: list[str],
    evaluators: list[str],
    stages: list[str],
    cell: int,
) -> alt.FacetChart:
    base = alt.Chart().encode(
        x=alt.X("set:N", sort=sets, title=None).scale(domain=sets).axis(
            labelAngle=-45, labelLimit=200, ticks=False, domain=False
        ),
        y=alt.Y("shown:N", sort=evaluators, title=None).scale(domain=evaluators).axis(
            labelLimit=220, ticks=False, domain=False
        ),
    )  # fmt: skip
    ink = alt.condition(alt.datum.divergence > 0.55, alt.value("white"), alt.value(style.INK))
    layers = [
        base.mark_rect().encode(
            color=alt.Color("divergence:Q", title="divergence (bits)").scale(
                scheme="cividis", reverse=True, domain=[0, 1]
            ),
            tooltip=["shown:N", "set:N", "stage:N", "divergence:Q", "low:Q", "high:Q",
                     "median_ratio:Q"],
        ),
        base.transform_filter(alt.datum.member).mark_rect(
            fillOpacity=0, stroke="#000000", strokeWidth=1.4, strokeDash=style.DASH,
            width=alt.RelativeBandSize(0.9), height=alt.RelativeBandSize(0.82),
        ),
    ]  # fmt: skip
    if cell > 30:
        layers.insert(1, base.mark_text(fontSize=10).encode(text="text:N", color=ink))
    return (
        alt.layer(*layers)
        .properties(width=alt.Step(cell), height=alt.Step(20))
        .facet(
            column=alt.Column("stage:N", sort=stages, title=None),
            data=style.inline(rows),
            title=alt.Title(comparison, fontSize=12, anchor="start", fontWeight="bold"),
        )
    )
