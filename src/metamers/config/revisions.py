"""Raise a number here when a change alters that step's results.

The number is a parameter of the step's rule, so Snakemake makes its files anew. Nothing
else in the library does: an edit that leaves the numbers alone costs no GPU hours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

REFERENCES = 1
SYNTHESIS = 3  # chunks of one size: other rounding in batches of 16 and more; effort of each image
PREDICTION = (
    2  # the five first classes; of the references, which metamers wait for: apart from EVALUATION
)
EVALUATION = 4  # the five first classes
BASELINES = 1
IMAGE_METRICS = 3  # spectra, checkerboards, floors of Fréchet distances, more pairs of prompts
ANALYSIS = 10  # recipes are compared by trained judges
FIGURES = 10  # recipes by trained judges; controls last

# Of the configuration's section `engine`, what decides the bits of metamers.
ENGINE = ("chunk_size", "fold_batch_norm", "channels_last", "precision", "compile", "threads")


def reproducibility_settings(engine: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the engine that decide results; the others may change midway."""
    return {name: engine[name] for name in ENGINE if name in engine}
