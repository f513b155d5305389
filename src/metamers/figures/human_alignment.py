"""What people and what other networks recognise in the same metamers."""

from __future__ import annotations

import altair as alt
import pandas as pd

from metamers.figures import style
from metamers.figures.data import inline
from metamers.figures.inputs import FigureInputs
from metamers.storage.tables import matching

_PUBLISHED, _RUN = "published: Feather et al. 2023", "networks of this run, published people"
_COLOURS = {_PUBLISHED: style.HELD_OUT, _RUN: style.MEMBER}


def human_alignment(inputs: FigureInputs) -> alt.VConcatChart:
    """Return people's share recognised against that of networks that did not make the metamers.

    A point per vision experiment, network and layer of Feather et al. (2023), as published; and
    the published people beside the run's held-out models, where both judged metamers of one
    network and layer.
    """
    table = inputs.table("human_alignment")
    columns = [*table.columns.drop(["n_people", "n_networks"])]
    run = _judged_by_the_run(inputs).assign(kind=_RUN, experiment="")
    rows = pd.concat(
        [table[columns].assign(kind=_PUBLISHED), run[[*columns, "kind"]]], ignore_index=True
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


def published_people(inputs: FigureInputs) -> pd.DataFrame:
    """Return what people recognised (Feather et al. 2023) in metamers like those of the run.

    Columns of the table `human_alignment`, with ``model_set`` and ``stage``: where a set's
    network is one of theirs and a stage has the name of its layer. Of several vision
    experiments with the same metamers the first counts.
    """
    sets = pd.DataFrame(inputs.plan.published.items(), columns=["model_set", "network"])
    if sets.empty:
        return pd.DataFrame(columns=["model_set", "stage"])
    table = inputs.tables["human_alignment"].drop_duplicates(["network", "layer"])
    found = sets.merge(table, on="network").rename(columns={"layer": "stage"})
    return found[found["stage"].isin(inputs.config["stages"])].reset_index(drop=True)


def _judged_by_the_run(inputs: FigureInputs) -> pd.DataFrame:
    """Return published people beside the run's held-out models, by the label, 16 categories."""
    answers = {"group": "trained", "rule": "label", "label_space": "16_mean"}
    judged = matching(inputs.tables["recognizability_by_set"], **answers)
    networks = {"mean": "networks", "low": "networks_low", "high": "networks_high"}
    key = ["model_set", "stage"]
    judged = judged.drop_duplicates(key)[[*key, *networks]].rename(columns=networks)
    people = published_people(inputs).drop(columns=list(networks.values()))
    return people.merge(judged, on=key).rename(columns={"stage": "layer"})


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
