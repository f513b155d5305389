"""Results that are kept by what made them, so that nothing is computed twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd


@dataclass(frozen=True)
class ResultCache:
    """A folder of small tables, named by digests of all that they depend on."""

    folder: Path

    def has(self, key: str) -> bool:
        """Return whether there are results of this key."""
        return (self.folder / key).is_dir()

    def get(self, key: str) -> dict[str, pd.DataFrame]:
        """Return the tables of a key."""
        return {path.stem: pd.read_parquet(path) for path in sorted((self.folder / key).iterdir())}

    def put(self, key: str, frames: Mapping[str, pd.DataFrame]) -> None:
        """Keep the tables of a key: all of them or, if the job is killed, none."""
        draft = self.folder / f".{key}.draft"
        draft.mkdir(parents=True, exist_ok=True)
        for name, frame in frames.items():
            frame.to_parquet(draft / f"{name}.parquet", index=False)
        draft.rename(self.folder / key)
