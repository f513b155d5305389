"""From judgements to recognizability: the numbers of section 4.5 and of Figures 3 and 6."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from metamers import bootstrap
from metamers.analysis.recognition import Members
from metamers.analysis.recognition_matrix import (
    Experiments,
    RecognitionMatrix,
    alike,
    cells,
    contrast,
    select,
)
from metamers.config.plan import Condition
from metamers.storage import recognition_tables
from metamers.storage.columns import CONDITION_KEY, GROUPS, Table


def recognizability(
    recognition: pd.DataFrame, experiments: Experiments, seed: int = 0
) -> pd.DataFrame:
    """Return the share of metamers that each evaluator recognises, with its interval.

    The interval resamples images. It depends on the seed and the cell alone: a condition
    added elsewhere changes nothing.

    Parameters
    ----------
    recognition
        Frame with the columns of that table.
    experiments
        The conditions of each experiment.

    Returns
    -------
    pandas.DataFrame
        The columns of the table `recognizability`.
    """
    parts = [
        _by_evaluator(cell, seed).assign(experiment=name)
        for name, chosen in select(cells(recognition), experiments)
        for cell in chosen
    ]
    names = recognition_tables.RECOGNIZABILITY.schema.names
    return pd.concat(parts, ignore_index=True)[names] if parts else pd.DataFrame(columns=names)


def by_set(
    recognition: pd.DataFrame,
    experiments: Experiments,
    seed: int = 0,
    successes: pd.DataFrame | None = None,
    families: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Return recognizability averaged over groups of evaluators.

    `held_out` leaves out the members and the models with the weights of one, `trained` also
    those that were never trained, `unrelated` also those that share a member's lineage. A group
    without evaluators has no row. The interval resamples images and evaluators.

    Parameters
    ----------
    successes
        What `metamers.analysis.success.successful` returned, for the means over images that
        are metamers.
    families
        Family of each evaluator, for the means in which families count alike; without it there
        are none.

    Returns
    -------
    pandas.DataFrame
        The columns of the table `recognizability_by_set`.
    """
    of_successful = _Successful.of(recognition, successes)
    rows = [
        {"experiment": name, "group": group}
        | cell.columns()
        | mean_over(cell, group, seed)
        | _balanced(cell, group, families, seed)
        | of_successful.columns(cell, group, seed)
        for name, chosen in select(cells(recognition), experiments)
        for cell in chosen
        for group in GROUPS
        if cell.of(group).any()
    ]
    return _frame(recognition_tables.RECOGNIZABILITY_BY_SET, rows)


@dataclass(frozen=True)
class _Successful:
    """Recognition of the images that are metamers, where that is known of a condition."""

    known: frozenset[Condition]
    cells: Mapping[tuple[Condition, str, str], RecognitionMatrix]

    @classmethod
    def of(cls, recognition: pd.DataFrame, successes: pd.DataFrame | None) -> _Successful:
        if successes is None or successes.empty:
            return cls(frozenset(), {})
        keys = [*CONDITION_KEY, "image_id"]
        image = recognition.groupby(keys, observed=True, sort=False).ngroup()
        first = ~image.duplicated()  # of each image: there are many judgements of it
        images = recognition.loc[first, keys].astype(str).assign(image=image[first])
        good = images.merge(successes.loc[successes["success"], keys].astype(str), "inner", keys)
        found = cells(recognition[image.isin(good["image"])], selected=True)
        conditions = successes[list(CONDITION_KEY)].drop_duplicates()
        known = frozenset(Condition(*row) for row in conditions.itertuples(index=False, name=None))
        return cls(known, {(c.condition, c.rule, c.label_space): c for c in found})

    def columns(self, cell: RecognitionMatrix, group: str, seed: int) -> dict[str, Any]:
        """Return the columns ``n_successful`` to ``high_successful`` beside those of a cell."""
        if cell.condition not in self.known:
            return {"n_successful": None}
        chosen = self.cells.get((cell.condition, cell.rule, cell.label_space))
        if chosen is None:
            return {"n_successful": 0}
        found = mean_over(chosen, group, seed)
        means = {f"{name}_successful": found[name] for name in ("mean", "low", "high")}
        return {"n_successful": chosen.n_images} | means


def by_stage(recognition: pd.DataFrame, experiments: Experiments, seed: int = 0) -> pd.DataFrame:
    """Return recognizability averaged over sets and evaluators: section 4.5's three means.

    The mean and the standard deviation are over all pairs of a set and an evaluator of the
    group. The interval resamples images and evaluators; the sets stay as they are.

    Returns
    -------
    pandas.DataFrame
        The columns of the table `recognizability_by_stage`.
    """
    rows = []
    for name, chosen in select(cells(recognition), experiments):
        for shared, similar in alike(chosen).items():
            for group in GROUPS:
                row = _pooled(similar, group, seed)
                rows += [{"experiment": name, "group": group} | dict(shared) | row] if row else []
    return _frame(recognition_tables.RECOGNIZABILITY_BY_STAGE, rows)


