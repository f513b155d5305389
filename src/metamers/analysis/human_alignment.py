"""Does transfer between networks predict what people see? From published answers of both.

People and networks judged the same metamers, of single networks, layer by layer (Feather et al.
2023). What a network makes of its own metamers is left out: it recognises them by construction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from metamers import bootstrap
from metamers.analysis import feather2023
from metamers.analysis.run_results import Effect, RunResults
from metamers.storage import result_tables

Array = NDArray[np.float64]

CONDITION = ["experiment", "network", "layer"]


@dataclass(frozen=True)
class Answers:
    """Who recognised the metamers of which condition: network, layer and vision experiment.

    Attributes
    ----------
    conditions
        Columns `CONDITION`, a row per condition.
    people
        Shape (people, conditions): share that a person recognised, NaN where they were not asked.
    sittings
        Shape (people,): the experiment that each person took part in.
    networks
        Shape (judges, conditions): share that a network recognised, NaN for the maker itself.
    """

    conditions: pd.DataFrame
    people: Array
    sittings: NDArray[np.int64]
    networks: Array


def answers() -> Answers:
    """Return the published answers to metamers that both people and networks judged."""
    asked, judged = feather2023.people(), feather2023.networks()
    both = judged[["maker", "layer"]].drop_duplicates().rename(columns={"maker": "network"})
    asked = asked.merge(both, on=["network", "layer"])
    asked["person"] = list(zip(asked["experiment"], asked["participant"], strict=True))
    people = asked.pivot(index="person", columns=CONDITION, values="human")
    others = judged[judged["maker"] != judged["judge"]]
    shares = others.pivot(index="judge", columns=["maker", "layer"], values="correct_16")
    conditions = people.columns.to_frame(index=False)
    makers = pd.MultiIndex.from_frame(conditions[["network", "layer"]])
    return Answers(
        conditions,
        people.to_numpy(dtype=np.float64),
        np.array([experiment for experiment, _ in people.index]),
        shares[list(makers)].to_numpy(dtype=np.float64),
    )


def human_alignment(seed: int) -> pd.DataFrame:
    """Return the table `human_alignment`: each condition's share, of people and of networks."""
    found, generator = answers(), np.random.default_rng(seed)
    rows = []
    for place, condition in enumerate(found.conditions.to_dict("records")):
        row: dict[str, Any] = {str(name): str(value) for name, value in condition.items()}
        for name, values in (("people", found.people), ("networks", found.networks)):
            known = values[:, place][np.isfinite(values[:, place])]
            low, high = bootstrap.bootstrap_interval(known, generator)
            row |= {f"n_{name}": known.size, name: known.mean()}
            row |= {f"{name}_low": float(low), f"{name}_high": float(high)}
        rows.append(row)
    return pd.DataFrame(rows, columns=result_tables.HUMAN_ALIGNMENT.schema.names)


def correlation(found: Answers, generator: np.random.Generator) -> tuple[float, float, float]:
    """Return Spearman's correlation of people's and networks' shares, and the ends of its interval.

    Resampled are people within their experiment, networks that judge, networks that made the
    metamers, and layers within these, all independently of each other. A network's layers stay
    together, and so do the experiments that showed the same metamers.
    """
    value = _spearman(np.nanmean(found.people, axis=0), np.nanmean(found.networks, axis=0))
    people = _drawn_within(found.sittings, bootstrap.RESAMPLES, generator)
    judges = bootstrap.resample_counts(len(found.networks), bootstrap.RESAMPLES, generator)
    layers, drawn = _layers(found.conditions), []
    for shares in zip(_means(people, found.people), _means(judges, found.networks), strict=True):
        chosen = _draw(layers, generator)
        both = np.stack(shares)[:, chosen]
        drawn.append(_spearman(*both[:, np.isfinite(both).all(axis=0)]))
    low, high = np.quantile(drawn, bootstrap.TAILS)
    return value, float(low), float(high)


def effect(evidence: RunResults) -> Effect:
    """Return the correlation as the effect of a claim; of the run it takes the seed alone."""
    found = answers()
    generator = np.random.default_rng(evidence.plan.config["seed"])
    people, judges = len(found.people), len(found.networks)
    n = (
        f"{len(found.conditions)} conditions of {found.conditions['network'].nunique()} networks, "
        f"{people} people of {np.unique(found.sittings).size} experiments, {judges} judges"
    )
    return Effect(*correlation(found, generator), n, judges)


def _spearman(one: Array, other: Array) -> float:
    """Return the rank correlation; shares that differ by the rounding of a sum alone are equal."""
    ranks = [rankdata(np.round(values, 9)) for values in (one, other)]
    return float(np.corrcoef(*ranks)[0, 1])


def _means(counts: Array, values: Array) -> Array:
    """Return the means of columns, shape (resamples, columns), each entry as often as drawn."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return (counts @ np.where(known, values, 0.0)) / (counts @ known)


def _drawn_within(
    groups: NDArray[np.int64], resamples: int, generator: np.random.Generator
) -> Array:
    """Return how often each item is drawn among those of its group, shape (resamples, items)."""
    counts = np.zeros((resamples, groups.size))
    for group in np.unique(groups):
        own = np.flatnonzero(groups == group)
        counts[:, own] = bootstrap.resample_counts(own.size, resamples, generator)
    return counts


def _layers(conditions: pd.DataFrame) -> list[list[NDArray[np.intp]]]:
    """Return, for each network and each of its layers, the places of the conditions."""
    networks, layers = (conditions[name].to_numpy(dtype=str) for name in ("network", "layer"))
    return [
        [
            np.flatnonzero((networks == network) & (layers == layer))
            for layer in np.unique(layers[networks == network])
        ]
        for network in np.unique(networks)
    ]


def _draw(layers: list[list[NDArray[np.intp]]], generator: np.random.Generator) -> NDArray[np.intp]:
    """Return the places of drawn layers of drawn networks, each as often as it is drawn."""
    return np.concatenate(
        [
            layers[network][layer]
            for network in generator.integers(len(layers), size=len(layers))
            for layer in generator.integers(len(layers[network]), size=len(layers[network]))
        ]
    )
