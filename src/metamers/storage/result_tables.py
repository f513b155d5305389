"""Tables on mixed sets, and the paper and people beside a run."""

from __future__ import annotations

import pyarrow as pa

from metamers.storage.columns import (
    CONDITION,
    CONDITION_KEY,
    EXPERIMENT,
    HIGH,
    IMAGES_JUDGED,
    JUDGES,
    LABEL_SPACE,
    LOW,
    REGRESSIONS,
    RULE,
    VERDICTS,
    Table,
    column,
)

MIXED_SETS = Table(
    "mixed_sets",
    "Recognizability by held-out evaluators of metamers of mixed model sets (Fig 7).",
    pa.schema(
        [
            EXPERIMENT,
            *CONDITION,
            column("members", pa.list_(pa.string()), "models of the set"),
            column("size", pa.int32(), "number of models"),
            column("n_images", pa.int32(), "images"),
            column("n_evaluators", pa.int32(), "held-out evaluators"),
            column("mean", pa.float64(), "recognizability", unit="0..1"),
            column("sd", pa.float64(), "standard deviation over evaluators", nullable=True),
            column("adjusted", pa.float64(), "the same after removing each evaluator's own mean"),
            LOW,
            HIGH,
        ]
    ),
    ("experiment", *CONDITION_KEY),
)

DIFFERENCE_IN_MEANS = Table(
    "difference_in_means",
    "Effect of a model's presence in a mixed set on recognizability (Table 5).",
    pa.schema(
        [
            EXPERIMENT,
            column("model", pa.string(), "model, a row of the zoo"),
            column("appearances", pa.int32(), "sets that it is a member of"),
            column("n_sets", pa.int32(), "sets in all"),
            column("difference", pa.float64(), "mean with it less mean without it", unit="-1..1"),
            column("low", pa.float64(), "lower end, 95 % Welch interval over sets", nullable=True),
            column("high", pa.float64(), "upper end, 95 % Welch interval over sets", nullable=True),
            column("adjusted", pa.float64(), "the same after removing evaluator means"),
            column("adjusted_low", pa.float64(), "lower end of its 95 % interval", nullable=True),
            column("adjusted_high", pa.float64(), "upper end of its 95 % interval", nullable=True),
            column("p_value", pa.float64(), "permutation test of `adjusted`", nullable=True),
            column("p_adjusted", pa.float64(), "the same after Holm's correction", nullable=True),
        ]
    ),
    ("experiment", "model"),
)

MIXED_REGRESSION = Table(
    "mixed_regression",
    "Least squares of a mixed set's adjusted recognizability on its size and its models.",
    pa.schema(
        [
            EXPERIMENT,
            column("regression", pa.string(), "terms fitted together", allowed=REGRESSIONS),
            column("term", pa.string(), "size, a share of the members, or a model"),
            column("unit", pa.string(), "what the coefficient is per"),
            column("coefficient", pa.float64(), "change of recognizability", nullable=True),
            column("low", pa.float64(), "lower end, 95 % interval, HC3 errors", nullable=True),
            column("high", pa.float64(), "upper end, 95 % interval, HC3 errors", nullable=True),
            column("p_value", pa.float64(), "t test, HC3 errors", nullable=True),
            column("p_adjusted", pa.float64(), "after Holm's correction", nullable=True),
            column("n", pa.int32(), "sets fitted"),
            column("degrees", pa.int32(), "sets less fitted terms"),
            column("status", pa.string(), "'estimated', or why not"),
        ]
    ),
    ("experiment", "regression", "term"),
)

PAPER_COMPARISON = Table(
    "paper_comparison",
    "Each number that the paper prints beside the run's own.",
    pa.schema(
        [
            column("place", pa.string(), "where the paper prints it"),
            column("quantity", pa.string(), "what is counted or measured"),
            column("subject", pa.string(), "stage or model"),
            column("paper", pa.float64(), "the paper's value"),
            column("paper_sd", pa.float64(), "its standard deviation", nullable=True),
            column("run", pa.float64(), "the run's value", nullable=True),
            column("run_sd", pa.float64(), "its standard deviation", nullable=True),
            LOW,
            HIGH,
            column("differs", pa.string(), "what differs in the run, or why it has no value"),
        ]
    ),
    ("place", "quantity", "subject"),
)

