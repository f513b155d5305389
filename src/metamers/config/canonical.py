"""One spelling of values that mean the same: what decides results is compared in this form."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from metamers.synthesis.settings import parse_radius

# Regular expressions of a checkpoint's layout are applied in their order.
ORDERED = ("rename",)


def canonical(value: Any) -> Any:  # noqa: ANN401
    """Return a value of the configuration as plain data in its one spelling.

    Keys of mappings are sorted (those of ``rename`` keep their order, which counts), tuples are
    lists, whole floats are integers, and a ``radius`` written as a fraction is a number. So
    ``{b: 10000.0, a: 8/255}`` and ``{a: 8/255, b: 10000}`` decide the same results. Not for
    what is shown: there the order of sets and the spelling of a radius count.

    Raises
    ------
    ValueError
        If a number is not finite, or the denominator of a radius is 0.
    TypeError
        If a value is not plain data.
    """
    if isinstance(value, Mapping):
        return _mapping(value)
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return _number(value)
    raise TypeError(f"{value!r} is of type {type(value).__name__}; expected is plain data")


def _mapping(value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _radius(value[key])
        if key == "radius"
        else dict(value[key])
        if key in ORDERED
        else canonical(value[key])
        for key in sorted(value)
    }


def _radius(value: Any) -> Any:  # noqa: ANN401
    return canonical(parse_radius(value) if isinstance(value, str) else value)


def _number(value: float) -> int | float:
    if not math.isfinite(value):
        raise ValueError(f"{value!r} is not a finite number")
    return int(value) if value.is_integer() else value
