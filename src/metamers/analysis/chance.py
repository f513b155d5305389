"""What recognition by chance is, for each evaluator: its agreement with itself on other images."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metamers.images import crops
from metamers.storage import baseline_tables
from metamers.storage.columns import ANSWERS


def chance(reference_predictions: pd.DataFrame) -> pd.DataFrame:
    """Return how often each evaluator gives two unrelated references the same answer.

    It is what rule `self` gives metamers that look like some reference, but not theirs: the mean
    over all ways to shuffle the references. A network that gives one answer to everything has
    a chance of 1.

    Parameters
    ----------
    reference_predictions
        Frame with the columns of that table.

    Returns
    -------
    pandas.DataFrame
        The columns of the table `chance`; no row where there are fewer than two photographs.
    """
    rows = []
    by = reference_predictions.groupby(["references", "evaluator"], observed=True)
    for (references, evaluator), answers in by:
        photograph = crops.photographs(answers["image_id"].astype(str).tolist())
        if len(set(photograph)) < 2:
            continue
        row = {"references": references, "evaluator": evaluator, "n_images": len(answers)}
        rows += [
            row | {"label_space": space, "chance": _agreement(answers[name].to_numpy(), photograph)}
            for space, name in ANSWERS.items()
        ]
    return pd.DataFrame(rows, columns=baseline_tables.CHANCE.schema.names)


def _agreement(answers: NDArray, photograph: NDArray[np.intp]) -> float:
    """Return the share of pairs of images, not of one photograph, that have the same answer."""
    apart = photograph[:, None] != photograph
    return float((answers[:, None] == answers)[apart].mean())
