"""Tables on recognition: of metamers by evaluators, averaged over them, and contrasts."""

from __future__ import annotations

import pyarrow as pa

from metamers.storage.columns import (
    CONDITION,
    CONDITION_KEY,
    EVALUATOR,
    EXPERIMENT,
    GROUPS,
    HIGH,
    IMAGE,
    LABEL_SPACE,
    LOW,
    MEMBER,
    PEOPLE,
    RELATED,
    RULE,
    SAME_WEIGHTS,
    TRAINED,
    Table,
    column,
)

SUCCESSFUL = [
    column(
        "n_successful",
        pa.int32(),
        "images that are metamers for each member that judged (`image_success`); null: none judged",
        nullable=True,
    ),
    column("mean_successful", pa.float64(), "mean over these alone", nullable=True),
    column("low_successful", pa.float64(), "lower end of its 95 % interval", nullable=True),
    column("high_successful", pa.float64(), "upper end of its 95 % interval", nullable=True),
]

BALANCED = [
    column(
        "n_families", pa.int32(), "families of the evaluators, as the zoo names them", nullable=True
    ),
    column(
        "family_mean", pa.float64(), "mean in which these count alike", unit="0..1", nullable=True
    ),
    column(
        "family_low",
        pa.float64(),
        "lower end of its 95 % interval, which resamples families, too",
        nullable=True,
    ),
    column("family_high", pa.float64(), "upper end of that interval", nullable=True),
]

RECOGNITION = Table(
    "recognition",
    "Whether an evaluator recognised a metamer, by each rule.",
    pa.schema(
        [
            *CONDITION,
            IMAGE,
            EVALUATOR,
            MEMBER,
            SAME_WEIGHTS,
            RELATED,
            TRAINED,
            column(
                "right",
                pa.bool_(),
                "the evaluator's answer to the reference is its label, of 1000; null without one",
                nullable=True,
            ),
            RULE,
            LABEL_SPACE,
            column("recognised", pa.bool_(), "the answer is the one that the rule asks for"),
        ]
    ),
    (*CONDITION_KEY, "image_id", "evaluator", "rule", "label_space"),
)

RECOGNIZABILITY = Table(
    "recognizability",
    "Share of metamers that one evaluator recognises.",
    pa.schema(
        [
            EXPERIMENT,
            *CONDITION,
            EVALUATOR,
            MEMBER,
            SAME_WEIGHTS,
            RELATED,
            TRAINED,
            RULE,
            LABEL_SPACE,
            column("n_images", pa.int32(), "images that the rule applies to"),
            column("recognizability", pa.float64(), "share recognised", unit="0..1"),
            column(
                "low",
                pa.float64(),
                "lower end, 95 % bootstrap interval over images; Wilson's where all are alike",
                nullable=True,
            ),
            column(
                "high",
                pa.float64(),
                "upper end, 95 % bootstrap interval over images; Wilson's where all are alike",
                nullable=True,
            ),
        ]
    ),
    ("experiment", *CONDITION_KEY, "evaluator", "rule", "label_space"),
)

RECOGNIZABILITY_BY_SET = Table(
    "recognizability_by_set",
    "Recognizability averaged over a group of evaluators; resampled over images and evaluators.",
    pa.schema(
        [
            EXPERIMENT,
            *CONDITION,
            column("group", pa.string(), "evaluators averaged over", allowed=(*GROUPS, PEOPLE)),
            RULE,
            LABEL_SPACE,
            column("n_images", pa.int32(), "images"),
            column("n_evaluators", pa.int32(), "evaluators"),
            column("mean", pa.float64(), "mean over images and evaluators", unit="0..1"),
            column("sd", pa.float64(), "standard deviation over evaluators", nullable=True),
            LOW,
            HIGH,
            *BALANCED,
            *SUCCESSFUL,
        ]
    ),
    ("experiment", *CONDITION_KEY, "group", "rule", "label_space"),
)

RECOGNIZABILITY_BY_STAGE = Table(
    "recognizability_by_stage",
    "Recognizability averaged over model sets and evaluators (the three means of section 4.5).",
    pa.schema(
        [
            EXPERIMENT,
            *(field for field in CONDITION if field.name != "model_set"),
            column("group", pa.string(), "evaluators averaged over", allowed=GROUPS),
            RULE,
            LABEL_SPACE,
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
            LOW,
            HIGH,
        ]
    ),
    ("experiment", "references", "recipe", "stage", "bound", "group", "rule", "label_space"),
)

