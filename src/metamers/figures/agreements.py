"""How far the gradients of a set's models agree along a synthesis."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from metamers import chart_style as style
from metamers.chart_data import (
    Labels,
    in_order,
    inline,
    printed,
    refuse_other_columns,
    set_labels,
)
from metamers.tables import CONDITION_KEY, GRADIENT_AGREEMENT

_SERIES = [*CONDITION_KEY, "model", "other", "step"]


def gradient_agreement(
    table: pd.DataFrame, *, labels: Labels, stages: Sequence[str], order: Sequence[str]
) -> alt.VConcatChart:
    """Return the cosine between two models' gradients against steps, a panel per recipe and stage.

    The line is the median over images, the band the range of its quartiles.

    Parameters
    ----------
    table
        Table `gradient_agreement`.
    labels, stages
        As for `recognizability`; labels of recipes too.
    order
        Recipes from top to bottom.

    Raises
    ------
    ValueError
        If the table has other columns or no rows.
    """
    refuse_other_columns(table, GRADIENT_AGREEMENT)
    rows = _quartiles(table)
    rows["pair"] = printed(rows["model"], labels) + " and " + printed(rows["other"], labels)
    rows["panel"] = ["\n".join(style.folded(name, 24)) for name in set_labels(rows, labels)]
    rank = rows["recipe"].map({name: place for place, name in enumerate(order)})
    panels = list(rows.assign(rank=rank).sort_values("rank", kind="stable")["panel"].unique())
    shown = in_order(set(rows["stage"]), stages)
    chart = _curves(rows).facet(
        row=alt.Row("panel:N", title=None, sort=panels, header=style.side_header()),
        column=alt.Column("stage:N", title=None, sort=shown),
        data=inline(rows),
        spacing=14,
    )
    images = style.spread(rows["n_images"], "image")
    return style.finish(
        chart,
        "Agreement of the members' gradients during synthesis",
        [f"Median (line) and quartiles (band) over n = {images}, for each pair of members."],
        [
            "Cosine between the gradients of two members' losses by the image: 1, they want the "
            "same; 0 (grey), unrelated; below 0, a step for one undoes a step for the other."
        ],
        width=210 * len(shown) + 190,
    )


def _quartiles(table: pd.DataFrame) -> pd.DataFrame:
    cosines = table.astype(dict.fromkeys(_SERIES[:-1], str)).groupby(_SERIES)["cosine"]
    quantiles = {"low": 0.25, "median": 0.5, "high": 0.75}
    rows = pd.DataFrame({name: cosines.quantile(share) for name, share in quantiles.items()})
    return rows.assign(n_images=cosines.size()).reset_index()


def _curves(rows: pd.DataFrame) -> style.Layers:
    pairs = sorted(set(rows["pair"]))
    colours = [style.CATEGORIES[place % len(style.CATEGORIES)] for place in range(len(pairs))]
    low, high = min(rows["low"].min(), 0.0), max(rows["high"].max(), 0.0)
    margin = 0.05 * (high - low)
    base = alt.Chart().encode(
        x=alt.X("step:Q", title="steps of descent").axis(tickCount=4),
        color=alt.Color("pair:N", title="pair")
        .scale(domain=pairs, range=colours)
        .legend(orient="bottom", columns=1, symbolOpacity=1),
    )
    cosine = alt.Y("median:Q", title="cosine")
    cosine = cosine.scale(domain=[low - margin, high + margin], nice=False).axis(tickCount=4)
    tooltip = ["pair:N", "step:Q", "median:Q", "low:Q", "high:Q"]
    return alt.layer(
        alt.Chart().mark_rule(color=style.FAINT).encode(y=alt.datum(0)),
        base.mark_area(opacity=0.18).encode(y="low:Q", y2="high:Q"),
        base.mark_line(strokeWidth=1.6).encode(y=cosine, tooltip=tooltip),
    ).properties(width=190, height=110)
