"""What a recipe changes: recognizability against an experiment's first recipe, image by image."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from metamers import bootstrap
from metamers.analysis.recognition_matrix import (
    Experiments,
    RecognitionMatrix,
    cells,
    contrast,
    select,
)
from metamers.config.plan import Condition
from metamers.storage import recognition_tables

_GROUPS = ("trained", "members")


def recipe_effects(
    recognition: pd.DataFrame, experiments: Experiments, seed: int = 0
) -> pd.DataFrame:
    """Return how much more a recipe's metamers are recognised than those of the first recipe.

    Model set, stage, bound, images and evaluators are the same on both sides, so that each answer
    is compared with itself; the interval resamples images and evaluators.

    Parameters
    ----------
    recognition
        Frame with the columns of that table.
    experiments
        The conditions of each experiment; the recipe of the first is what others are compared
        with. An experiment of one recipe has no row.
    seed
        Of the resamples.

    Returns
    -------
    pandas.DataFrame
        The columns of the table `recipe_effects`.
    """
    rows = []
    for name, chosen in select(cells(recognition), experiments):
        baseline = chosen[0].condition.recipe
        of_baseline = {_apart(cell): cell for cell in chosen if cell.condition.recipe == baseline}
        for cell in chosen:
            if cell.condition.recipe != baseline and _apart(cell) in of_baseline:
                labels = {"experiment": name, "baseline": baseline} | cell.columns()
                found = _effects(cell, of_baseline[_apart(cell)], seed)
                rows += [labels | effect for effect in found]
    return pd.DataFrame(rows, columns=recognition_tables.RECIPE_EFFECTS.schema.names)


def _apart(cell: RecognitionMatrix) -> tuple[Condition, str, str]:
    """Return all that identifies a cell but its recipe."""
    return replace(cell.condition, recipe=""), cell.rule, cell.label_space


def _effects(
    cell: RecognitionMatrix, baseline: RecognitionMatrix, seed: int
) -> list[dict[str, Any]]:
    rows = []
    for group in _GROUPS:
        evaluators, difference = contrast(cell, [baseline], group)
        if not evaluators:
            continue
        recognised = float(cell.recognised[cell.of(group)].mean(dtype=np.float64))
        generator = np.random.default_rng(seed)
        low, high = bootstrap.crossed_change_interval(difference, generator)
        rows.append(
            {
                "group": group,
                "n_images": cell.n_images,
                "n_evaluators": difference.shape[0],
                "recognizability": recognised,
                "of_baseline": recognised - float(difference.mean()),
                "difference": float(difference.mean()),
                "low": low,
                "high": high,
            }
        )
    return rows
