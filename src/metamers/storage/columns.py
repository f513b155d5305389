"""What a table is, and the columns that several tables share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

ANSWERS = {"1000": "predicted", "16_mean": "category_mean", "16_first": "category_first"}
"""Column of the answers in each label space."""
RULES = ("self", "label", "generator")
LABEL_SPACES = ("1000", "16_mean", "16_first")
PRIMARY_RULE = {"rule": "self", "label_space": "1000"}
"""The judgement that the paper's figures rest on."""
GROUPS = ("trained", "unrelated", "held_out", "members", "all")
CHANGES = ("crop", "flip", "jpeg")
JUDGES = ("trained", "unrelated", "all")
IMAGES_JUDGED = ("all", "right", "metamers")
PEOPLE = "people"  # a group of evaluators that only `metamers experiment score` adds
REGRESSIONS = ("composition", "members")
VERDICTS = ("confirmed", "refuted", "undecided", "not testable with these models")
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
EXPERIMENT = column("experiment", pa.string(), "experiment that asked for the condition")
IMAGE = column("image_id", pa.string(), "reference image; `<photograph>#crop<k>` for a crop")
EVALUATOR = column("evaluator", pa.string(), "model that judged, a row of the zoo")
MEMBER = column("member", pa.bool_(), "the evaluator is a member of the model set")
SAME_WEIGHTS = column(
    "same_weights", pa.bool_(), "the evaluator is not a member but has the weights of one"
)
RELATED = column(
    "related",
    pa.bool_(),
    "the evaluator is not a member but shares weights, recipe, teacher or initial weights with one "
    "(lineage, docs/zoo.md)",
)
TRAINED = column("trained", pa.bool_(), "the evaluator was trained: its row is not `random`")
LOW = column("low", pa.float64(), "lower end of the 95 % bootstrap interval", nullable=True)
HIGH = column("high", pa.float64(), "upper end of the 95 % bootstrap interval", nullable=True)
RULE = column(
    "rule", pa.string(), "what the answer is compared with (docs/evaluation.md)", allowed=RULES
)
LABEL_SPACE = column(
    "label_space",
    pa.string(),
    "classes told apart, and for 16 the decision rule",
    allowed=LABEL_SPACES,
)

ANSWER = [
    EVALUATOR,
    column("predicted", pa.int16(), "most probable class, ILSVRC-2012 index", unit="0..999"),
    column("probability", pa.float32(), "probability of that class", unit="0..1"),
    column("top5", pa.list_(pa.int16()), "the five most probable classes, `predicted` first"),
    column("top5_probability", pa.list_(pa.float32()), "probabilities of these", unit="0..1"),
    column("category_mean", pa.string(), "of the 16 classes, the one of largest mean probability"),
    column("category_first", pa.string(), "the 16-way class of the most probable mapped class"),
]
