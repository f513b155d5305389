"""Learning rates: functions of how much of the work is done."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any


def rate(settings: Mapping[str, Any], repetition: int, repetitions: int, steps_done: int) -> float:
    """Return the learning rate of a repetition.

    Parameters
    ----------
    settings
        ``kind`` and its own keys: the recipe's ``schedule``.
    repetition, repetitions
        Which repetition of how many, from 0. The schedule steps once per repetition
        (Algorithm 1, line 17).
    steps_done
        Gradient steps taken before it.
    """
    values = dict(settings)
    return SCHEDULES[values.pop("kind")](repetition, repetitions, steps_done, **values)


def exponential(
    repetition: int, repetitions: int, steps_done: int, start: float, stop: float
) -> float:
    """Return ``start * gamma ** repetition``, which reaches ``stop`` after the last (Table 3)."""
    return start * (stop / start) ** (repetition / repetitions)


def cosine(repetition: int, repetitions: int, steps_done: int, start: float, stop: float) -> float:
    """Return half a cosine from ``start`` to ``stop`` (Loshchilov and Hutter 2017, no restart)."""
    return stop + (start - stop) * (1 + math.cos(math.pi * repetition / repetitions)) / 2


def halving(repetition: int, repetitions: int, steps_done: int, start: float, every: int) -> float:
    """Return the start, halved after each ``every`` steps (Feather et al. 2023: 3000)."""
    return start * 0.5 ** (steps_done // every)


def constant(repetition: int, repetitions: int, steps_done: int, start: float) -> float:
    """Return the same rate always."""
    return start


SCHEDULES: dict[str, Callable[..., float]] = {
    "exponential": exponential,
    "cosine": cosine,
    "halving": halving,
    "constant": constant,
}
