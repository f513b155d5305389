"""Traces of losses of a whole run, thinned: at full length they have tens of millions of rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from metamers.storage import raw_tables, tables
from metamers.storage.columns import CONDITION_KEY

POINTS = 50
_SERIES = [*CONDITION_KEY, "model"]


def gathered(paths: Iterable[str]) -> Iterator[pd.DataFrame]:
    """Yield the thinned traces of each file, one file in memory at a time."""
    for path in paths:
        yield thinned(tables.read(raw_tables.TRACES, path, categories=True), POINTS)


def thinned(table: pd.DataFrame, points: int) -> pd.DataFrame:
    """Return the rows of so many turns of each member at most.

    Evenly chosen, the first and the last included; the same for all images of a condition.
    """
    turns = table[[*_SERIES, "turn"]].drop_duplicates().sort_values([*_SERIES, "turn"])
    series = turns.groupby(_SERIES, observed=True)
    rank, number = series.cumcount(), series["turn"].transform("size")
    stride = np.maximum((number - 1) / max(points - 1, 1), 1)
    kept = (np.floor(rank / stride) > np.floor((rank - 1) / stride)) | (rank == number - 1)
    return table.merge(turns[kept], on=[*_SERIES, "turn"])
