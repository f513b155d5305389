"""Mixed model sets: Figure 7, and what each model's presence changes (Table 5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from metamers import bootstrap
from metamers.analysis import recognizability
from metamers.analysis.recognition import Members
from metamers.analysis.recognition_matrix import RecognitionMatrix, cells, select
from metamers.storage import result_tables, tables
from metamers.storage.columns import CONDITION_KEY, PRIMARY_RULE

Array = NDArray[np.float64]
PERMUTATIONS = 9999


def mixed_sets(
    recognition: pd.DataFrame,
    conditions: Sequence[Any],
    members: Members,
    *,
    experiment: str = "mixed",
    seed: int = 0,
) -> pd.DataFrame:
    """Return each set's recognizability, by the primary rule and the evaluators held out from it.

    A set that nothing is held out from has no row. `adjusted` is what the set's mean would be
    if every evaluator had judged it: effects of sets and of evaluators are fitted together by
    least squares, since a set's members are missing among its evaluators, and a set that keeps
    out a strict evaluator would look better for that alone.

    Parameters
    ----------
    recognition
        Frame with the columns of that table.
    conditions
        Conditions of the experiment, as in `analysis.recognizability`.
    members
        The models of each set.
    experiment
        Its name.

    Returns
    -------
    pandas.DataFrame
        The columns of the table `mixed_sets`.
    """
    judged = tables.matching(recognition, **PRIMARY_RULE)
    chosen = [
        cell
        for _, found in select(cells(judged), {experiment: conditions})
        for cell in found
        if cell.held_out.any()
    ]
    rows = []
    for cell, adjusted in zip(chosen, adjusted_means(chosen), strict=True):
        models = [*members[cell.condition.model_set]]
        own = {"members": models, "size": len(models), "adjusted": adjusted}
        named = {"experiment": experiment} | cell.columns()
        rows.append(named | own | recognizability.mean_over(cell, "held_out", seed))
    return pd.DataFrame(rows, columns=result_tables.MIXED_SETS.schema.names)


def adjusted_means(chosen: Sequence[RecognitionMatrix]) -> Array:
    """Return each set's mean with differences between evaluators removed.

    Least squares of ``share = set + evaluator``, with evaluators' effects summing to zero; of
    all solutions the shortest, where sets and evaluators are not linked.
    """
    if not chosen:
        return np.array([])
    shares = [cell.recognised[cell.held_out].mean(axis=1, dtype=np.float64) for cell in chosen]
    names = [np.array(cell.evaluators)[cell.held_out] for cell in chosen]
    evaluator, evaluators = pd.factorize(np.concatenate(names))
    at = np.repeat(np.arange(len(chosen)), [len(share) for share in shares])
    design = np.zeros((len(at), len(chosen) + len(evaluators)))
    design[np.arange(len(at)), at] = 1
    design[np.arange(len(at)), len(chosen) + evaluator] = 1
    values = np.concatenate(shares)
    fit: Array = np.linalg.lstsq(design, values, rcond=None)[0]
    overall: float = fit[len(chosen) :].mean()
    return fit[: len(chosen)] + overall


def difference_in_means(mixed: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Return, for each model, the mean of the sets with it less that of the sets without it.

    Intervals are Welch's over sets, and the p-value permutes the adjusted means between sets
    (all permutations where there are few). Both are null where fewer than two sets have the
    model or lack it.

    Parameters
    ----------
    mixed
        Frame with the columns of the table `mixed_sets`.

    Returns
    -------
    pandas.DataFrame
        The columns of the table `difference_in_means`: models of at least one set but not of
        all, largest difference first.

    Raises
    ------
    ValueError
        If the sets differ in more than their models: two stages, say, are two tables.
    """
    require_one_setting(mixed)
    presence = membership(mixed["members"])
    rows = []
    for model, present in presence.items():
        raw = _difference(mixed["mean"].to_numpy(), present.to_numpy())
        adjusted = _difference(mixed["adjusted"].to_numpy(), present.to_numpy())
        p_value = _permuted(
            mixed["adjusted"].to_numpy(), present.to_numpy(), np.random.default_rng(seed)
        )
        rows.append(
            {"experiment": mixed["experiment"].iat[0], "model": model}
            | {"appearances": int(present.sum()), "n_sets": len(mixed)}
            | dict(zip(("difference", "low", "high"), raw, strict=True))
            | dict(zip(("adjusted", "adjusted_low", "adjusted_high"), adjusted, strict=True))
            | {"p_value": p_value}
        )
    frame = pd.DataFrame(rows, columns=result_tables.DIFFERENCE_IN_MEANS.schema.names)
    frame["p_adjusted"] = bootstrap.holm(frame["p_value"].to_numpy(dtype=np.float64))
    return frame.sort_values("difference", ascending=False, ignore_index=True)


def require_one_setting(mixed: pd.DataFrame) -> None:
    """Refuse mixed sets that differ in more than their models."""
    setting = ["experiment", *(name for name in CONDITION_KEY if name != "model_set")]
    settings = mixed[setting]
    if len(settings.drop_duplicates()) > 1:
        raise ValueError(
            "mixed sets can be compared where they differ in their models alone; met were "
            f"{settings.drop_duplicates().to_dict('records')!r}"
        )


def membership(members: pd.Series) -> pd.DataFrame:
    """Return which models (columns) are in which set (rows), without those in all sets."""
    names = sorted({model for models in members for model in models})
    found = pd.DataFrame({name: [name in models for models in members] for name in names})
    return found.loc[:, ~found.all()]


def _difference(values: Array, present: NDArray[np.bool_]) -> tuple[float, float, float]:
    having, lacking = values[present], values[~present]
    difference = float(having.mean() - lacking.mean())
    if min(len(having), len(lacking)) < 2 or having.std() + lacking.std() == 0:
        return difference, np.nan, np.nan
    compared = CompareMeans(DescrStatsW(having), DescrStatsW(lacking))
    low, high = compared.tconfint_diff(1 - bootstrap.LEVEL, usevar="unequal")
    return difference, float(low), float(high)


def _permuted(values: Array, present: NDArray[np.bool_], generator: np.random.Generator) -> float:
    if min(present.sum(), (~present).sum()) < 2:
        return np.nan
    result = stats.permutation_test(
        (values[present], values[~present]),
        lambda having, lacking, axis: having.mean(axis=axis) - lacking.mean(axis=axis),
        vectorized=True,
        n_resamples=PERMUTATIONS,
        rng=generator,
    )
    return float(result.pvalue)
