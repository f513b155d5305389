"""The tables that pass between steps, and the only code that reads or writes them.

Every column carries its meaning, unit and allowed values as field metadata, which Parquet
keeps. A file also says which version, commit and configuration made it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

RULES = ("self", "label", "generator")
WAYS = ("1000", "16_mean", "16_first")
GROUPS = ("held_out", "members", "all")
COMPARISONS = (
    "reference-reference | metamer-metamer",
    "reference-reference | reference-metamer",
    "metamer-metamer | reference-metamer",
)


@dataclass(frozen=True)
class Table:
    """A table's name, its columns, and the columns that identify a row."""

    name: str
    description: str
    schema: pa.Schema
    key: tuple[str, ...]


def column(
    name: str,
    kind: pa.DataType,
    description: str,
    *,
    unit: str = "",
    allowed: Sequence[str] = (),
    nullable: bool = False,
) -> pa.Field:
    """Return a documented column."""
    notes = {"description": description, "unit": unit, "allowed": json.dumps(list(allowed))}
    return pa.field(
        name,
        kind,
        nullable=nullable,
        metadata={k: v for k, v in notes.items() if v not in ("", "[]")},
    )


CONDITION = [
    column("references", pa.string(), "named draw of reference images (configuration: references)"),
    column("recipe", pa.string(), "named settings of the solver (configuration: recipes)"),
    column("model_set", pa.string(), "models that were inverted (configuration: model_sets)"),
    column("stage", pa.string(), "depth that was inverted (configuration: stages)"),
    column("bound", pa.string(), "set that the pixels were kept in (configuration: bounds)"),
]
CONDITION_KEY = tuple(field.name for field in CONDITION)
_EXPERIMENT = column("experiment", pa.string(), "experiment that asked for the condition")
_IMAGE = column("image_id", pa.string(), "reference image")
_EVALUATOR = column("evaluator", pa.string(), "model that judged, a row of the zoo")
_MEMBER = column("member", pa.bool_(), "the evaluator is a member of the model set")
_SAME_WEIGHTS = column(
    "same_weights", pa.bool_(), "the evaluator is no member but has the weights of one"
)
_LOW = column("low", pa.float64(), "lower end of the 95 % bootstrap interval", nullable=True)
_HIGH = column("high", pa.float64(), "upper end of the 95 % bootstrap interval", nullable=True)
_RULE = column(
    "rule", pa.string(), "what the answer is compared with (docs/evaluation.md)", allowed=RULES
)
_WAYS = column(
    "ways", pa.string(), "classes told apart, and for 16 the decision rule", allowed=WAYS
)

_ANSWER = [
    _EVALUATOR,
    column("predicted", pa.int16(), "most probable class, ILSVRC-2012 index", unit="0..999"),
    column("probability", pa.float32(), "probability of that class", unit="0..1"),
    column("category_mean", pa.string(), "of the 16 classes, the one of largest mean probability"),
    column("category_first", pa.string(), "the 16-way class of the most probable mapped class"),
]

REFERENCES = Table(
    "references",
    "The reference images of one draw.",
    pa.schema(
        [
            column("references", pa.string(), "named draw"),
            _IMAGE,
            column("label", pa.int16(), "ILSVRC-2012 index, 0..999", nullable=True),
            column("wnid", pa.string(), "WordNet id of the label", nullable=True),
            column("category", pa.string(), "16-way class of the label", nullable=True),
            column("source", pa.string(), "file that the image was read from"),
            column("sha256", pa.string(), "hash of that file"),
            column("crop", pa.string(), "how it became a square image"),
        ]
    ),
    ("references", "image_id"),
)

REFERENCE_PREDICTIONS = Table(
    "reference_predictions",
    "What each evaluator says about each reference image.",
    pa.schema([column("references", pa.string(), "named draw"), _IMAGE, *_ANSWER]),
    ("references", "image_id", "evaluator"),
)

PREDICTIONS = Table(
    "predictions",
    "What each evaluator says about each metamer.",
    pa.schema([*CONDITION, _IMAGE, *_ANSWER]),
    (*CONDITION_KEY, "image_id", "evaluator"),
)

