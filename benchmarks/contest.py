"""One case: a model, a stage, some images; the contestants take turns, and ratios come out."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from contestants import (
    Contestant,
    Seconds,
    Task,
    WithLatent,
    limit,
    ours,
    plenoptic,
    predecessor,
    truncated,
)
from torch import Tensor

from metamers.execution.loading import prepare_features
from metamers.execution.settings import ExecutionSettings
from metamers.models.zoo import ModelSpec

LEAST_ROUNDS = 3


@dataclass(frozen=True)
class Case:
    """What is compared: one model at one stage, with some images of one side."""

    model: str
    stage: str
    depth: float
    side: int
    images: int


@dataclass(frozen=True)
class Entrant:
    """A contestant with its task: the images in the layout that its network wants.

    ``seldom``: whether every second round is enough.
    """

    contestant: Contestant
    task: Task
    seldom: bool = False


def entrants(
    case: Case, spec: ModelSpec, engine: ExecutionSettings, references: Tensor, cache: Path
) -> tuple[str, dict[str, Entrant]]:
    """Return the stage's module, and all who take part.

    ``ours`` and ``limit`` have the network as the engine prepares it (folded, channels last);
    ``plain_ours``, ``plain_limit``, ``predecessor`` and ``plenoptic`` as it is published.
    ``plenoptic_prepared`` is plenoptic with the engine's network.
    """
    plain_engine = replace(engine, fold_batch_norm=False, channels_last=False)
    device = engine.torch_device()
    plain_references = references.to(device)
    prepared_references = plain_references.contiguous(memory_format=engine.memory_format)
    prepared, plain = (
        prepare_features(spec, case.stage, case.depth, how, cache, plain_references, False)
        for how in (engine, plain_engine)
    )
    cut, plain_cut = (truncated(f.classifier, f.module) for f in (prepared, plain))
    whole = WithLatent(plain.classifier, plain.module)
    task, plain_task = Task.of(prepared_references), Task.of(plain_references)
    return prepared.module, {
        "ours": Entrant(Contestant(ours, prepared, as_job=True), task),
        "limit": Entrant(Contestant(limit, cut), task),
        "plain_limit": Entrant(Contestant(limit, plain_cut, timed=5), plain_task),
        "plain_ours": Entrant(Contestant(ours, plain, as_job=True), plain_task, seldom=True),
        "predecessor": Entrant(Contestant(predecessor, whole, timed=2), plain_task, seldom=True),
        "predecessor_batch_1": Entrant(
            Contestant(predecessor, whole, images=1, timed=5), plain_task, seldom=True
        ),
        "plenoptic": Entrant(Contestant(plenoptic, plain_cut, timed=3), plain_task, seldom=True),
        "plenoptic_prepared": Entrant(Contestant(plenoptic, cut, timed=3), task, seldom=True),
    }


def rounds(
    cases: Sequence[Mapping[str, Entrant]], seconds: float
) -> list[list[dict[str, Seconds]]]:
    """Go through the cases again and again until the time is up, at least thrice.

    In each round the contestants of a case run one after the other, forwards and backwards by
    turns. So what else the machine does meets all of them.
    """
    until, longest = time.monotonic() + seconds, 0.0
    found: list[list[dict[str, Seconds]]] = [[] for _ in cases]
    while len(found[0]) < LEAST_ROUNDS or time.monotonic() + longest < until:
        begun = time.monotonic()
        for entered, times in zip(cases, found, strict=True):
            gc.collect()
            times.append({name: _time(entered[name]) for name in order(entered, len(times))})
        longest = max(longest, time.monotonic() - begun)
    return found


def order(entered: Mapping[str, Entrant], number: int) -> list[str]:
    """Return who runs in a round, and when: rounds 1, 2, 5, 6, … go backwards."""
    names = [name for name, who in entered.items() if not (who.seldom and number % 2)]
    return names[::-1] if number % 4 in (1, 2) else names


def _time(entrant: Entrant) -> Seconds:
    return entrant.contestant.time(entrant.task)


RATIOS = {
    "limit": ("limit", "ours"),
    "plain_limit": ("plain_limit", "ours"),
    "predecessor": ("predecessor", "ours"),
    "predecessor_batch_1": ("predecessor_batch_1", "ours"),
    "plenoptic": ("plenoptic", "ours"),
    "plenoptic_prepared": ("plenoptic_prepared", "ours"),
    "limit_plain_loops": ("plain_limit", "plain_ours"),
}


def summary(found: list[dict[str, Seconds]]) -> dict[str, Any]:
    """Return the median of each ratio over the rounds, its quartiles, and times.

    A ratio is another's time over ours, in one round: above 1, ours is faster.
    """
    result: dict[str, Any] = {"rounds": len(found)}
    spread, wall = {}, {}
    for name, (other, mine) in RATIOS.items():
        both = [row for row in found if other in row and mine in row]
        values = [row[other].process / row[mine].process for row in both]
        result[f"ratio_to_{name}"] = round(statistics.median(values), 3)
        spread[name] = [round(value, 3) for value in quartiles(values)]
        walls = [row[other].wall / row[mine].wall for row in both]
        wall[name] = round(statistics.median(walls), 3)
    times = {
        name: round(statistics.median(1000 * row[name].process for row in found if name in row), 3)
        for name in found[0]
    }
    return result | {"quartiles": spread, "by_wall_time": wall, "ms_per_image_step": times}


def quartiles(values: list[float]) -> tuple[float, float]:
    """Return the lower and the upper quartile."""
    lower, _, upper = statistics.quantiles(values, n=4, method="inclusive")
    return lower, upper
