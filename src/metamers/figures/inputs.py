"""What figures are drawn from: a run's tables and images, and how its things are called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from metamers.config.plan import Condition, Plan
from metamers.evaluation.similarity.densities import Convention
from metamers.figures.data import (
    checked,
    in_order,
    is_among,
    pick,
    set_labels,
    sets_in_order,
)
from metamers.storage.columns import CONDITION_KEY, PRIMARY_RULE
from metamers.storage.tables import TABLES, read

RECOGNISED = "Recognised: same answer as the evaluator's own to the reference, 1000 classes."


class Tables(Mapping[str, pd.DataFrame]):
    """A run's tables by name, each read when it is asked for."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = {Path(path).stem: path for path in paths}
        self._read: dict[str, pd.DataFrame] = {}

    def __getitem__(self, name: str) -> pd.DataFrame:
        """Return a table."""
        if name not in self._read:
            self._read[name] = read(TABLES[name], self._paths[name])
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        """Return the names of the tables."""
        return iter(self._paths)

    def __len__(self) -> int:
        """Return the number of tables."""
        return len(self._paths)


@dataclass(frozen=True)
class FigureInputs:
    """A run's tables and images, and what is needed to name things in figures.

    Attributes
    ----------
    tables
        The tables by name, as they were read.
    metamers, references
        Files of the metamers of kinds that show images, and of all references.
    plan
        The plan of the run.
    labels
        Printed names of models, sets and recipes, in the order in which they are drawn.
    experiment
        The experiment that is drawn; empty for a figure of the whole run.
    """

    tables: Mapping[str, pd.DataFrame]
    metamers: Sequence[str]
    references: Sequence[str]
    plan: Plan
    labels: Mapping[str, str]
    experiment: str = ""

    @classmethod
    def read(
        cls,
        table_paths: Sequence[str],
        metamers: Sequence[str],
        references: Sequence[str],
        config: Mapping[str, Any],
        zoo: Mapping[str, Mapping[str, Any]],
    ) -> FigureInputs:
        """Return the inputs of a run's figures; files are read when a figure needs them."""
        labels = {name: row["label"] for name, row in zoo.items()}
        labels |= config.get("set_labels", {}) | config.get("recipe_labels", {})
        plan = Plan.from_config(config, zoo)
        for name in sorted(plan.controls):  # they come last
            labels[name] = f"{labels.pop(name, name)} (control)"
        return cls(Tables(table_paths), metamers, references, plan, labels)

    @property
    def config(self) -> Mapping[str, Any]:
        """Return the configuration."""
        return self.plan.config

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Return the conditions of the experiment."""
        return self.plan.experiments[self.experiment]

    @property
    def convention(self) -> Convention:
        """Return what divergences are given in."""
        return Convention(**self.plan.divergence)

    @cached_property
    def flagged(self) -> set[tuple[str, ...]]:
        """Return the conditions whose metamers are not metamers for a member of their set."""
        success = self.tables["success"]
        failed = success[~success["are_metamers"]]
        return set(failed[list(CONDITION_KEY)].itertuples(index=False, name=None))

    def table(self, name: str) -> pd.DataFrame:
        """Return all rows of a table.

        Raises
        ------
        ValueError
            If the table has other columns than the declared ones.
        NothingToDrawError
            If it has no rows.
        """
        return checked(self.tables[name], TABLES[name])

    def rows(self, name: str) -> pd.DataFrame:
        """Return a table's rows of the experiment, as `table` does: by name, or by conditions."""
        table = self.tables[name]
        if "experiment" in table:
            table = table[table["experiment"] == self.experiment]
        elif set(CONDITION_KEY) <= set(table):
            table = table[is_among(table, {astuple(c) for c in self.conditions})]
        return checked(table.reset_index(drop=True), TABLES[name])

    def judged(self, name: str) -> pd.DataFrame:
        """Return a table's rows of the experiment by the primary rule, as `table` does."""
        return pick(self.table(name), experiment=self.experiment, **PRIMARY_RULE)

    def described(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return rows of conditions with ``set``, as it is printed, and whether it is flagged."""
        return rows.assign(set=set_labels(rows, self.labels), flagged=is_among(rows, self.flagged))

    def stages(self, rows: pd.DataFrame, column: str = "stage") -> list[str]:
        """Return the stages of the rows, from shallow to deep."""
        depths = self.config["stages"]
        return in_order(set(rows[column]), sorted(depths, key=depths.__getitem__))

    def sets(self, rows: pd.DataFrame, column: str = "set") -> list[str]:
        """Return the printed sets of the rows in the order of the labels."""
        return sets_in_order(rows["model_set"], rows[column], self.labels)

    def printed_order(self, names: pd.Series) -> list[str]:
        """Return the printed names that occur, each once, in the order of the labels."""
        return in_order(set(names), list(self.labels.values()))
