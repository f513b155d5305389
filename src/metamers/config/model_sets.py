"""Model sets that an experiment draws (Appendix B)."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import combinations
from math import comb
from typing import Any

MOST_SETS = 10_000


def draw_sets(
    prefix: str, draw: Mapping[str, Any], models: Sequence[str], seed: int
) -> dict[str, tuple[str, ...]]:
    """Return sets of models, named ``<prefix>_<number>``.

    Parameters
    ----------
    prefix
        The experiment.
    draw
        ``sizes``: smallest and largest set; ``count``: how many, or ``all`` for every subset
        of these sizes. Sizes are drawn uniformly, then members (Appendix B: 100 sets of 2 to
        10 models); no set twice.
    models
        What is drawn from, in order.
    seed
        Seed of the run.

    Raises
    ------
    ValueError
        If there are not so many different sets.
    """
    count = count_sets(prefix, draw, len(models))
    smallest, largest = draw["sizes"]
    if draw["count"] == "all":
        sets = [
            members
            for size in range(smallest, min(largest, len(models)) + 1)
            for members in combinations(models, size)
        ]
    else:
        sets = _random_sets(count, smallest, largest, models, seed)
    width = max(3, len(str(len(sets) - 1)))
    return {f"{prefix}_{index:0{width}d}": members for index, members in enumerate(sets)}


def count_sets(name: str, draw: Mapping[str, Any], n_models: int) -> int:
    """Return how many sets a draw gives, without making them.

    Raises
    ------
    ValueError
        If sizes are reversed, or there are not so many different sets, or more than 10,000.
    """
    smallest, largest = draw["sizes"]
    if smallest > largest:
        raise ValueError(f"the sizes {draw['sizes']} are not [smallest, largest]")
    available = sum(comb(n_models, size) for size in range(smallest, min(largest, n_models) + 1))
    count = available if draw["count"] == "all" else draw["count"]
    if count > available or not available:
        raise ValueError(
            f"experiment {name!r} draws {draw['count']} sets of {smallest} to {largest} out of "
            f"{n_models} models; there are only {available}"
        )
    if count > MOST_SETS:
        raise ValueError(f"experiment {name!r} draws {count} sets; at most {MOST_SETS} are made")
    return count


def _random_sets(
    count: int, smallest: int, largest: int, models: Sequence[str], seed: int
) -> list[tuple[str, ...]]:
    generator = random.Random(f"mixed/{seed}")
    sets: dict[tuple[str, ...], None] = {}
    while len(sets) < count:
        size = generator.randint(smallest, min(largest, len(models)))
        drawn = set(generator.sample(range(len(models)), size))
        sets[tuple(model for index, model in enumerate(models) if index in drawn)] = None
    return list(sets)
