"""Success of the optimisation as Feather et al. (2023) define it.

A metamer is one for a member of its set if the member gives it the class that it gives the
reference, and its activations are closer to the reference's than those of every pair of a pool
of unrelated images, by rank correlation and by signal-to-noise ratio. Whether the ratio is in
dB of power or, as theirs, of norms decides nothing: one is twice the other. Of a member without a
head, which gives no class, the activations alone are asked.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd

from metamers import bootstrap
from metamers.images.crops import photograph_of
from metamers.storage import baseline_tables, recognition_tables
from metamers.storage.columns import CONDITION_KEY

SHARE = 0.9  # of the images, for a condition's to be called metamers
CLOSER = 1.0  # percent of pairs of references that may be as close as a metamer is
CRITERIA = ("kept", "beyond_spearman", "beyond_snr")
_IMAGE = [*CONDITION_KEY, "image_id"]


def by_image(
    likeness: pd.DataFrame,
    null: pd.DataFrame,
    predictions: pd.DataFrame,
    reference_predictions: pd.DataFrame,
    headless: Collection[str] = (),
) -> pd.DataFrame:
    """Return whether each metamer is one for each member of its set that judged it.

    Parameters
    ----------
    likeness, null, predictions, reference_predictions
        Frames with the columns of these tables; ``null`` is `null_distribution`.
    headless
        Models without a head.

    Returns
    -------
    pandas.DataFrame
        The columns of the table `image_success`, and of ``likeness`` and ``null``.

    Raises
    ------
    ValueError
        If a member has no null distribution at a stage, or no answer to a reference.
    """
    members = likeness[likeness["member"]].rename(columns={"evaluator": "model"})
    answers = predictions.rename(columns={"evaluator": "model"})[[*_IMAGE, "model", "predicted"]]
    own = reference_predictions.rename(columns={"evaluator": "model", "predicted": "own"})
    limits = null.rename(columns={"spearman": "spearman_of_pairs", "snr": "snr_of_pairs"})
    found = (
        members.merge(answers, "left", [*_IMAGE, "model"], validate="one_to_one")
        .merge(own[["references", "image_id", "model", "own"]], "left")
        .merge(limits.drop(columns="n_images"), "left", ["model", "stage"])
    )
    silent = found["model"].isin(list(headless))
    answered = found["own"].notna() & found["predicted"].notna()
    unknown = ~(answered | silent) | found["snr_of_pairs"].isna()
    if unknown.any():
        first = found.loc[unknown, [*_IMAGE, "model"]].iloc[0].to_dict()
        raise ValueError(f"{unknown.sum()} metamers lack an answer or a null, the first {first!r}")
    same = found["relative_l2"] == 0  # whose ratio and, of constant features, rank are not defined
    return found.assign(
        kept=(found["predicted"] == found["own"]).astype("boolean").mask(silent),
        beyond_spearman=(found["spearman"] > found["spearman_of_pairs"]) | same,
        beyond_snr=(found["snr"] > found["snr_of_pairs"]) | same,
    ).assign(success=lambda rows: rows[list(CRITERIA)].fillna(True).astype(bool).all(axis=1))


def by_condition(images: pd.DataFrame) -> pd.DataFrame:
    """Return the table `success` from what `by_image` returned."""
    rows = [
        dict(zip([*CONDITION_KEY, "model"], key, strict=True))
        | {
            "n_images": len(group),
            "share": float(group["success"].mean()),
            **{name: float(group[name].astype(float).mean()) for name in CRITERIA},
            "n_pairs": int(group["n_pairs"].iloc[0]),
            "closer": float((group["percentile_l2"] <= CLOSER).mean()),
            "median_l2": float(group["relative_l2"].median()),
        }
        for key, group in images.groupby([*CONDITION_KEY, "model"], observed=True)
    ]
    frame = pd.DataFrame(rows, columns=baseline_tables.SUCCESS.schema.names[:-1])
    return frame.assign(are_metamers=frame["share"] >= SHARE)


def successful(images: pd.DataFrame) -> pd.DataFrame:
    """Return whether each metamer is one for all members that judged it: column ``success``."""
    return images.groupby(_IMAGE, observed=True)["success"].all().reset_index()


def metrics_by_set(
    image_metrics: pd.DataFrame, successes: pd.DataFrame, seed: int = 0
) -> pd.DataFrame:
    """Return the means of image metrics over images, all and those that are metamers.

    Parameters
    ----------
    image_metrics
        Frame with the columns of that table; values of whole sets, and those that are not
        finite, are left out.
    successes
        What `successful` returned.

    Returns
    -------
    pandas.DataFrame
        The columns of the table `image_metrics_by_set`; the intervals resample photographs.
    """
    finite = np.isfinite(image_metrics["value"].astype(float))
    rows = image_metrics[image_metrics["image_id"].notna() & finite]
    rows = rows.merge(successes, "left", _IMAGE)
    rows = rows.assign(photograph=rows["image_id"].astype(str).map(photograph_of))
    found = [
        dict(zip([*CONDITION_KEY, "measure"], key, strict=True))
        | {"n_images": len(group)}
        | _mean(group, seed)
        | of_successful(group, seed)
        for key, group in rows.groupby([*CONDITION_KEY, "measure"], observed=True)
    ]
    return pd.DataFrame(found, columns=recognition_tables.IMAGE_METRICS_BY_SET.schema.names)


def of_successful(group: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Return the columns ``n_successful`` to ``high_successful`` of one condition's values."""
    if group["success"].isna().any():
        return {"n_successful": None}
    chosen = group[group["success"].astype(bool)]
    found = _mean(chosen, seed) if len(chosen) else {}
    return {"n_successful": len(chosen)} | {f"{k}_successful": v for k, v in found.items()}


def _mean(rows: pd.DataFrame, seed: int) -> dict[str, float]:
    values = rows.groupby("photograph")["value"].mean().to_numpy(dtype=np.float64)
    low, high = bootstrap.bootstrap_interval(values, np.random.default_rng(seed))
    return {"mean": float(rows["value"].mean()), "low": float(low), "high": float(high)}
