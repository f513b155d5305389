"""The accuracy gate: a model must see in the references about what its row promises."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metamers import bootstrap
from metamers.images import crops
from metamers.models import zoo
from metamers.storage import raw_tables

CHANCE = 0.01  # rows that expect no more than this have random weights
ALIKE = 1e-4  # of their length: what rounding leaves of the difference of equal activations


class AccuracyError(RuntimeError):
    """A model's clean accuracy is far below what its row expects."""


def check(
    answers: pd.DataFrame,
    references: pd.DataFrame,
    rows: Mapping[str, Mapping[str, Any]],
    gate: Mapping[str, float],
) -> pd.DataFrame:
    """Return the clean accuracy of each model beside its row's expectation.

    Parameters
    ----------
    answers, references
        Frames with the columns of ``reference_predictions`` and ``references``.
    rows
        The rows of the models.
    gate
        ``margin``: share of the expected accuracy that the upper end of Wilson's 95 % interval
        must reach.

    Returns
    -------
    pandas.DataFrame
        The columns of the table `accuracy`. A model is not judged, and says why, where it has no
        head, no image has a label, its row expects nothing, or its weights are random.
    """
    truth = references[["references", "image_id", "label"]].dropna(subset=["label"])
    judged = answers.merge(truth, on=["references", "image_id"])
    judged = judged.drop_duplicates(["image_id", "evaluator"])
    headless = [name for name, row in rows.items() if not zoo.has_head(row)]
    found = [
        _row(name, judged[judged["evaluator"] == name], rows[name], gate)
        for name in sorted({*answers["evaluator"], *headless})
    ]
    return pd.DataFrame(found, columns=raw_tables.ACCURACY.schema.names)


def require(found: pd.DataFrame) -> None:
    """Raise `AccuracyError` if a model is far below its row's expectation."""
    failed = found[found["verdict"] == "far below"]
    if len(failed):
        lines = [
            f"  {row.model}: {row.n_right} of {row.n_images} right ({row.accuracy:.2f}; interval "
            f"{row.low:.2f} to {row.high:.2f}), where its row expects {row.expected:.3f} "
            f"({row.source})"
            for row in failed.itertuples()
        ]
        raise AccuracyError(
            "the clean accuracy on the reference images is far below what the row in the zoo "
            "expects; usually the normalisation or the mapping of the weights is wrong "
            "(docs/troubleshooting.md, 'accuracy gate'):\n" + "\n".join(lines)
        )


def require_different(model: str, stage: str, apart: NDArray[np.float64]) -> None:
    """Raise `AccuracyError` if a model's activations hardly depend on the image.

    Parameters
    ----------
    model, stage
        For the message.
    apart
        Relative distances of all pairs of references (`Null.relative_l2`).
    """
    middle = float(np.median(apart))
    if middle <= ALIKE:
        raise AccuracyError(
            f"model {model!r}, stage {stage!r}: the activations of two reference images differ by "
            f"{middle:.1e} of their length (median), which is rounding; usually the weights or the "
            "normalisation are wrong (docs/troubleshooting.md, 'accuracy gate')"
        )
    logging.info("%s, stage %s: activations of two references differ by %.3g", model, stage, middle)


def _row(
    name: str, judged: pd.DataFrame, row: Mapping[str, Any], gate: Mapping[str, float]
) -> dict[str, Any]:
    stated = row.get("accuracy") or {}
    expected = stated.get("top1")
    n_images, n_right = len(judged), int((judged["predicted"] == judged["label"]).sum())
    # Crops of one photograph are one trial: the share right, of so many photographs.
    trials = judged["image_id"].map(crops.photograph_of).nunique()
    share = n_right / n_images if n_images else np.nan
    interval = bootstrap.wilson_interval(share * trials, trials) if trials else (np.nan, np.nan)
    low, high = map(float, interval)
    return {
        "model": name,
        "n_images": n_images,
        "n_right": n_right,
        "accuracy": share if n_images else None,
        "low": low,
        "high": high,
        "expected": expected,
        "source": stated.get("source", ""),
        "verdict": _verdict(n_images, high, expected, gate["margin"])
        if zoo.has_head(row)
        else "not judged: no head",
    }


def _verdict(n_images: int, high: float, expected: float | None, margin: float) -> str:
    if not n_images:
        return "not judged: no image has a label"
    if expected is None:
        return "not judged: the row expects nothing"
    if expected <= CHANCE:
        return "not judged: random weights"
    return "as expected" if high >= margin * expected else "far below"
