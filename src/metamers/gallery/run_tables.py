"""What the gallery says of each metamer: numbers and words, from a run's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metamers.config.plan import GALLERY_TABLES, Condition
from metamers.evaluation.metrics.registry import MEASURES
from metamers.storage import tables
from metamers.storage.columns import CONDITION_KEY, PRIMARY_RULE
from metamers.storage.tables import matching

HELD_OUT, MEMBER = "held-out", "member of the set"
_BETTER = {
    "up": "↑ higher: nearer to the reference as a picture",
    "down": "↓ lower: nearer to the reference as a picture",
    "neither": "",
}
_CELL = [*CONDITION_KEY, "image_id"]


@dataclass(frozen=True)
class RunTables:
    """What a gallery is made of.

    Attributes
    ----------
    tables
        The run's tables by name, those of `GALLERY_TABLES`.
    conditions
        The conditions that are shown, with the notes of their files of metamers.
    config
        The configuration.
    labels
        Printed labels of models, sets and recipes.
    """

    tables: Mapping[str, pd.DataFrame]
    conditions: Mapping[Condition, Mapping[str, Any]]
    config: Mapping[str, Any]
    labels: Mapping[str, str]

    @classmethod
    def read(
        cls,
        paths: Sequence[str],
        notes: Sequence[Mapping[str, Any]],
        config: Mapping[str, Any],
        zoo: Mapping[str, Mapping[str, Any]],
    ) -> RunTables:
        """Return a run's tables, narrowed to the conditions that are shown.

        Parameters
        ----------
        paths
            Files of the tables; others than those above are left aside.
        notes
            The notes of files of metamers: which conditions are shown, and in which order.
        config, zoo
            The configuration, and the rows of its models.
        """
        conditions = {Condition.of(one["condition"]): one for one in notes}
        labels = {name: row["label"] for name, row in zoo.items()}
        labels |= config.get("set_labels", {}) | config.get("recipe_labels", {})
        found = {Path(path).stem: path for path in paths}
        read = {name: tables.read(tables.TABLES[name], found[name]) for name in GALLERY_TABLES}
        shown = {tuple(condition.columns().values()) for condition in conditions}
        return cls(
            {name: _narrowed(table, shown) for name, table in read.items()},
            *(conditions, config, labels),
        )

    def label(self, name: str) -> str:
        """Return the printed label of a name: the name itself where none is declared."""
        return self.labels.get(name, name)

    @cached_property
    def photographs(self) -> pd.DataFrame:
        """Return the reference images in the order of the gallery."""
        drawn = {condition.references for condition in self.conditions}
        rows = self.tables["references"]
        return rows[rows["references"].isin(drawn)].reset_index(drop=True)

    @cached_property
    def evaluators(self) -> list[str]:
        """Return the evaluators that answer, in the configuration's order."""
        answered = set(self.tables["reference_predictions"]["evaluator"])
        return [name for name in self.config["evaluators"] if name in answered]

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Return a row per metamer: its photograph and condition by place, and its measures."""
        places = {tuple(c.columns().values()): place for place, c in enumerate(self.conditions)}
        losses = self.tables["optimisation"]
        of_members = losses.assign(loss=losses["loss_stored"], missed=losses["reached"].eq(False))
        rows = of_members.groupby(_CELL, observed=True)[["loss", "missed"]].max().reset_index()
        rows = rows.merge(self._successes(), how="left")
        rows = rows.merge(self._shares(), how="left")
        rows = rows.merge(self._metrics(), how="left")
        keys = list(zip(*(rows[name].astype(str) for name in CONDITION_KEY), strict=True))
        images = list(
            zip(rows["references"].astype(str), rows["image_id"].astype(str), strict=True)
        )
        rows = rows.assign(
            condition=[places[key] for key in keys],
            photograph=[self.photograph_places[image] for image in images],
            failed=rows["missed"].astype(bool) | rows["success"].eq(False),
        )
        return rows.sort_values(["photograph", "condition"], ignore_index=True)

    @cached_property
    def photograph_places(self) -> dict[tuple[str, str], int]:
        """Return the place of each photograph, by its draw and id."""
        ids = self.photographs[["references", "image_id"]].itertuples(index=False, name=None)
        return {key: place for place, key in enumerate(ids)}

    @cached_property
    def primary(self) -> pd.DataFrame:
        """Return the rows of `recognition` by the primary rule."""
        return matching(self.tables["recognition"], **PRIMARY_RULE)

    @cached_property
    def twins(self) -> set[tuple[Condition, str]]:
        """Return the evaluators of each condition that have the weights of a member."""
        rows = self.primary[self.primary["same_weights"]]
        keys = zip(*(rows[name] for name in CONDITION_KEY), strict=True)
        return {(Condition(*key), name) for key, name in zip(keys, rows["evaluator"], strict=True)}

    def _successes(self) -> pd.DataFrame:
        """Return whether each image is a metamer for all members that judged it."""
        judged = self.tables["image_success"]
        return judged.groupby(_CELL, observed=True)["success"].all().reset_index()

    def _shares(self) -> pd.DataFrame:
        rows = self.primary
        groups = {
            "held_out": rows[~rows["member"] & ~rows["same_weights"]],
            "members": rows[rows["member"]],
        }
        shares = [
            own.groupby(_CELL, observed=True)["recognised"].mean().rename(name)
            for name, own in groups.items()
        ]
        return pd.concat(shares, axis=1).reset_index()

    def _metrics(self) -> pd.DataFrame:
        rows = self.tables["image_metrics"]
        single = rows[(rows["status"] == "computed") & rows["image_id"].notna()]
        return single.pivot(index=_CELL, columns="measure", values="value").reset_index()

    @cached_property
    def measures(self) -> list[dict[str, Any]]:
        """Return what metamers can be sorted by: a column of `rows`, and its words."""
        shares = {
            "held_out": ("Recognised by held-out models", "held-out", HELD_OUT),
            "members": ("Recognised by members", "members", MEMBER),
        }
        return [
            {"name": "loss", "label": "Loss, worst member", "short": "loss", "hint": ""},
            *(
                {"name": name, "label": label, "short": short, "hint": "share", "role": role}
                for name, (label, short, role) in shares.items()
            ),
            *(
                {
                    "name": name,
                    "label": MEASURES[name].label,
                    "short": MEASURES[name].label,
                    "hint": _BETTER[MEASURES[name].better],
                }
                for name in MEASURES
                if name in self.rows
            ),
        ]

    def columns(self, first: int, last: int) -> dict[str, Any]:
        """Return some of the rows as columns, with the measures in their order."""
        rows = self.rows.iloc[first:last]
        return {
            "photograph": rows["photograph"].tolist(),
            "condition": rows["condition"].tolist(),
            "failed": rows["failed"].astype(int).tolist(),
            "values": [_numbers(rows[one["name"]]) for one in self.measures],
        }


def _narrowed(table: pd.DataFrame, shown: set[tuple[str, ...]]) -> pd.DataFrame:
    if not set(CONDITION_KEY) <= set(table):
        return table
    keys = pd.MultiIndex.from_frame(table[list(CONDITION_KEY)])
    return table[keys.isin(shown)]


def _numbers(values: pd.Series) -> list[float | None]:
    return [number_of(value) for value in values]


def number_of(value: Any) -> float | None:  # noqa: ANN401
    """Return a number in four digits; ``None`` where there is none, or it is not finite."""
    return float(f"{value:.4g}") if pd.notna(value) and np.isfinite(value) else None
