"""From predictions to judgements: whether an evaluator recognised a metamer, by each rule."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from metamers.storage.columns import ANSWERS, CONDITION_KEY, LABEL_SPACES, RULES

FLAGS = ("member", "same_weights", "related", "trained")
Members = Mapping[str, Sequence[str]]

_LABEL = {"1000": "label", "16_mean": "category", "16_first": "category"}
_IMAGE = ["references", "image_id"]


def recognition(
    predictions: pd.DataFrame,
    reference_predictions: pd.DataFrame,
    references: pd.DataFrame,
    members: Members,
    weights: Mapping[str, str],
    lineages: Mapping[str, Collection[str]] | None = None,
    untrained: Collection[str] = (),
) -> pd.DataFrame:
    """Return whether each evaluator recognised each metamer, by each rule.

    A rule has no row where it asks nothing: `label` where the image has no label, or for 16
    spaces none of the 16; `generator` where a member of the set did not judge the references.

    Parameters
    ----------
    predictions, reference_predictions, references
        Frames with the columns of these tables.
    members
        The models of each set, in order.
    weights
        Identity of the weights of each evaluator and member; models of one identity are
        flagged.
    lineages
        Recipes, teachers and initial weights of each model, by names of one's own; models that
        share one are flagged. Not given: none is known.
    untrained
        Evaluators whose rows in the zoo say that they were never trained.

    Returns
    -------
    pandas.DataFrame
        The columns of the table `recognition`; names as categories, to keep it small.

    Raises
    ------
    ValueError
        If a prediction has no prediction of its reference, or its model set or the weights of
        a model are not known.
    """
    judged = _with_references(predictions, reference_predictions, references)
    judged = judged.merge(
        _majorities(reference_predictions, members), "left", [*_IMAGE, "model_set"]
    )
    judged = judged.join(_flags(judged, members, weights, lineages or {}))
    judged["trained"] = ~judged["evaluator"].isin(list(untrained))
    right = (judged["self_predicted"] == judged["label"]).astype("boolean")
    judged["right"] = right.where(judged["label"].notna())
    names = [*CONDITION_KEY, "image_id", "evaluator"]
    judged[names] = judged[names].astype("category")
    parts = [
        _judge(judged, names, rule, label_space) for rule in RULES for label_space in LABEL_SPACES
    ]
    return pd.concat(parts, ignore_index=True)


def _with_references(
    predictions: pd.DataFrame, reference_predictions: pd.DataFrame, references: pd.DataFrame
) -> pd.DataFrame:
    answers = [*ANSWERS.values()]
    own = reference_predictions[[*_IMAGE, "evaluator", *answers]]
    judged = predictions[[*CONDITION_KEY, "image_id", "evaluator", *answers]].merge(
        own.rename(columns={name: f"self_{name}" for name in answers}),
        "left",
        [*_IMAGE, "evaluator"],
        validate="many_to_one",
    )
    absent = judged["self_predicted"].isna()
    if absent.any():
        raise ValueError(
            f"{absent.sum()} predictions have no prediction of the reference, the first being "
            f"{judged.loc[absent, [*_IMAGE, 'evaluator']].iloc[0].to_dict()!r}"
        )
    truth = references[[*_IMAGE, "label", "category"]]
    return judged.merge(truth, "left", _IMAGE, validate="many_to_one")


def _majorities(reference_predictions: pd.DataFrame, members: Members) -> pd.DataFrame:
    parts = [
        _majority(rows, models).assign(references=references, model_set=model_set)
        for references, rows in reference_predictions.groupby("references", observed=True)
        for model_set, models in members.items()
        if set(models) <= set(rows["evaluator"])
    ]
    if parts:
        return pd.concat(parts, ignore_index=True)
    answers = [f"generator_{name}" for name in ANSWERS.values()]
    return pd.DataFrame(columns=[*_IMAGE, "model_set", *answers])


def _majority(rows: pd.DataFrame, models: Sequence[str]) -> pd.DataFrame:
    """Return the answer that most members give; of several, the first member's of them."""
    found: dict[str, Any] = {}
    for name in ANSWERS.values():
        answers = rows.pivot(index="image_id", columns="evaluator", values=name)[list(models)]
        votes = answers.to_numpy()
        support = (votes[:, :, None] == votes[:, None, :]).sum(axis=2)
        best = support.argmax(axis=1)
        found["image_id"] = answers.index
        found[f"generator_{name}"] = votes[np.arange(len(votes)), best]
    return pd.DataFrame(found)


def _flags(
    judged: pd.DataFrame,
    members: Members,
    weights: Mapping[str, str],
    lineages: Mapping[str, Collection[str]],
) -> pd.DataFrame:
    pairs = judged[["model_set", "evaluator"]].drop_duplicates()
    unknown = sorted(set(pairs["model_set"]) - set(members))
    if unknown:
        raise ValueError(f"predictions are of the model sets {unknown}; known are {[*members]}")
    judges = {*pairs["evaluator"], *(m for s in pairs["model_set"].unique() for m in members[s])}
    if judges - set(weights):
        raise ValueError(
            f"the weights of {sorted(judges - set(weights))} have no identity; members and "
            f"evaluators need one, given were those of {sorted(weights)}"
        )
    found = []
    for model_set, judge in pairs.itertuples(index=False):
        own = members[model_set]
        member = judge in own
        twin = not member and weights[judge] in {weights[m] for m in own}
        shared = {tag for m in own for tag in lineages.get(m, ())} & {*lineages.get(judge, ())}
        found.append((member, twin, not member and (twin or bool(shared))))
    pairs[["member", "same_weights", "related"]] = found
    flags = judged[["model_set", "evaluator"]].merge(pairs, "left", ["model_set", "evaluator"])
    return flags[["member", "same_weights", "related"]].set_axis(judged.index)


def _judge(judged: pd.DataFrame, names: list[str], rule: str, label_space: str) -> pd.DataFrame:
    answer = ANSWERS[label_space]
    asked = judged[_LABEL[label_space] if rule == "label" else f"{rule}_{answer}"]
    known = asked.notna().to_numpy()
    rows = judged.loc[known, [*names, *FLAGS, "right"]]
    return rows.assign(
        rule=_constant(rule, RULES, len(rows)),
        label_space=_constant(label_space, LABEL_SPACES, len(rows)),
        recognised=(judged.loc[known, answer] == asked[known]).to_numpy(dtype=bool),
    )


def _constant(value: str, allowed: Sequence[str], n: int) -> pd.Categorical[str]:
    return pd.Categorical.from_codes(
        np.full(n, allowed.index(value), dtype=np.int8), pd.Index(allowed)
    )
