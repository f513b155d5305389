"""Where a verdict holds: the claims under each reasonable way to analyse the same metamers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import astuple
from itertools import product
from typing import Any

import pandas as pd

from metamers.analysis.claim_effects import RunResults
from metamers.analysis.claims import CLAIMS, UNTESTABLE, judged_by
from metamers.config.plan import Plan
from metamers.models.zoo import ModelSpec
from metamers.storage import tables
from metamers.storage.columns import JUDGES


def multiverse(plan: Plan, zoo: Mapping[str, ModelSpec], recognition: pd.DataFrame) -> pd.DataFrame:
    """Return the verdicts by each rule, label space, stage and group of judges.

    Only claims that rest on recognition vary; one that an analysis cannot decide, as a contrast
    of stages at one stage, has no row there. The intervals of one claim are of the same
    metamers: a count of verdicts is no test.

    Returns
    -------
    pandas.DataFrame
        The columns of the table `claims_multiverse`.
    """
    rows = [
        row
        for rule, space, judges in product(tables.RULES, tables.LABEL_SPACES, JUDGES)
        for row in _rows(plan, zoo, recognition, {"rule": rule, "label_space": space}, judges)
    ]
    return pd.DataFrame(rows, columns=tables.CLAIMS_MULTIVERSE.schema.names)


def grid(found: pd.DataFrame) -> pd.DataFrame:
    """Return how many analyses give each verdict, a row per claim and stage."""
    counts = pd.crosstab([found["claim"], found["stage"]], found["verdict"])
    verdicts = [name for name in ("confirmed", "undecided", "refuted") if name in counts]
    return counts[verdicts].reset_index()


def _rows(
    plan: Plan,
    zoo: Mapping[str, ModelSpec],
    recognition: pd.DataFrame,
    rule: Mapping[str, str],
    judges: str,
) -> Iterator[dict[str, Any]]:
    chosen = recognition
    for name, value in rule.items():
        chosen = chosen[chosen[name] == value]
    known = set(
        chosen[list(tables.CONDITION_KEY)].drop_duplicates().itertuples(index=False, name=None)
    )
    if not known >= {astuple(condition) for condition in plan.conditions}:
        return  # a rule that has no answer to some conditions, as `label` without labels
    every = RunResults.of(plan, zoo, {"recognition": chosen}, rule, judges)
    for stage in ("all", *plan.config["stages"]):
        results = every if stage == "all" else every.at(stage)
        for claim in CLAIMS:
            decided = judged_by(claim, results) if claim.of_recognition else {}
            if decided and decided["verdict"] != UNTESTABLE:
                yield {"stage": stage, "judges": judges} | dict(rule) | decided
