"""What figures are drawn from: tables checked, narrowed, labelled and put in order.

Charts carry their data as plain values, so that nothing is drawn that Python did not compute,
and no limit on rows applies.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from metamers.storage.columns import CONDITION_KEY, Table
from metamers.storage.tables import matching

Labels = Mapping[str, str]


class NothingToDrawError(ValueError):
    """A run's tables are sound, but hold nothing that a figure could show."""


def checked(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Return a frame that has rows, and exactly the table's columns, in any order.

    Raises
    ------
    ValueError
        If columns are missing or unknown; the error names them.
    NothingToDrawError
        If there are no rows.
    """
    wanted, met = set(table.schema.names), set(frame.columns)
    if wanted != met:
        raise ValueError(
            f"the frame for table {table.name!r} lacks the columns {sorted(wanted - met)} and has "
            f"the unknown columns {sorted(met - wanted)}; see docs/tables.md"
        )
    if frame.empty:
        raise NothingToDrawError(f"table {table.name!r} has no rows: there is nothing to draw")
    return frame


def pick(frame: pd.DataFrame, **wanted: str | bool) -> pd.DataFrame:
    """Return the rows that have the wanted value in each named column, one at least.

    Raises
    ------
    NothingToDrawError
        If there are none; the error lists the values that the table has.
    """
    rows = matching(frame, **wanted)
    if rows.empty:
        offered = {name: sorted(frame[name].unique()) for name in wanted}
        raise NothingToDrawError(f"no row has {wanted!r}; the table has {offered!r}")
    return rows


def is_among(frame: pd.DataFrame, conditions: Collection[tuple[str, ...]]) -> pd.Series:
    """Return which rows belong to the conditions, given as tuples of `CONDITION_KEY`."""
    rows = zip(*(frame[name] for name in CONDITION_KEY), strict=True)
    return pd.Series([key in conditions for key in rows], index=frame.index, dtype=bool)


def printed(names: pd.Series, labels: Labels) -> pd.Series:
    """Return the printed label of each name: the name itself where none is declared.

    Raises
    ------
    ValueError
        If two names are printed alike, and would be drawn as one.
    """
    labelled = {name: labels.get(name, name) for name in names.unique()}
    for name, other in itertools.combinations(labelled, 2):
        if labelled[name] == labelled[other]:
            raise ValueError(f"{name!r} and {other!r} are both printed as {labelled[name]!r}")
    return names.map(labelled).astype(object)


def set_labels(frame: pd.DataFrame, labels: Labels) -> pd.Series:
    """Return each row's model set as printed, with whatever else sets conditions apart.

    Draw of references, recipe and bound are appended only where the frame holds several.
    """
    text = printed(frame["model_set"], labels)
    for name in ("references", "recipe", "bound"):
        if frame[name].nunique() > 1:
            text = text + " · " + printed(frame[name], labels)
    return text


def in_order(present: Collection[str], order: Sequence[str]) -> list[str]:
    """Return the names that are present: those of `order` first, in it, then the others."""
    known = [name for name in dict.fromkeys(order) if name in set(present)]
    return known + sorted(set(present) - set(order))


def sets_in_order(names: pd.Series, shown: pd.Series, labels: Labels) -> list[str]:
    """Return the printed sets in the order in which `labels` declares them, then as met."""
    ranks = {name: rank for rank, name in enumerate(labels)}
    pairs = pd.DataFrame({"name": names, "shown": shown}).drop_duplicates("shown")
    rank = pairs["name"].map(lambda name: ranks.get(name, len(ranks)))
    return list(pairs.assign(rank=rank).sort_values("rank", kind="stable")["shown"])


def inline(frame: pd.DataFrame) -> dict[Any, Any]:
    """Return the frame as a chart's own data; a number that is not finite becomes null.

    A plain mapping, since Altair takes a minute to validate some 10 000 rows of its own class.
    """
    rows = [{str(k): _plain(v) for k, v in row.items()} for row in frame.to_dict("records")]
    return {"values": rows}


def _plain(value: object) -> object:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value
