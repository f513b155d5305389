"""Tables of what results are held against: chance, ceiling, unrelated images, and success."""

from __future__ import annotations

import pyarrow as pa

from metamers.storage.columns import (
    CHANGES,
    CONDITION,
    CONDITION_KEY,
    EVALUATOR,
    IMAGE,
    LABEL_SPACE,
    Table,
    column,
)

CHANCE = Table(
    "chance",
    "Recognition by chance, by the rule `self`: agreement of an evaluator's own answers to "
    "references with its answers to others.",
    pa.schema(
        [
            CONDITION[0],
            EVALUATOR,
            LABEL_SPACE,
            column("n_images", pa.int32(), "reference images"),
            column("chance", pa.float64(), "share of pairs of references answered alike"),
        ]
    ),
    ("references", "evaluator", "label_space"),
)

NULL_DISTRIBUTION = Table(
    "null_distribution",
    "How alike unrelated images are to a model: what a metamer must surpass (Feather et al. 2023).",
    pa.schema(
        [
            column("model", pa.string(), "model, a row of the zoo"),
            CONDITION[3],
            column("n_images", pa.int32(), "images of the pool (configuration: null_pool)"),
            column("n_photographs", pa.int32(), "photographs that these are of"),
            column("n_pairs", pa.int64(), "ordered pairs of images, not of one photograph"),
            column(
                "spearman",
                pa.float64(),
                "largest rank correlation of a pair, on the features of `likeness`",
                nullable=True,
            ),
            column("snr", pa.float64(), "largest signal-to-noise ratio", unit="dB of power"),
            column("spearman_median", pa.float64(), "median correlation", nullable=True),
            column("snr_median", pa.float64(), "median ratio", unit="dB of power"),
        ]
    ),
    ("model", "stage"),
)

CEILING = Table(
    "ceiling",
    "What recognition could be at most, by the rule `self`: an evaluator's agreement with itself "
    "on a reference that is mildly changed.",
    pa.schema(
        [
            CONDITION[0],
            EVALUATOR,
            column("change", pa.string(), "what was done to the reference", allowed=CHANGES),
            LABEL_SPACE,
            column("n_images", pa.int32(), "reference images"),
            column("agreement", pa.float64(), "share answered as before", unit="0..1"),
            column("low", pa.float64(), "lower end of Wilson's 95 % interval over photographs"),
            column("high", pa.float64(), "upper end of that interval"),
        ]
    ),
    ("references", "evaluator", "change", "label_space"),
)

IMAGE_SUCCESS = Table(
    "image_success",
    "Whether each metamer is one for each member of its set that judged it.",
    pa.schema(
        [
            *CONDITION,
            IMAGE,
            column("model", pa.string(), "member of the model set"),
            column(
                "kept",
                pa.bool_(),
                "the member answers as to the reference, of 1000 classes; null: it has no head",
                nullable=True,
            ),
            column("beyond_spearman", pa.bool_(), "rank correlation above that of any pair"),
            column("beyond_snr", pa.bool_(), "signal-to-noise ratio above that of any pair"),
            column("success", pa.bool_(), "all three, or the two that apply without a head"),
        ]
    ),
    (*CONDITION_KEY, "image_id", "model"),
)

SUCCESS = Table(
    "success",
    "Whether the metamers of a condition are metamers for the models that they were made for: "
    "the criterion of Feather et al. (2023).",
    pa.schema(
        [
            *CONDITION,
            column("model", pa.string(), "member of the model set"),
            column("n_images", pa.int32(), "images"),
            column("share", pa.float64(), "share that meets all criteria", unit="0..1"),
            column(
                "kept",
                pa.float64(),
                "share whose class the member keeps; null: it has no head",
                unit="0..1",
                nullable=True,
            ),
            column(
                "beyond_spearman",
                pa.float64(),
                "share with a rank correlation above that of every pair of the null pool",
                unit="0..1",
            ),
            column("beyond_snr", pa.float64(), "the same by signal-to-noise ratio", unit="0..1"),
            column("n_pairs", pa.int64(), "pairs of unrelated images"),
            column(
                "closer",
                pa.float64(),
                "share that is closer to its reference than 99 % of pairs of references",
                unit="0..1",
            ),
            column("median_l2", pa.float64(), "median relative distance of the metamers"),
            column("are_metamers", pa.bool_(), "the share is 0.9 or more"),
        ]
    ),
    (*CONDITION_KEY, "model"),
)
