"""Tables of further similarities, which a run makes where its configuration asks for them."""

from __future__ import annotations

import pyarrow as pa

from metamers.storage.columns import CONDITION, CONDITION_KEY, EVALUATOR, MEMBER, Table, column

_FLOOR = "what 97.5 % of pairings of unrelated images stay below"


def _cka(name: str, description: str, floor: bool = True) -> list[pa.Field]:
    """Return the columns of a debiased CKA, which is null where there are too few images."""
    ends = [("low", "lower end of its 95 % interval over photographs"), ("high", "upper end")]
    more = [*ends, ("floor", _FLOOR)] if floor else ends
    return [
        column(name, pa.float64(), description, unit="at most 1; 0: unrelated", nullable=True),
        *(column(f"{name}_{end}", pa.float64(), text, nullable=True) for end, text in more),
    ]


GEOMETRY = Table(
    "geometry",
    "Distances between an evaluator's activations of all metamers of a condition, and "
    "STIR; kept in `measurements/`.",
    pa.schema(
        [
            *CONDITION,
            EVALUATOR,
            MEMBER,
            column("photographs", pa.list_(pa.int32()), "number of each image's photograph"),
            column("pairs", pa.list_(pa.float32()), "distances above the diagonal, row by row"),
            *_cka("stir", "debiased CKA of references and metamers"),
        ]
    ),
    (*CONDITION_KEY, "evaluator"),
)

SHARED_INVARIANCE = Table(
    "shared_invariance",
    "How much of what a set's members ignore an evaluator ignores too (docs/evaluation.md).",
    pa.schema(
        [
            *CONDITION,
            EVALUATOR,
            MEMBER,
            column("n_images", pa.int32(), "images"),
            *_cka(
                "stir",
                "STIR: debiased linear CKA of the evaluator's activations of references and of "
                "metamers; a member's own is the ceiling",
            ),
            column(
                "n_members", pa.int32(), "members other than the evaluator, that judged as well"
            ),
            *_cka(
                "inverted_cka",
                "debiased linear CKA of the evaluator's and a member's activations of the "
                "metamers, mean over these members",
            ),
        ]
    ),
    (*CONDITION_KEY, "evaluator"),
)

CROSS_STAGE = Table(
    "cross_stage",
    "How alike metamers and references are at every stage, not just the one that was inverted.",
    pa.schema(
        [
            *CONDITION,
            column("judged_stage", pa.string(), "depth whose activations are compared"),
            EVALUATOR,
            MEMBER,
            column("n_images", pa.int32(), "images"),
            column("relative_l2", pa.float64(), "mean distance over the reference's norm (3.2)"),
            column("low", pa.float64(), "lower end, 95 % bootstrap interval over photographs"),
            column("high", pa.float64(), "upper end of that interval"),
            column(
                "percentile_l2",
                pa.float64(),
                "median share of pairs of unrelated references that are at least as close",
                unit="%",
            ),
            *_cka("similarity", "debiased linear CKA of references and metamers", floor=False),
        ]
    ),
    (*CONDITION_KEY, "judged_stage", "evaluator"),
)
