"""What the gallery says of each metamer: numbers and words, from a run's tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metamers.config.plan import GALLERY_TABLES, Condition
from metamers.evaluation.metrics.registry import MEASURES
from metamers.images.classes import class_name, class_names
from metamers.storage import provenance, tables
from metamers.storage.tables import CONDITION_KEY

AXES = {
    "references": "Draw",
    "model_set": "Model set",
    "stage": "Stage",
    "bound": "Bound",
    "recipe": "Recipe",
}
PRIMARY = {"rule": "self", "label_space": "1000"}
RECOGNISED = "Recognised: the evaluator's own answer to the reference, of 1000 classes."
FAILURE = (
    "the optimisation did not match the reference's activations (table success), or missed the "
    "recipe's target."
)
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
        """Return the evaluators, in the configuration's order."""
        return list(self.config["evaluators"])

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Return a row per metamer: its photograph and condition by place, and its measures."""
        places = {tuple(c.columns().values()): place for place, c in enumerate(self.conditions)}
        losses = self.tables["optimisation"]
        rows = _wide(losses.groupby(_CELL, observed=True)["loss_stored"].max(), "loss")
        missed = losses.groupby(_CELL, observed=True)["reached"].agg(lambda r: (r == False).any())  # noqa: E712
        rows = rows.merge(_wide(missed, "missed")).merge(self._shares(), how="left")
        rows = rows.merge(self._metrics(), how="left")
        keys = list(zip(*(rows[name].astype(str) for name in CONDITION_KEY), strict=True))
        images = list(zip(rows["references"].astype(str), rows["image_id"].astype(str), strict=True))
        rows = rows.assign(
            condition=[places[key] for key in keys],
            photograph=[self._photograph_places[image] for image in images],
            failed=np.array([key in self._unmatched for key in keys], bool) | rows["missed"],
        )
        return rows.sort_values(["photograph", "condition"], ignore_index=True)

    @cached_property
    def _photograph_places(self) -> dict[tuple[str, str], int]:
        ids = self.photographs[["references", "image_id"]].itertuples(index=False, name=None)
        return {key: place for place, key in enumerate(ids)}

    @cached_property
    def _unmatched(self) -> set[tuple[str, ...]]:
        success = self.tables["success"]
        failed = success[~success["are_metamers"]]
        return set(failed[list(CONDITION_KEY)].astype(str).itertuples(index=False, name=None))

    @cached_property
    def _primary(self) -> pd.DataFrame:
        rows = self.tables["recognition"]
        return rows[(rows[list(PRIMARY)] == list(PRIMARY.values())).all(axis=1)]

    def _shares(self) -> pd.DataFrame:
        rows = self._primary
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
            "held_out": ("Recognised by held-out models", "held-out"),
            "members": ("Recognised by members", "members"),
        }
        return [
            {"name": "loss", "label": "Loss, worst member", "short": "loss", "hint": ""},
            *(
                {"name": name, "label": label, "short": short, "hint": "share", "share": True}
                for name, (label, short) in shares.items()
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

    def description(self, chunks: int) -> dict[str, Any]:
        """Return what the page needs before it shows a metamer."""
        return {
            "title": self.config["run"],
            "notice": provenance.RANDOM_WEIGHTS if self.config["random_weights"] else "",
            "recognised": RECOGNISED,
            "failure": FAILURE,
            "side": self.config["preprocessing"]["size"],
            "chunks": chunks,
            "axes": self._axes,
            "conditions": [self._condition(c, notes) for c, notes in self.conditions.items()],
            "photographs": [self._photograph(row) for row in self.photographs.itertuples()],
            "evaluators": [self.label(name) for name in self.evaluators],
            "measures": [
                {name: words for name, words in one.items() if name != "name"}
                for one in self.measures
            ],
            "headline": [1, 0],
            "classes": class_names(),
        }

    @cached_property
    def _values(self) -> dict[str, list[str]]:
        used = {axis: {getattr(c, axis) for c in self.conditions} for axis in AXES}
        stages = sorted(self.config["stages"], key=self.config["stages"].__getitem__)
        order = {"stage": stages, "model_set": list(self.config["model_sets"])}
        order |= {"bound": list(self.config["bounds"]), "recipe": list(self.config["recipes"])}
        known = {axis: [n for n in order.get(axis, []) if n in used[axis]] for axis in AXES}
        return {axis: known[axis] + sorted(used[axis] - set(known[axis])) for axis in AXES}

    @property
    def _axes(self) -> list[dict[str, Any]]:
        return [
            {
                "name": axis,
                "label": title,
                "values": [{"label": self.label(name)} for name in self._values[axis]],
            }
            for axis, title in AXES.items()
        ]

    def _condition(self, condition: Condition, notes: Mapping[str, Any]) -> dict[str, Any]:
        members = self._members[condition]
        return {
            "cell": [self._values[axis].index(getattr(condition, axis)) for axis in AXES],
            "members": [self.label(name) for name in members],
            "roles": [self._role(condition, name) for name in self.evaluators],
            "settings": {
                "model set": f"{condition.model_set}: {', '.join(map(self.label, members))}",
                "stage": f"{condition.stage} ({notes['depth']:g} of the depth)",
                "bound": f"{condition.bound}: {_flat(notes['bound'])}",
                "recipe": f"{condition.recipe}: {_flat(notes['settings'])}",
                "seed": str(notes["seed"]),
                "made by": f"metamers {notes['version']} ({notes['commit']}), torch "
                f"{notes['torch']}, {notes['device']}",
            },
        }

    @cached_property
    def _members(self) -> dict[Condition, list[str]]:
        rows = self.tables["optimisation"][[*CONDITION_KEY, "model"]].drop_duplicates()
        found: dict[Condition, list[str]] = {condition: [] for condition in self.conditions}
        for row in rows.to_dict("records"):
            found[Condition.of(row)].append(row["model"])
        return found

    @cached_property
    def _twins(self) -> set[tuple[str, ...]]:
        rows = self._primary[self._primary["same_weights"]]
        keys = rows[[*CONDITION_KEY, "evaluator"]].astype(str).drop_duplicates()
        return set(keys.itertuples(index=False, name=None))

    def _role(self, condition: Condition, evaluator: str) -> str:
        if evaluator in self._members[condition]:
            return "member of the set"
        twin = (*condition.columns().values(), evaluator) in self._twins
        return "has a member's weights" if twin else "held-out"

    def _photograph(self, row: Any) -> dict[str, Any]:  # noqa: ANN401
        index = None if pd.isna(row.label) else int(row.label)
        return {
            "id": row.image_id,
            "label": row.image_id if index is None else class_name(index),
            "category": "" if pd.isna(row.category) else row.category,
            "index": index,
        }

    def columns(self, first: int, last: int) -> dict[str, Any]:
        """Return some of the rows as columns, with the measures in their order."""
        rows = self.rows.iloc[first:last]
        return {
            "photograph": rows["photograph"].tolist(),
            "condition": rows["condition"].tolist(),
            "failed": rows["failed"].astype(int).tolist(),
            "values": [_numbers(rows[one["name"]]) for one in self.measures],
        }

    def details(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield, for each photograph, its place and what evaluators and losses say of it."""
        of = {
            name: self._by_photograph(self.tables[name])
            for name in ("reference_predictions", "predictions", "optimisation", "traces")
        } | {"recognition": self._by_photograph(self._primary)}
        for key, place in self._photograph_places.items():
            own = {name: groups.get(key, pd.DataFrame()) for name, groups in of.items()}
            yield place, self._detail(own)

    def _by_photograph(self, table: pd.DataFrame) -> dict[tuple[str, str], pd.DataFrame]:
        groups = table.groupby(["references", "image_id"], observed=True)
        return {(str(draw), str(image)): rows for (draw, image), rows in groups}

    def _detail(self, own: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
        answers = {row["evaluator"]: row for row in own["reference_predictions"].to_dict("records")}
        by = {
            name: _by_condition(own[name])
            for name in ("predictions", "optimisation", "traces", "recognition")
        }
        return {
            "answers": [_answer(answers[name]) if name in answers else None for name in self.evaluators],
            "metamers": {
                str(place): {
                    "answers": self._answers(by["predictions"][key], by["recognition"].get(key, [])),
                    "traces": self._traces(by["optimisation"][key], by["traces"].get(key, [])),
                }
                for place, key in enumerate(map(str, self.conditions))
                if key in by["predictions"]
            },
        }

    def _answers(
        self, rows: Sequence[Mapping[str, Any]], recognition: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        recognised = {row["evaluator"]: bool(row["recognised"]) for row in recognition}
        found = [
            _answer(row)
            | {
                "evaluator": self.evaluators.index(row["evaluator"]),
                "recognised": recognised.get(row["evaluator"]),
            }
            for row in rows
        ]
        return sorted(found, key=lambda one: one["evaluator"])

    def _traces(
        self, losses: Sequence[Mapping[str, Any]], traces: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        return [
            {
                "model": self.label(row["model"]),
                "before": _number(row["loss_before"]),
                "stored": _number(row["loss_stored"]),
                "steps": [int(one["step"]) for one in traces if one["model"] == row["model"]],
                "losses": [_number(one["loss"]) for one in traces if one["model"] == row["model"]],
            }
            for row in losses
        ]


def _narrowed(table: pd.DataFrame, shown: set[tuple[str, ...]]) -> pd.DataFrame:
    if not set(CONDITION_KEY) <= set(table):
        return table
    keys = pd.MultiIndex.from_frame(table[list(CONDITION_KEY)])
    return table[keys.isin(shown)]


def _wide(values: pd.Series, name: str) -> pd.DataFrame:
    return values.rename(name).reset_index()


def _by_condition(table: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in table.to_dict("records"):
        found.setdefault(str(Condition.of(row)), []).append({str(k): v for k, v in row.items()})
    return found


def _answer(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "classes": [int(index) for index in row.get("top5", [row["predicted"]])],
        "probabilities": [
            _number(value) for value in row.get("top5_probability", [row["probability"]])
        ],
    }


def _numbers(values: pd.Series) -> list[float | None]:
    return [_number(value) for value in values]


def _number(value: Any) -> float | None:  # noqa: ANN401
    return float(f"{value:.4g}") if pd.notna(value) and np.isfinite(value) else None


def _flat(settings: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {'(' + _flat(value) + ')' if isinstance(value, Mapping) else value}"
        for name, value in settings.items()
    )
