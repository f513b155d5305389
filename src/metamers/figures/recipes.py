"""Recipes of the solver side by side: strategies of the ensemble, and the paper's ablation."""

from __future__ import annotations

import altair as alt
import pandas as pd

from metamers.figures import style
from metamers.figures.data import in_order, inline, printed
from metamers.figures.inputs import RECOGNISED, FigureInputs
from metamers.storage.columns import CONDITION_KEY

_MEASURES = {
    "trained": "recognised by held-out, trained models",
    "members": "recognised by members",
    "loss": "loss, median over images",
}


def recipes(inputs: FigureInputs) -> alt.VConcatChart:
    """Return recognizability and final loss of an experiment's recipes, a row of panels per set.

    Dots are means, rules their 95 % intervals; of the loss, the median over images and members
    and the range of its quartiles.
    """
    optimisation, labels = inputs.table("optimisation"), inputs.labels
    shares = inputs.judged("recognizability_by_set")
    shares = shares[shares["group"].isin(["trained", "members"])]
    rows = pd.concat([_shares(shares), _losses(optimisation, shares)], ignore_index=True)
    rows["set"] = printed(rows["model_set"], labels)
    rows["shown"] = printed(rows["recipe"], labels)
    order = inputs.config["experiments"][inputs.experiment]["recipes"]
    shown = in_order(set(rows["shown"]), [labels.get(name, name) for name in order])
    present, sets = inputs.stages(rows), inputs.printed_order(rows["set"])
    chart = alt.vconcat(
        *(_row(rows[rows["set"] == name], name, shown, present) for name in sets), spacing=18
    )
    return style.finish(
        chart,
        "Recipes of the solver side by side",
        [f"{RECOGNISED[:-1]}; n = {style.spread(shares['n_images'], 'image')}."],
        ["Rules: 95 % bootstrap intervals over images and models; of the loss, its quartiles."],
        width=760,
    )


def _shares(rows: pd.DataFrame) -> pd.DataFrame:
    kept = rows[["recipe", "model_set", "stage", "group", "mean", "low", "high"]]
    return kept.rename(columns={"group": "measure", "mean": "value"})


def _losses(optimisation: pd.DataFrame, shares: pd.DataFrame) -> pd.DataFrame:
    wanted = shares[list(CONDITION_KEY)].drop_duplicates().astype(str)
    losses = optimisation.astype(dict.fromkeys(CONDITION_KEY, str)).merge(wanted)
    groups = losses.groupby(["recipe", "model_set", "stage"])["loss_stored"]
    quartiles = {"low": 0.25, "value": 0.5, "high": 0.75}
    summary = pd.DataFrame({name: groups.quantile(share) for name, share in quartiles.items()})
    return summary.reset_index().assign(measure="loss")


def _row(rows: pd.DataFrame, name: str, shown: list[str], stages: list[str]) -> alt.HConcatChart:
    panels = [
        panel(rows[rows["measure"] == measure], title, shown, stages, first=place == 0)
        for place, (measure, title) in enumerate(_MEASURES.items())
        if (rows["measure"] == measure).any()
    ]
    return alt.hconcat(*panels, spacing=16, title=alt.TitleParams(name, anchor="start"))


def panel(
    rows: pd.DataFrame, title: str, shown: list[str], stages: list[str], *, first: bool
) -> style.Layers:
    """Return values with their intervals, a row for each name; the first panel has the names.

    ``rows`` has ``shown``, the name, ``stage``, ``value``, ``low`` and ``high``.
    """
    axis = alt.Axis(labels=first, ticks=False, domain=False, labelLimit=260, grid=True)
    base = alt.Chart(inline(rows)).encode(
        y=alt.Y("shown:N", title=None, axis=axis).scale(domain=shown),
        yOffset=alt.YOffset("stage:N", sort=stages).scale(domain=stages, paddingOuter=0.3),
        color=style.stage_colour(stages),
    )
    x = alt.X("value:Q", title=title).scale(zero=True).axis(tickCount=5)
    return alt.layer(
        base.mark_rule(strokeWidth=1.6).encode(x="low:Q", x2="high:Q"),
        base.mark_point(size=42, filled=True, opacity=1).encode(
            x=x,
            shape=style.shape_of("stage", stages, "stage"),
            tooltip=["shown:N", "stage:N", "value:Q", "low:Q", "high:Q"],
        ),
    ).properties(width=190, height=style.step(16 + 7 * len(stages)))