def ensemble_gain(
    recognition: pd.DataFrame, experiments: Experiments, members: Members, seed: int = 0
) -> pd.DataFrame:
    """Return how much more an ensemble's metamers are recognised than a single model's.

    Each image and each trained evaluator that is held out for both is compared with itself; the
    interval resamples both. An ensemble is compared with each single model of the experiment,
    and with the mean of those that are its own members (`against` is then ``members``).

    Returns
    -------
    pandas.DataFrame
        The columns of the table `ensemble_gain`; no row where nothing is held out for both.
    """
    rows = []
    for name, chosen in select(cells(recognition), experiments):
        for shared, similar in alike(chosen).items():
            by_name = {cell.condition.model_set: cell for cell in similar}
            for ensemble, against, singles in comparisons(list(by_name), members):
                row = _gain(by_name[ensemble], [by_name[s] for s in singles], seed)
                labels = {"model_set": ensemble, "against": against, "singles": singles}
                rows += [{"experiment": name} | dict(shared) | labels | row] if row else []
    return _frame(recognition_tables.ENSEMBLE_GAIN, rows)


def _by_evaluator(cell: RecognitionMatrix, seed: int) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    low, high = bootstrap.share_interval(cell.recognised, generator)
    return pd.DataFrame(
        cell.columns()
        | {
            "evaluator": cell.evaluators,
            "member": cell.member,
            "same_weights": cell.same_weights,
            "related": cell.related,
            "trained": cell.trained,
            "n_images": cell.n_images,
            "recognizability": cell.recognised.mean(axis=1, dtype=np.float64),
            "low": low,
            "high": high,
        }
    )


def mean_over(cell: RecognitionMatrix, group: str, seed: int) -> dict[str, Any]:
    """Return a cell's mean over a group: columns n_images to high of `recognizability_by_set`."""
    values = cell.recognised[cell.of(group)].astype(np.float64)
    shares = values.mean(axis=1)
    low, high = bootstrap.crossed_share_interval(values, np.random.default_rng(seed))
    return {
        "n_images": cell.n_images,
        "n_evaluators": values.shape[0],
        "mean": float(shares.mean()),
        "sd": float(shares.std(ddof=1)) if len(shares) > 1 else None,
        "low": low,
        "high": high,
    }


def _balanced(
    cell: RecognitionMatrix, group: str, families: Mapping[str, str] | None, seed: int
) -> dict[str, Any]:
    """Return the columns ``n_families`` to ``family_high`` of a cell."""
    if families is None:
        return {"n_families": None}
    part = cell.part(group)
    found = bootstrap.pooled([part], np.random.default_rng(seed), families=families)
    return {
        "n_families": len({families[name] for name in part[0]}),
        "family_mean": found.mean,
        "family_low": found.low,
        "family_high": found.high,
    }


def _frame(table: Table, rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=table.schema.names)


def _pooled(chosen: Sequence[RecognitionMatrix], group: str, seed: int) -> dict[str, Any]:
    parts = [cell.part(group) for cell in chosen if cell.of(group).any()]
    if not parts:
        return {}
    found = bootstrap.pooled(parts, np.random.default_rng(seed))
    return {
        "n_sets": found.n_tables,
        "n_evaluators": found.n_evaluators,
        "n_images": chosen[0].n_images,
        "mean": found.mean,
        "sd": float(found.shares.std(ddof=1)) if len(found.shares) > 1 else None,
        "low": found.low,
        "high": found.high,
    }


def comparisons(names: Sequence[str], members: Members) -> list[tuple[str, str, list[str]]]:
    """Return each ensemble, what it is compared with, and the single sets that this means."""
    singles = [name for name in names if len(members[name]) == 1]
    found = []
    for ensemble in (name for name in names if len(members[name]) > 1):
        own = [single for single in singles if members[single][0] in members[ensemble]]
        found += [(ensemble, single, [single]) for single in singles]
        found += [(ensemble, "members", own)] if own else []
    return found


def _gain(
    ensemble: RecognitionMatrix, singles: Sequence[RecognitionMatrix], seed: int
) -> dict[str, Any]:
    evaluators, difference = contrast(ensemble, singles, "trained")
    if not evaluators:
        return {}
    low, high = bootstrap.crossed_change_interval(difference, np.random.default_rng(seed))
    images = np.asarray([low, high])  # of no difference at all, the interval is one over images
    if difference.any():
        generator = np.random.default_rng(seed)
        images = np.asarray(bootstrap.bootstrap_interval(difference.mean(axis=0), generator))
    recognised = ensemble.recognised[np.isin(ensemble.evaluators, evaluators)]
    return {
        "n_images": ensemble.n_images,
        "n_evaluators": difference.shape[0],
        "ensemble": float(recognised.mean(dtype=np.float64)),
        "single": float(recognised.mean(dtype=np.float64) - difference.mean()),
        "difference": float(difference.mean()),
        "low": low,
        "high": high,
        "images_low": float(images[0]),
        "images_high": float(images[1]),
    }
