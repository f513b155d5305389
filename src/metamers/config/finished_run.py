"""A finished run's folder, ``results/<run>``: its plan, metamers and references. No torch here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from metamers.config.plan import Condition, Plan
from metamers.storage import tables

if TYPE_CHECKING:
    from torch import Tensor

    from metamers.storage.metamers import Metamers


@dataclass(frozen=True)
class FinishedRun:
    """What a run left, found by what its tables say of their making.

    Attributes
    ----------
    folder
        ``results/<run>``.
    config
        The configuration that made it.
    """

    folder: Path
    config: Mapping[str, Any]

    @classmethod
    def open(cls, folder: Path) -> FinishedRun:
        """Open a run.

        Raises
        ------
        FileNotFoundError
            If the folder has no tables.
        """
        path = folder / "tables/recognizability.parquet"
        if not path.exists():
            raise FileNotFoundError(
                f"{folder} has no {path.relative_to(folder)}: is it results/<run>, and has the "
                "run finished? (snakemake -n)"
            )
        return cls(folder, json.loads(tables.provenance_of(path)["config"]))

    @cached_property
    def plan(self) -> Plan:
        """Return its plan, without the rows of the zoo."""
        return Plan.from_config(self.config, {})

    def table(self, name: str) -> pd.DataFrame:
        """Return a table by name."""
        return tables.read(tables.TABLES[name], self.folder / f"tables/{name}.parquet")

    def conditions(self, pattern: str = "*") -> list[Condition]:
        """Return the conditions whose path fits a pattern of the shell.

        Raises
        ------
        ValueError
            If there are none.
        """
        chosen = [c for c in self.plan.conditions if fnmatchcase(str(c), pattern)]
        if not chosen:
            known = ", ".join(map(str, self.plan.conditions[:3]))
            raise ValueError(
                f"no condition of {self.folder} is like {pattern!r}; it has "
                f"{len(self.plan.conditions)}, beginning with {known}"
            )
        return chosen

    def metamers(self, condition: Condition) -> Metamers:
        """Return the metamers of a condition."""
        from metamers.storage import metamers

        return metamers.load(self.shards(condition))

    def shards(self, condition: Condition) -> Sequence[Path]:
        """Return the files of a condition's metamers."""
        folder = self.folder / "metamers" / str(condition)
        return [folder / f"{shard}.safetensors" for shard in self.plan.shards]

    def references(self, draw: str) -> tuple[list[str], Tensor]:
        """Return the ids and images of a draw of references; uint8, (n, 3, side, side)."""
        from metamers.images import references

        return references.load(self.folder / f"references/{draw}.safetensors")
