"""The sections of the report: which figure answers what."""

from __future__ import annotations

SECTIONS = {
    "1 Metamers": ("examples",),
    "2 Recognizability": (
        "recognizability",
        "human_alignment",
        "ensemble_gain",
        "equal_loss",
        "transfer",
        "bounds",
        "mixed_sets",
        "difference_in_means",
    ),
    "3 Images and activations": (
        "image_metrics",
        "similarity",
        "shared_invariance",
        "cross_stage",
        "power",
    ),
    "4 Optimisation": ("optimisation", "losses", "recipes", "gradient_agreement"),
}
PAPER = "5 The paper"
OTHER = "6 More"


def section_of(figure: str) -> str:
    """Return the section of a figure."""
    return next((name for name, shown in SECTIONS.items() if figure in shown), OTHER)