TRACES = Table(
    "traces",
    "Loss of the active model at the end of its turns, during synthesis.",
    pa.schema(
        [
            *CONDITION,
            _IMAGE,
            column("turn", pa.int32(), "turn, from 0"),
            column("step", pa.int32(), "gradient steps done so far"),
            column("model", pa.string(), "member of the set whose turn it was"),
            column("loss", pa.float32(), "relative L2 distance of activations (section 3.2)"),
            column("rate", pa.float64(), "learning rate of the turn"),
        ]
    ),
    (*CONDITION_KEY, "image_id", "turn", "model"),
)

OPTIMISATION = Table(
    "optimisation",
    "Loss of each metamer for each member of its set, before and after synthesis.",
    pa.schema(
        [
            *CONDITION,
            _IMAGE,
            column("model", pa.string(), "member of the model set"),
            column("loss_before", pa.float64(), "relative L2 distance at the start"),
            column("loss_after", pa.float64(), "the same for the finished metamer"),
            column("loss_stored", pa.float64(), "the same after rounding to 8 bits"),
        ]
    ),
    (*CONDITION_KEY, "image_id", "model"),
)

RECOGNITION = Table(
    "recognition",
    "Whether an evaluator recognised a metamer, by each rule.",
    pa.schema(
        [
            *CONDITION,
            _IMAGE,
            _EVALUATOR,
            _MEMBER,
            _SAME_WEIGHTS,
            _RULE,
            _WAYS,
            column("recognised", pa.bool_(), "the answer is the one that the rule asks for"),
        ]
    ),
    (*CONDITION_KEY, "image_id", "evaluator", "rule", "ways"),
)

RECOGNIZABILITY = Table(
    "recognizability",
    "Share of metamers that one evaluator recognises.",
    pa.schema(
        [
            _EXPERIMENT,
            *CONDITION,
            _EVALUATOR,
            _MEMBER,
            _SAME_WEIGHTS,
            _RULE,
            _WAYS,
            column("n_images", pa.int32(), "images that the rule applies to"),
            column("recognizability", pa.float64(), "share recognised", unit="0..1"),
            _LOW,
            _HIGH,
        ]
    ),
    ("experiment", *CONDITION_KEY, "evaluator", "rule", "ways"),
)

RECOGNIZABILITY_BY_SET = Table(
    "recognizability_by_set",
    "Recognizability averaged over a group of evaluators; resampled over images and evaluators.",
    pa.schema(
        [
            _EXPERIMENT,
            *CONDITION,
            column("group", pa.string(), "evaluators averaged over", allowed=GROUPS),
            _RULE,
            _WAYS,
            column("n_images", pa.int32(), "images"),
            column("n_evaluators", pa.int32(), "evaluators"),
            column("mean", pa.float64(), "mean over images and evaluators", unit="0..1"),
            column("sd", pa.float64(), "standard deviation over evaluators", nullable=True),
            _LOW,
            _HIGH,
        ]
    ),
    ("experiment", *CONDITION_KEY, "group", "rule", "ways"),
)

RECOGNIZABILITY_BY_STAGE = Table(
    "recognizability_by_stage",
    "Recognizability averaged over model sets and evaluators (the three means of section 4.5).",
    pa.schema(
        [
            _EXPERIMENT,
            *(field for field in CONDITION if field.name != "model_set"),
            column("group", pa.string(), "evaluators averaged over", allowed=GROUPS),
            _RULE,
            _WAYS,
            column("n_sets", pa.int32(), "model sets"),
            column("n_evaluators", pa.int32(), "evaluators that are in the group for some set"),
            column("n_images", pa.int32(), "images"),
            column("mean", pa.float64(), "mean over sets, evaluators and images", unit="0..1"),
            column(
                "sd",
                pa.float64(),
                "standard deviation over pairs of set and evaluator",
                nullable=True,
            ),
            _LOW,
            _HIGH,
        ]
    ),
    ("experiment", "references", "recipe", "stage", "bound", "group", "rule", "ways"),
)

