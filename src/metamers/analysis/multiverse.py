"""Where a verdict holds: the claims under each reasonable way to analyse the same metamers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import astuple
from itertools import product
from typing import Any

import pandas as pd

from metamers.analysis.claims import CLAIMS
from metamers.analysis.run_results import RunResults, got_right
from metamers.analysis.verdicts import UNTESTABLE, judged_by
from metamers.config.plan import Plan
from metamers.models.zoo import ModelSpec
from metamers.storage import result_tables
from metamers.storage.columns import CONDITION_KEY, IMAGES_JUDGED, JUDGES, LABEL_SPACES, RULES


def multiverse(
    plan: Plan,
    zoo: Mapping[str, ModelSpec],
    recognition: pd.DataFrame,
    image_success: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return the verdicts by each rule, label space, stage, group of judges and of images.

    Without ``image_success`` there are no verdicts of those images alone that are metamers.

    Only claims that rest on recognition vary; one that an analysis cannot decide, as a contrast
    of stages at one stage, has no row there. The intervals of one claim are of the same
    metamers: a count of verdicts is no test.

    Returns
    -------
    pandas.DataFrame
        The columns of the table `claims_multiverse`.
    """
    found = {"recognition": recognition}
    if image_success is not None and len(image_success):
        found["image_success"] = image_success
    rows = [
        row
        for rule, space in product(RULES, LABEL_SPACES)
        for row in _rows(plan, zoo, found, {"rule": rule, "label_space": space})
    ]
    return pd.DataFrame(rows, columns=result_tables.CLAIMS_MULTIVERSE.schema.names)


def grid(found: pd.DataFrame) -> pd.DataFrame:
    """Return how many analyses give each verdict, a row per claim and stage."""
    counts = pd.crosstab([found["claim"], found["stage"]], found["verdict"])
    verdicts = [name for name in ("confirmed", "undecided", "refuted") if name in counts]
    return counts[verdicts].reset_index()


def _rows(
    plan: Plan,
    zoo: Mapping[str, ModelSpec],
    found: Mapping[str, pd.DataFrame],
    rule: Mapping[str, str],
) -> Iterator[dict[str, Any]]:
    chosen = found["recognition"]
    for name, value in rule.items():
        chosen = chosen[chosen[name] == value]
    wanted = {astuple(condition) for condition in plan.conditions}
    for judges, images in product(JUDGES, IMAGES_JUDGED):
        if images == "metamers" and "image_success" not in found:
            continue
        counted = got_right(chosen) if images == "right" else chosen
        if not _conditions(counted) >= wanted:
            continue  # a rule that has no answer to some conditions, as `label` without labels
        every = RunResults.of(plan, zoo, {**found, "recognition": chosen}, rule, judges, images)
        for stage in ("all", *plan.config["stages"]):
            results = every if stage == "all" else every.at(stage)
            for claim in CLAIMS:
                decided = judged_by(claim, results) if claim.of_recognition else {}
                if decided and decided["verdict"] != UNTESTABLE:
                    how = {"stage": stage, "judges": judges, "images": images}
                    yield how | dict(rule) | decided


def _conditions(recognition: pd.DataFrame) -> set[tuple[str, ...]]:
    rows = recognition[list(CONDITION_KEY)].drop_duplicates()
    return set(rows.itertuples(index=False, name=None))
