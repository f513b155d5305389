"""Tables with a row per image, per measure or per comparison: what jobs write first."""

from __future__ import annotations

import pyarrow as pa

from metamers.storage.columns import (
    ANSWER,
    COMPARISONS,
    CONDITION,
    CONDITION_KEY,
    EVALUATOR,
    HIGH,
    IMAGE,
    LOW,
    MEMBER,
    Table,
    column,
)

REFERENCES = Table(
    "references",
    "The reference images of one draw.",
    pa.schema(
        [
            column("references", pa.string(), "named draw"),
            IMAGE,
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

CLASSES = Table(
    "classes",
    "The 1000 classes of ILSVRC-2012.",
    pa.schema(
        [
            column("class", pa.int16(), "ILSVRC-2012 index", unit="0..999"),
            column("wnid", pa.string(), "WordNet id"),
            column("name", pa.string(), "first English name; 71 names mean more than one class"),
            column("category", pa.string(), "16-way class, for 207 classes", nullable=True),
        ]
    ),
    ("class",),
)

REFERENCE_PREDICTIONS = Table(
    "reference_predictions",
    "What each evaluator says about each reference image.",
    pa.schema([column("references", pa.string(), "named draw"), IMAGE, *ANSWER]),
    ("references", "image_id", "evaluator"),
)

ACCURACY = Table(
    "accuracy",
    "Clean accuracy of each model on the reference images, beside what its row expects.",
    pa.schema(
        [
            column("model", pa.string(), "model, a row of the zoo"),
            column("n_images", pa.int32(), "reference images that have a label"),
            column("n_right", pa.int32(), "of these, answered rightly"),
            column("accuracy", pa.float64(), "top-1 of 1000 classes", unit="0..1", nullable=True),
            column("low", pa.float64(), "lower end of Wilson's 95 % interval", nullable=True),
            column("high", pa.float64(), "upper end of Wilson's 95 % interval", nullable=True),
            column("expected", pa.float64(), "what the row states", unit="0..1", nullable=True),
            column("source", pa.string(), "where the row has it from"),
            column("verdict", pa.string(), "as expected, far below, or why it is not judged"),
        ]
    ),
    ("model",),
)

PREDICTIONS = Table(
    "predictions",
    "What each evaluator says about each metamer.",
    pa.schema([*CONDITION, IMAGE, *ANSWER]),
    (*CONDITION_KEY, "image_id", "evaluator"),
)

TRACES = Table(
    "traces",
    "Loss of the active model at the end of its turns, during synthesis; in `tables/` at most 50 "
    "turns of each member, the first and the last among them, in `traces/` all.",
    pa.schema(
        [
            *CONDITION,
            IMAGE,
            column("turn", pa.int32(), "turn, from 0"),
            column("step", pa.int32(), "gradient steps done so far"),
            column("model", pa.string(), "member of the set whose turn it was"),
            column("loss", pa.float32(), "relative L2 distance of activations (section 3.2)"),
            column("rate", pa.float64(), "learning rate of the turn"),
        ]
    ),
    (*CONDITION_KEY, "image_id", "turn", "model"),
)

GRADIENT_AGREEMENT = Table(
    "gradient_agreement",
    "Whether two models of a set want an image to move the same way, during synthesis.",
    pa.schema(
        [
            *CONDITION,
            IMAGE,
            column("turn", pa.int32(), "turns done so far"),
            column("step", pa.int32(), "gradient steps done so far"),
            column("model", pa.string(), "member of the set"),
            column("other", pa.string(), "another member, later in the set"),
            column(
                "cosine",
                pa.float64(),
                "cosine between the gradients of their losses by the image; 0 where one is 0",
                unit="-1..1",
            ),
        ]
    ),
    (*CONDITION_KEY, "image_id", "turn", "model", "other"),
)

OPTIMISATION = Table(
    "optimisation",
    "Loss of each metamer for each member of its set, before and after synthesis.",
    pa.schema(
        [
            *CONDITION,
            IMAGE,
            column("model", pa.string(), "member of the model set"),
            column("loss_before", pa.float64(), "relative L2 distance at the start"),
            column("loss_after", pa.float64(), "the same for the finished metamer"),
            column("loss_stored", pa.float64(), "the same after rounding to 8 bits"),
            column("steps", pa.int32(), "steps of descent that the image took"),
            column("evaluations", pa.int32(), "gradients of a member that they needed"),
            column(
                "target",
                pa.float64(),
                "loss at which the image is done; null where the number of steps is given",
                nullable=True,
            ),
            column(
                "reached",
                pa.bool_(),
                "whether `loss_stored` is at the target; null without one",
                nullable=True,
            ),
        ]
    ),
    (*CONDITION_KEY, "image_id", "model"),
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
            column(
                "low",
                pa.float64(),
                "of a distance between sets: lower end of its 95 % interval over images, at this "
                "number of images (docs/metrics.md)",
                nullable=True,
            ),
            column("high", pa.float64(), "upper end of that interval", nullable=True),
            column("status", pa.string(), "'computed', or why not and how to get it"),
        ]
    ),
    (*CONDITION_KEY, "image_id", "measure"),
)

SIMILARITY = Table(
    "similarity",
    "Jensen-Shannon divergence between distributions of distances of activations (section 4.5), in "
    "bits where `evaluation.divergence` does not say otherwise.",
    pa.schema(
        [
            *CONDITION,
            EVALUATOR,
            MEMBER,
            column("comparison", pa.string(), "distributions compared", allowed=COMPARISONS),
            column("divergence", pa.float64(), "Jensen-Shannon divergence", unit="bits, 0..1"),
            LOW,
            HIGH,
            column(
                "median_ratio",
                pa.float64(),
                "median of the second over that of the first; null where the first is 0",
                nullable=True,
            ),
            column("n_images", pa.int32(), "images"),
        ]
    ),
    (*CONDITION_KEY, "evaluator", "comparison"),
)

LIKENESS = Table(
    "likeness",
    "How alike the activations of metamer and reference are, against unrelated images.",
    pa.schema(
        [
            *CONDITION,
            IMAGE,
            EVALUATOR,
            MEMBER,
            column("relative_l2", pa.float64(), "distance over the reference's norm (3.2)"),
            column(
                "spearman",
                pa.float64(),
                "rank correlation, on at most 4096 features drawn once for each layer's size",
                nullable=True,
            ),
            column("snr", pa.float64(), "signal-to-noise ratio", unit="dB of power", nullable=True),
            column(
                "percentile_l2",
                pa.float64(),
                "pairs of unrelated references that are at least as close",
                unit="%",
            ),
            column(
                "percentile_spearman",
                pa.float64(),
                "the same by rank correlation",
                unit="%",
                nullable=True,
            ),
        ]
    ),
    (*CONDITION_KEY, "image_id", "evaluator"),
)

POWER = Table(
    "power",
    "Divergence and its spread by the number of images (section 4.5: is 80 enough?), for the "
    "conditions of experiments of kind `power`; unit as in `similarity`.",
    pa.schema(
        [
            *CONDITION,
            EVALUATOR,
            MEMBER,
            column("comparison", pa.string(), "distributions compared", allowed=COMPARISONS),
            column("n_images", pa.int32(), "images of a subset"),
            column("mean", pa.float64(), "mean divergence of the subsets", unit="bits, 0..1"),
            column("low", pa.float64(), "lower end of what 95 % of the subsets give"),
            column("high", pa.float64(), "upper end of what 95 % of the subsets give"),
            column(
                "sd",
                pa.float64(),
                "standard deviation of the divergence of so many images, overlap of subsets "
                "made good",
                unit="bits",
                nullable=True,
            ),
            column(
                "sd_low",
                pa.float64(),
                "lower end of its 95 % interval, over subsets and photographs",
                nullable=True,
            ),
            column("sd_high", pa.float64(), "upper end of that interval", nullable=True),
            column("repeats", pa.int32(), "subsets"),
            column("n_total", pa.int32(), "images that subsets are drawn from"),
            column(
                "n_photographs",
                pa.int32(),
                "photographs that these are of: fewer, where they are crops (docs/data.md)",
            ),
        ]
    ),
    (*CONDITION_KEY, "evaluator", "comparison", "n_images"),
)

HUMAN_ANSWERS = Table(
    "human_answers",
    "What people said to metamers and photographs (`metamers experiment score`, in `people/`).",
    pa.schema(
        [
            *(field.with_nullable(True) for field in CONDITION),
            IMAGE,
            column("person", pa.string(), "who answered"),
            column("session", pa.int32(), "session, from 1"),
            column("trial", pa.int32(), "trial of the session, catch trials counted"),
            column("category", pa.string(), "16-way class of the photograph"),
            column("answer", pa.string(), "16-way class chosen; null: none", nullable=True),
            column("right", pa.bool_(), "the answer is the category"),
            column(
                "seconds",
                pa.float64(),
                "from the choices' coming to the answer",
                unit="s",
                nullable=True,
            ),
        ]
    ),
    ("person", "session", "trial"),
)
