"""Does matching one stage leave the others free? Distances at every stage."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from metamers.figures import style
from metamers.figures.data import inline
from metamers.figures.inputs import FigureInputs

_GROUPS = {True: "members", False: "other models"}


def cross_stage(inputs: FigureInputs) -> alt.VConcatChart:
    """Return the distance of metamers to references by stage, a line per inverted stage.

    A column of panels per set; above its members, beneath the models that are none. A thick mark
    is the stage that was inverted, an open one a flagged condition.
    """
    table = inputs.rows("cross_stage")
    rows = _means(inputs.described(table))
    sets = inputs.sets(rows)
    shown = inputs.stages(rows, "judged_stage")
    chart = _lines(shown).facet(
        row=alt.Row("group:N", sort=[*_GROUPS.values()], title=None, header=style.side_header()),
        column=alt.Column("set:N", sort=sets, title=None),
        data=inline(rows),
    )
    return style.finish(
        chart,
        "Distance of metamers to references at every stage",
        [
            f"Relative distance of activations; n = {style.spread(table['n_images'], 'image')}, "
            f"mean over models; range: the models' own means."
        ],
        [
            "Large marks: the stage that was inverted. 1: as far as the reference is from nothing.",
            *style.flag_notes(rows, "Open marks"),
        ],
        width=max(170 * len(sets) + 130, 420),
    )


def _means(rows: pd.DataFrame) -> pd.DataFrame:
    by = ["model_set", "set", "stage", "judged_stage", "member", "flagged"]
    found = rows.groupby(by, observed=True, sort=False)["relative_l2"].agg(["mean", "min", "max"])
    found = found.reset_index()
    own = found["stage"] == found["judged_stage"]
    return found.assign(group=found["member"].map(_GROUPS), size=own.map({True: 70, False: 18}))


def _lines(stages: Sequence[str]) -> style.Layers:
    base = alt.Chart().encode(
        x=alt.X("judged_stage:O", sort=list(stages), title="stage compared").axis(labelAngle=0),
        y=alt.Y("mean:Q", title="relative distance"),
        color=style.stage_colour(stages).title("stage inverted"),
        tooltip=["set:N", "group:N", "stage:N", "judged_stage:N", "mean:Q", "min:Q", "max:Q"],
    )
    points = base.mark_point(filled=True, opacity=1).encode(size=alt.Size("size:Q", scale=None))
    return alt.layer(
        base.mark_rule(opacity=0.5).encode(y="min:Q", y2="max:Q"),
        base.mark_line(strokeWidth=1.5),
        points,
        style.opened(base, 9),
    ).properties(width=150, height=150)
