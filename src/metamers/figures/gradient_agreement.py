"""How far the gradients of a set's models agree along a synthesis."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from metamers.figures import style
from metamers.figures.data import Labels, inline, printed
from metamers.figures.inputs import FigureInputs
from metamers.storage.columns import CONDITION_KEY

_SERIES = [*CONDITION_KEY, "model", "other", "step"]


def gradient_agreement(inputs: FigureInputs) -> alt.VConcatChart:
    """Return the cosine between two models' gradients against steps, a panel per recipe and stage.

    The line is the median over images, the band the range of its quartiles.
    """
    labels = inputs.labels
    rows = _quartiles(inputs.table("gradient_agreement"))
    rows["pair"] = printed(rows["model"], labels) + " and " + printed(rows["other"], labels)
    shown = inputs.stages(rows)
    experiments = [axes for axes in inputs.config["experiments"].values() if axes]
    order = dict.fromkeys(recipe for axes in experiments for recipe in axes["recipes"])
    panels = _panels(rows, labels, list(order), shown)
    # Wrapped, not in rows and columns: where a recipe has not every stage, Vega would put what
    # there is beneath the wrong heading.
    chart = _curves(rows).facet(
        facet=alt.Facet("panel:N", title=None, sort=panels, header=style.panel_header()),
        columns=len(shown),
        data=inline(rows),
        spacing=20,
    )
    images = style.spread(rows["n_images"], "image")
    return style.finish(
        chart,
        "Agreement of the members' gradients during synthesis",
        [
            f"Median (line) and quartiles (band) over n = {images}, for each pair of members of "
            f"{' and of '.join(dict.fromkeys(printed(rows['model_set'], labels)))}."
        ],
        [
            "Cosine between the gradients of two members' losses by the image: 1, they want the "
            "same; 0 (grey), unrelated; below 0, a step for one undoes a step for the other."
        ],
        width=max(250 * len(shown), 400),
    )


def _panels(
    rows: pd.DataFrame, labels: Labels, order: Sequence[str], stages: Sequence[str]
) -> list[str]:
    """Name the panel of each row, in column ``panel``, and return the names in their order."""
    names = printed(rows["recipe"], labels)
    if rows["model_set"].nunique() > 1:
        names = printed(rows["model_set"], labels) + " · " + names
    for shared in ("references", "bound"):
        if rows[shared].nunique() > 1:
            names = names + " · " + printed(rows[shared], labels)
    ranks = {recipe: place for place, recipe in enumerate(order)}
    places = pd.DataFrame(
        {
            "recipe": rows["recipe"].map(ranks),
            "name": names,
            "stage": rows["stage"].map({stage: place for place, stage in enumerate(stages)}),
            "panel": names + ", " + rows["stage"],
        }
    )
    ordered = places.drop_duplicates().sort_values(["recipe", "name", "stage"], kind="stable")
    headings = style.headings(list(ordered["panel"]), len(stages))
    rows["panel"] = places["panel"].map(dict(zip(ordered["panel"], headings, strict=True)))
    return headings


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
    ).properties(width=220, height=110)