HUMAN_ALIGNMENT = Table(
    "human_alignment",
    "What people and what other networks recognise in the same metamers, as Feather et al. (2023) "
    "published it: shares of 16 categories answered rightly. In `people/`, those of the run's own "
    "people follow (docs/experiment.md).",
    pa.schema(
        [
            column("experiment", pa.string(), "vision experiment of the study, by its number"),
            column("network", pa.string(), "network that the metamers were made for"),
            column("layer", pa.string(), "its layer, under the study's name"),
            column("n_people", pa.int32(), "people who were shown the metamers"),
            column("people", pa.float64(), "mean share of these", unit="0..1"),
            column("people_low", pa.float64(), "lower end, 95 % bootstrap interval over people"),
            column("people_high", pa.float64(), "upper end of that interval"),
            column("n_networks", pa.int32(), "networks that judged and did not make them"),
            column("networks", pa.float64(), "mean share of these", unit="0..1"),
            column(
                "networks_low", pa.float64(), "lower end, 95 % bootstrap interval over networks"
            ),
            column("networks_high", pa.float64(), "upper end of that interval"),
        ]
    ),
    ("experiment", "network", "layer"),
)

CLAIMS = Table(
    "claims",
    "Claims of the paper, judged on the run at hand.",
    pa.schema(
        [
            column("claim", pa.string(), "short name"),
            column("statement", pa.string(), "the claim in words"),
            column("place", pa.string(), "where the paper makes it"),
            column("measure", pa.string(), "the effect in words"),
            column("confirms", pa.string(), "side of the threshold", allowed=("above", "below")),
            column("threshold", pa.float64(), "value that the whole interval must pass"),
            column("effect", pa.float64(), "the effect", nullable=True),
            LOW,
            HIGH,
            column("n", pa.string(), "what it was computed from"),
            column(
                "p_value",
                pa.float64(),
                "two-sided, of the threshold, by a normal distribution with the interval's end",
                nullable=True,
            ),
            column("p_adjusted", pa.float64(), "after Holm's correction", nullable=True),
            column(
                "verdict",
                pa.string(),
                "by the interval, if `p_adjusted` is below 0.05 too",
                allowed=VERDICTS,
            ),
            column("reason", pa.string(), "why this verdict"),
            column(
                "effect_successful",
                pa.float64(),
                "the effect on images that are metamers for each member of their set, in all "
                "conditions compared (`image_success`); null for claims without recognition",
                nullable=True,
            ),
            column("low_successful", pa.float64(), "lower end of its interval", nullable=True),
            column("high_successful", pa.float64(), "upper end of its interval", nullable=True),
            column("n_successful", pa.string(), "what it was computed from, or what is lacking"),
            column(
                "verdict_successful",
                pa.string(),
                "by that interval alone",
                allowed=VERDICTS,
                nullable=True,
            ),
        ]
    ),
    ("claim",),
)

CLAIMS_MULTIVERSE = Table(
    "claims_multiverse",
    "Verdicts on the claims that rest on recognition, under each way to analyse it.",
    pa.schema(
        [
            column("claim", pa.string(), "short name, as in `claims`"),
            RULE,
            LABEL_SPACE,
            column("stage", pa.string(), "the one stage that counts, or `all`"),
            column("judges", pa.string(), "evaluators that count", allowed=JUDGES),
            column(
                "images",
                pa.string(),
                "`right`: for each evaluator, those whose reference it gets right; `metamers`: "
                "those that are metamers for each member of their set",
                allowed=IMAGES_JUDGED,
            ),
            column("threshold", pa.float64(), "value that the whole interval must pass"),
            column("effect", pa.float64(), "the effect"),
            LOW,
            HIGH,
            column("n", pa.string(), "what it was computed from"),
            column("verdict", pa.string(), "by the interval", allowed=VERDICTS),
        ]
    ),
    ("claim", "rule", "label_space", "stage", "judges", "images"),
)
