"""Model sets at equal loss: recognizability of the images that all of them brought to a target.

At equal steps each member of a larger set gets fewer of them, and its metamers are less finished.
Where synthesis ends at a loss (a budget's ``until_loss``), sets differ in their models alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, replace
from typing import Any

import numpy as np
import pandas as pd

from metamers import bootstrap
from metamers.analysis.recognition_matrix import Experiments, RecognitionMatrix, cells
from metamers.config.plan import Condition
from metamers.images import crops
from metamers.storage import recognition_tables
from metamers.storage.columns import CONDITION_KEY


def equal_loss(
    recognition: pd.DataFrame,
    optimisation: pd.DataFrame,
    experiments: Experiments,
    seed: int = 0,
) -> pd.DataFrame:
    """Return how model sets' metamers are recognised at one loss, beside the first set's.

    The images are those that all sets of the experiment brought to the target at a stage (of
    crops: of photographs all of whose crops were), the judges those trained models that are
    held out from all.

    Parameters
    ----------
    recognition, optimisation
        Frames with the columns of these tables.
    experiments
        The conditions of each experiment; the model set of its first is compared with.
    seed
        Of the resamples, which take images and judges.

    Returns
    -------
    pandas.DataFrame
        The columns of the table `equal_loss`. A set has rows where no image counts, too.

    Raises
    ------
    ValueError
        If a condition's synthesis had no target.
    """
    wanted = {astuple(one) for conditions in experiments.values() for one in conditions}
    cells = pd.MultiIndex.from_frame(optimisation[list(CONDITION_KEY)])
    images = _images(optimisation[cells.isin(wanted)])
    judged = dict(list(recognition.groupby(["rule", "label_space"], observed=True)))
    rows: list[dict[str, Any]] = []
    for name, conditions in experiments.items():
        for sets in _compared(conditions):
            courses = {one: _course_of(images, one) for one in sets}
            common = _common(courses.values())
            for (rule, label_space), frame in judged.items():
                found = _cells(frame, sets, common)
                for one in sets:
                    row = {"experiment": name, "baseline": sets[0].model_set, "rule": rule}
                    row |= {"label_space": label_space} | one.columns()
                    row |= _course(courses[one], common) | _shares(found, one, sets, seed)
                    rows.append(row)
    return pd.DataFrame(rows, columns=recognition_tables.EQUAL_LOSS.schema.names)


def _images(optimisation: pd.DataFrame) -> pd.DataFrame:
    """Return target, largest loss and evaluations of each image, by condition and image."""
    if optimisation["target"].isna().any():
        raise ValueError(
            "experiments at equal loss need recipes with 'budget.until_loss'; the synthesis of "
            f"{optimisation['target'].isna().sum()} rows of 'optimisation' had no target"
        )
    by = optimisation.astype(dict.fromkeys([*CONDITION_KEY, "image_id"], str))
    groups = by.groupby([*CONDITION_KEY, "image_id"])
    return groups.agg(
        target=("target", "first"),
        loss=("loss_stored", "max"),
        reached=("reached", "all"),
        evaluations=("evaluations", "first"),
    )


def _course_of(images: pd.DataFrame, one: Condition) -> pd.DataFrame:
    """Return the rows of a condition, by image."""
    mine = [tuple(key[:-1]) == tuple(one.columns().values()) for key in images.index]
    return images[mine].droplevel(list(CONDITION_KEY))


def _compared(conditions: Sequence[Condition]) -> list[list[Condition]]:
    """Return the conditions that differ in their model set alone, in their order."""
    found: dict[Condition, list[Condition]] = {}
    for one in conditions:
        found.setdefault(replace(one, model_set=""), []).append(one)
    return list(found.values())


def _common(courses: Iterable[pd.DataFrame]) -> list[str]:
    """Return the images of the photographs that were brought to the target by all sets."""
    reached = pd.concat([course["reached"] for course in courses], axis=1).all(axis=1)
    photograph = [crops.photograph_of(image) for image in reached.index]
    return list(reached.index[reached.groupby(photograph).transform("all")])


def _cells(
    frame: pd.DataFrame, sets: Sequence[Condition], images: Sequence[str]
) -> dict[Condition, RecognitionMatrix]:
    """Return who recognised these images of these conditions, by condition."""
    names = {tuple(one.columns().values()) for one in sets}
    rows = frame[frame["image_id"].isin(images)].astype(dict.fromkeys(CONDITION_KEY, str))
    wanted = rows[pd.MultiIndex.from_frame(rows[list(CONDITION_KEY)]).isin(names)]
    return {cell.condition: cell for cell in cells(wanted)}


def _course(course: pd.DataFrame, common: Sequence[str]) -> dict[str, Any]:
    """Return how a set came to the target."""
    return {
        "target": course["target"].iloc[0],
        "n_images": len(common),
        "n_references": len(course),
        "reached": course["reached"].mean(),
        "loss": course["loss"][list(common)].median(),
        "evaluations": course["evaluations"].median(),
    }


def _shares(
    found: Mapping[Condition, RecognitionMatrix],
    one: Condition,
    sets: Sequence[Condition],
    seed: int,
) -> dict[str, Any]:
    """Return the share that is recognised, and how much more than of the first set's metamers."""
    if not found:
        return {"n_evaluators": 0}
    judges = np.logical_and.reduce([cell.of("trained") for cell in found.values()])
    mine, first = (found[each].recognised[judges].astype(np.float64) for each in (one, sets[0]))
    if not judges.any():
        return {"n_evaluators": 0}
    low, high = bootstrap.crossed_share_interval(mine, np.random.default_rng(seed))
    row = {"n_evaluators": len(mine), "recognizability": mine.mean(), "low": low, "high": high}
    if one == sets[0]:
        return row
    ends = bootstrap.crossed_change_interval(mine - first, np.random.default_rng(seed))
    names = ("difference", "difference_low", "difference_high")
    return row | dict(zip(names, ((mine - first).mean(), *ends), strict=True))