ENSEMBLE_GAIN = Table(
    "ensemble_gain",
    "How much more an ensemble's metamers are recognised than a single model's, pair by pair.",
    pa.schema(
        [
            EXPERIMENT,
            *CONDITION,
            column("against", pa.string(), "single set compared with; `members`: mean of its own"),
            column("singles", pa.list_(pa.string()), "the single sets that this means"),
            RULE,
            LABEL_SPACE,
            column("n_images", pa.int32(), "images"),
            column("n_evaluators", pa.int32(), "trained evaluators held out for all sets compared"),
            column("ensemble", pa.float64(), "recognizability of the ensemble", unit="0..1"),
            column("single", pa.float64(), "recognizability of the single sets", unit="0..1"),
            column("difference", pa.float64(), "ensemble less single", unit="-1..1"),
            column("low", pa.float64(), "lower end of its 95 % interval, images and evaluators"),
            column("high", pa.float64(), "upper end of its 95 % interval, images and evaluators"),
            column("images_low", pa.float64(), "lower end, images only: these evaluators alone"),
            column("images_high", pa.float64(), "upper end, images only: these evaluators alone"),
        ]
    ),
    ("experiment", *CONDITION_KEY, "against", "rule", "label_space"),
)

RECIPE_EFFECTS = Table(
    "recipe_effects",
    "How much more a recipe's metamers are recognised than those of the experiment's first recipe.",
    pa.schema(
        [
            EXPERIMENT,
            *CONDITION,
            column("baseline", pa.string(), "recipe compared with: the experiment's first"),
            RULE,
            LABEL_SPACE,
            column("group", pa.string(), "evaluators", allowed=GROUPS),
            column("n_images", pa.int32(), "images"),
            column("n_evaluators", pa.int32(), "evaluators of the group"),
            column("recognizability", pa.float64(), "of the recipe's metamers", unit="0..1"),
            column("of_baseline", pa.float64(), "of the baseline's metamers", unit="0..1"),
            column("difference", pa.float64(), "recipe less baseline", unit="-1..1"),
            column("low", pa.float64(), "lower end of its 95 % interval, images and evaluators"),
            column("high", pa.float64(), "upper end of its 95 % interval, images and evaluators"),
        ]
    ),
    ("experiment", *CONDITION_KEY, "rule", "label_space", "group"),
)

IMAGE_METRICS_BY_SET = Table(
    "image_metrics_by_set",
    "Image metrics averaged over the images of a condition, all and those that are metamers.",
    pa.schema(
        [
            *CONDITION,
            column("measure", pa.string(), "name of the metric, a row of `measures`"),
            column("n_images", pa.int32(), "images with a value"),
            column("mean", pa.float64(), "mean over images"),
            LOW,
            HIGH,
            *SUCCESSFUL,
        ]
    ),
    (*CONDITION_KEY, "measure"),
)

EQUAL_LOSS = Table(
    "equal_loss",
    "How model sets' metamers are recognised at equal loss: of images that all sets of the "
    "experiment brought to the target, by trained evaluators that are held out from all of them.",
    pa.schema(
        [
            EXPERIMENT,
            *CONDITION,
            column("baseline", pa.string(), "model set compared with: the experiment's first"),
            RULE,
            LABEL_SPACE,
            column("target", pa.float64(), "loss at which synthesis ended (recipe: until_loss)"),
            column("n_images", pa.int32(), "images that all sets brought to the target"),
            column("n_references", pa.int32(), "reference images"),
            column("reached", pa.float64(), "share of these that this set brought there"),
            column(
                "loss",
                pa.float64(),
                "the largest of the members' losses, median over the images; null without any",
                nullable=True,
            ),
            column("evaluations", pa.float64(), "gradients of a member, median over references"),
            column("n_evaluators", pa.int32(), "held-out evaluators; 0 without images"),
            column(
                "recognizability",
                pa.float64(),
                "of the set's metamers; null without images or evaluators",
                unit="0..1",
                nullable=True,
            ),
            LOW,
            HIGH,
            column(
                "difference",
                pa.float64(),
                "set less baseline; null for the baseline itself",
                unit="-1..1",
                nullable=True,
            ),
            column(
                "difference_low",
                pa.float64(),
                "lower end of its 95 % interval, images and evaluators",
                nullable=True,
            ),
            column(
                "difference_high",
                pa.float64(),
                "upper end of its 95 % interval, images and evaluators",
                nullable=True,
            ),
        ]
    ),
    ("experiment", *CONDITION_KEY, "rule", "label_space"),
)
