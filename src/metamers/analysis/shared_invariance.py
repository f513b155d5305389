"""The table ``shared_invariance``, from each evaluator's distances between metamers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial.distance import squareform

from metamers.evaluation.similarity.shared_invariance import columns, similarity
from metamers.storage import similarity_tables, tables
from metamers.storage.columns import CONDITION_KEY

STIR = ["stir", "stir_low", "stir_high", "stir_floor"]


def shared_invariance(
    paths: Sequence[str | Path], members: Mapping[str, Sequence[str]], seed: int
) -> pd.DataFrame:
    """Return the table `shared_invariance`.

    Parameters
    ----------
    paths
        Files of the table `geometry`; those of one batch of conditions share their folder, and
        are in memory together.
    members
        The models of each set.
    seed
        Seed of the run.
    """
    batches: dict[Path, list[str | Path]] = {}
    for path in paths:
        batches.setdefault(Path(path).parent, []).append(path)
    rows = []
    for files in batches.values():
        geometry = tables.read(similarity_tables.GEOMETRY, files)
        for _, judged in geometry.groupby(list(CONDITION_KEY), observed=True):
            rows += _condition(judged, members, seed)
    return pd.DataFrame(rows, columns=similarity_tables.SHARED_INVARIANCE.schema.names)


def _condition(
    judged: pd.DataFrame, members: Mapping[str, Sequence[str]], seed: int
) -> list[dict[str, Any]]:
    """Return the rows of one condition, of which every evaluator has a row of geometry."""
    pairs = {row["evaluator"]: _square(row["pairs"]) for _, row in judged.iterrows()}
    rows = []
    for _, row in judged.iterrows():
        photographs = np.asarray(list(row["photographs"]), dtype=np.intp)
        makers = [m for m in members[row["model_set"]] if m in pairs and m != row["evaluator"]]
        found = similarity(
            pairs[row["evaluator"]], [pairs[maker] for maker in makers], seed, photographs
        )
        rows.append(
            {name: row[name] for name in (*CONDITION_KEY, "evaluator", "member", *STIR)}
            | {"n_images": photographs.size, "n_members": len(makers)}
            | columns("inverted_cka", found)
        )
    return rows


def _square(pairs: Any) -> NDArray[np.float64]:  # noqa: ANN401  (Arrow's list or NumPy's array)
    return np.asarray(squareform(np.asarray(list(pairs), dtype=np.float64)))