ENSEMBLE_GAIN = Table(
    "ensemble_gain",
    "How much more an ensemble's metamers are recognised than a single model's, pair by pair.",
    pa.schema(
        [
            _EXPERIMENT,
            *CONDITION,
            column("against", pa.string(), "single set compared with; `members`: mean of its own"),
            column("singles", pa.list_(pa.string()), "the single sets that this means"),
            _RULE,
            _WAYS,
            column("n_images", pa.int32(), "images"),
            column("n_evaluators", pa.int32(), "evaluators held out for all sets compared"),
            column("ensemble", pa.float64(), "recognizability of the ensemble", unit="0..1"),
            column("single", pa.float64(), "recognizability of the single sets", unit="0..1"),
            column("difference", pa.float64(), "ensemble less single", unit="-1..1"),
            column("low", pa.float64(), "lower end of its 95 % interval, images and evaluators"),
            column("high", pa.float64(), "upper end of its 95 % interval, images and evaluators"),
            column("images_low", pa.float64(), "lower end, images only: these evaluators alone"),
            column("images_high", pa.float64(), "upper end, images only: these evaluators alone"),
        ]
    ),
    ("experiment", *CONDITION_KEY, "against", "rule", "ways"),
)

IMAGE_METRICS = Table(
    "image_metrics",
    "Image metrics between metamers and references (Table 1).",
    pa.schema(
        [
            *CONDITION,
            column("image_id", pa.string(), "image; null for the whole set", nullable=True),
            column("measure", pa.string(), "name of the metric, a row of `measures`"),
            column("value", pa.float64(), "value; null where not computed", nullable=True),
            column("status", pa.string(), "'computed', or why not and how to get it"),
        ]
    ),
    (*CONDITION_KEY, "image_id", "measure"),
)

SIMILARITY = Table(
    "similarity",
    "Jensen-Shannon divergence between distributions of distances of activations (section 4.5).",
    pa.schema(
        [
            *CONDITION,
            _EVALUATOR,
            _MEMBER,
            column("comparison", pa.string(), "distributions compared", allowed=COMPARISONS),
            column("divergence", pa.float64(), "Jensen-Shannon divergence", unit="bits, 0..1"),
            _LOW,
            _HIGH,
            column("median_ratio", pa.float64(), "median of the second over that of the first"),
            column("n_images", pa.int32(), "images"),
        ]
    ),
    (*CONDITION_KEY, "evaluator", "comparison"),
)

MIXED_SETS = Table(
    "mixed_sets",
    "Recognizability by held-out evaluators of metamers of mixed model sets (Fig 7).",
    pa.schema(
        [
            *CONDITION,
            column("members", pa.list_(pa.string()), "models of the set"),
            column("size", pa.int32(), "number of models"),
            column("n_images", pa.int32(), "images"),
            column("n_evaluators", pa.int32(), "held-out evaluators"),
            column("mean", pa.float64(), "recognizability", unit="0..1"),
            column("sd", pa.float64(), "standard deviation over evaluators", nullable=True),
            column("adjusted", pa.float64(), "the same after removing each evaluator's own mean"),
            _LOW,
            _HIGH,
        ]
    ),
    CONDITION_KEY,
)

DIFFERENCE_IN_MEANS = Table(
    "difference_in_means",
    "Effect of a model's presence in a mixed set on recognizability (Table 5).",
    pa.schema(
        [
            column("model", pa.string(), "model, a row of the zoo"),
            column("appearances", pa.int32(), "sets that it is a member of"),
            column("n_sets", pa.int32(), "sets in all"),
            column("difference", pa.float64(), "mean with it less mean without it"),
            _LOW,
            _HIGH,
            column("adjusted", pa.float64(), "the same after removing evaluator means"),
            column("adjusted_low", pa.float64(), "lower end of its 95 % interval", nullable=True),
            column("adjusted_high", pa.float64(), "upper end of its 95 % interval", nullable=True),
            column("p_value", pa.float64(), "permutation test of `adjusted`", nullable=True),
            column("p_adjusted", pa.float64(), "the same after Holm's correction", nullable=True),
        ]
    ),
    ("model",),
)

