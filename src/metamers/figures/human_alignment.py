"""What people and what other networks recognise in the same metamers."""

from __future__ import annotations

import altair as alt
import pandas as pd

from metamers.figures import style
from metamers.figures.data import inline, refuse_other_columns
from metamers.storage.tables import HUMAN_ALIGNMENT

_PUBLISHED, _RUN = "published: Feather et al. 2023", "networks of this run, published people"
_COLOURS = {_PUBLISHED: style.HELD_OUT, _RUN: style.MEMBER}


def human_alignment(table: pd.DataFrame, run: pd.DataFrame) -> alt.VConcatChart:
    """Return people's share recognised against that of networks that did not make the metamers.

    Parameters
    ----------
    table
        Table `human_alignment`: a point per vision experiment, network and layer, with the
        intervals of both shares.
    run
        Columns people, people_low, people_high, networks, networks_low, networks_high, network
        and layer: the published people beside the run's held-out models, where both judged
        metamers of one network and layer. It may have no rows.

    Raises
    ------
    ValueError
        If the table has other columns or no rows.
    """
    refuse_other_columns(table, HUMAN_ALIGNMENT)
    columns = [name for name in HUMAN_ALIGNMENT.schema.names if not name.startswith("n_")]
    rows = pd.concat(
        [table[columns].assign(kind=_PUBLISHED), run.assign(kind=_RUN, experiment="")],
        ignore_index=True,
    )
    correlation = table["people"].corr(table["networks"], method="spearman")
    return style.finish(
        _points(rows).properties(width=420, height=420, data=inline(rows)),
        "Recognition of metamers by people and by other networks",
        [
            f"Spearman's correlation {correlation:.2f}; n = {len(table)} sets of metamers of "
            f"{table['network'].nunique()} networks, as published; the claim 'recognizability "
            "predicts human recognition' has its interval.",
        ],
        ["Bars: 95 % bootstrap intervals, over people and over networks. 16 categories."],
        width=560,
    )


def _points(rows: pd.DataFrame) -> style.Layers:
    kinds = [kind for kind in _COLOURS if kind in set(rows["kind"])]
    colour = (
        alt.Color("kind:N", title=None)
        .scale(domain=kinds, range=[_COLOURS[kind] for kind in kinds])
        .legend(orient="bottom")
    )
    tooltip = ["network:N", "layer:N", "experiment:N", "people:Q", "networks:Q"]
    base = alt.Chart().encode(
        x=alt.X("networks:Q", title="share recognised by other networks").scale(domain=[0, 1]),
        y=alt.Y("people:Q", title="share recognised by people").scale(domain=[0, 1]),
        color=colour,
        tooltip=tooltip,
    )
    bars = base.mark_rule(strokeWidth=0.8, opacity=0.4)
    chance = alt.Chart().mark_rule(strokeDash=[1, 3], color=style.FAINT)
    return alt.layer(
        chance.encode(x=alt.datum(1 / 16)),
        chance.encode(y=alt.datum(1 / 16)),
        bars.encode(x="networks_low:Q", x2="networks_high:Q"),
        bars.encode(y="people_low:Q", y2="people_high:Q"),
        base.mark_point(filled=True, size=34, opacity=0.9),
    )
