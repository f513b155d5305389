"""Model sets side by side, of images that all of them brought to one loss."""

from __future__ import annotations

import altair as alt
import pandas as pd

from metamers.figures import style
from metamers.figures.data import NothingToDrawError, in_order, printed
from metamers.figures.inputs import RECOGNISED, FigureInputs
from metamers.figures.recipes import panel

_MEASURES = {
    "recognised by held-out models": ("recognizability", "low", "high"),
    "less that of {}": ("difference", "difference_low", "difference_high"),
    "share of images at the loss": ("reached", "reached", "reached"),
    "gradient evaluations, median": ("evaluations", "evaluations", "evaluations"),
}


def equal_loss(inputs: FigureInputs) -> alt.VConcatChart:
    """Return recognizability at equal loss, a row for each model set, and what it took.

    Dots are means, rules their 95 % intervals.

    Raises
    ------
    NothingToDrawError
        If no image was brought to the loss by all sets, or nobody is held out from all.
    """
    rows, labels = inputs.judged("equal_loss"), inputs.labels
    if rows["recognizability"].isna().all():
        raise NothingToDrawError(
            "no image was brought to the loss by all model sets, or no evaluator is held out from "
            f"all of them; sets are {sorted(set(rows['model_set']))}"
        )
    rows["shown"] = printed(rows["model_set"], labels)
    order = dict.fromkeys(condition.model_set for condition in inputs.conditions)
    shown = in_order(set(rows["shown"]), [labels.get(name, name) for name in order])
    baseline = labels.get(rows["baseline"].iloc[0], rows["baseline"].iloc[0])
    chart = alt.hconcat(
        *(
            panel(
                _measured(rows, columns),
                title.format(baseline),
                shown,
                inputs.stages(rows),
                first=place == 0,
            )
            for place, (title, columns) in enumerate(_MEASURES.items())
        ),
        spacing=16,
    )
    targets = " and ".join(f"{one:g}" for one in sorted(set(rows["target"])))
    return style.finish(
        chart,
        f"Model sets at equal loss, {targets}",
        [
            f"n = {style.spread(rows['n_images'], 'image')} of "
            f"{style.spread(rows['n_references'], 'reference')} that all sets brought to the loss, "
            f"{style.spread(rows['n_evaluators'], 'evaluator')} held out from all. "
            f"{RECOGNISED}"
        ],
        ["Rules: 95 % bootstrap intervals over images and models."],
        width=960,
    )


def _measured(rows: pd.DataFrame, columns: tuple[str, str, str]) -> pd.DataFrame:
    """Return what a panel shows: a value and the ends of its interval."""
    value, low, high = (rows[name] for name in columns)
    found = rows[["shown", "stage"]].assign(value=value, low=low, high=high)
    return found.dropna(subset=["value"])