TABLES = {
    table.name: table
    for table in (
        REFERENCES,
        REFERENCE_PREDICTIONS,
        PREDICTIONS,
        TRACES,
        OPTIMISATION,
        RECOGNITION,
        RECOGNIZABILITY,
        RECOGNIZABILITY_BY_SET,
        RECOGNIZABILITY_BY_STAGE,
        ENSEMBLE_GAIN,
        IMAGE_METRICS,
        SIMILARITY,
        MIXED_SETS,
        DIFFERENCE_IN_MEANS,
    )
}


def write(
    table: Table,
    rows: pd.DataFrame | Iterable[Mapping[str, Any]],
    path: str | Path,
    provenance: Mapping[str, str] | None = None,
) -> None:
    """Write a table, refusing rows that its declaration does not allow.

    Parameters
    ----------
    table
        The declaration.
    rows
        A data frame, or one mapping per row; columns in any order.
    path
        The Parquet file.
    provenance
        What made it (`metamers.provenance.stamp`), kept in the file's metadata.

    Raises
    ------
    ValueError
        If a column is missing or unknown, a value is null where it may not be or is outside
        the allowed ones, or two rows have the same key.
    """
    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
    if frame.empty:
        frame = frame.reindex(columns=table.schema.names)
    _refuse(table, frame, path)
    arrow = pa.Table.from_pandas(
        frame[table.schema.names], schema=table.schema, preserve_index=False, safe=False
    )
    for field in table.schema:
        if not field.nullable and arrow[field.name].null_count:
            raise ValueError(
                f"{path}: column {field.name!r} of table {table.name!r} has "
                f"{arrow[field.name].null_count} empty cells, which its schema does not allow"
            )
    notes = {"table": table.name, "description": table.description} | dict(provenance or {})
    arrow = arrow.replace_schema_metadata(
        {f"metamers.{k}".encode(): v.encode() for k, v in notes.items()}
    )
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(arrow, path)


def read(table: Table, paths: str | Path | Iterable[str | Path]) -> pd.DataFrame:
    """Read one or more files of a table, in the order of its key.

    Raises
    ------
    ValueError
        If a file's columns are not the table's, or two files give the same key.
    """
    files = [paths] if isinstance(paths, str | Path) else list(paths)
    frames = []
    for path in files:
        arrow = pq.read_table(path)
        if arrow.schema.names != table.schema.names:
            raise ValueError(
                f"{path}: columns are {arrow.schema.names}; table {table.name!r} has "
                f"{table.schema.names}"
            )
        frames.append(arrow.to_pandas())
    if not frames:
        frames = [table.schema.empty_table().to_pandas()]
    frame: pd.DataFrame = pd.concat(frames, ignore_index=True)
    _refuse_repeats(table, frame, ", ".join(map(str, files)))
    return frame.sort_values(list(table.key), kind="stable", ignore_index=True)


def provenance_of(path: str | Path) -> dict[str, str]:
    """Return what a file says of its making: version, commit, configuration, preset."""
    metadata = pq.read_schema(path).metadata or {}
    return {
        key.decode().removeprefix("metamers."): value.decode()
        for key, value in metadata.items()
        if key.startswith(b"metamers.")
    }


def _refuse(table: Table, frame: pd.DataFrame, path: str | Path) -> None:
    wanted, met = set(table.schema.names), set(frame.columns)
    if wanted != met:
        raise ValueError(
            f"{path}: table {table.name!r} lacks the columns {sorted(wanted - met)} "
            f"and does not know {sorted(met - wanted)}"
        )
    for field in table.schema:
        allowed = json.loads((field.metadata or {}).get(b"allowed", b"[]"))
        strange = set(frame[field.name].dropna()) - set(allowed) if allowed else set()
        if strange:
            raise ValueError(
                f"{path}: column {field.name!r} of table {table.name!r} has {sorted(strange)}; "
                f"allowed are {allowed}"
            )
    _refuse_repeats(table, frame, path)


def _refuse_repeats(table: Table, frame: pd.DataFrame, path: str | Path) -> None:
    repeated = frame.duplicated(list(table.key))
    if repeated.any():
        first = frame.loc[repeated, list(table.key)].iloc[0].to_dict()
        raise ValueError(
            f"{path}: {repeated.sum()} rows of table {table.name!r} are given twice, "
            f"the first being {first}"
        )
