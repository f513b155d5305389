"""Raise a number here when a change alters that step's results.

The number is a parameter of the step's rule, so Snakemake makes its files anew. Nothing
else in the library does: an edit that leaves the numbers alone costs no GPU hours.
"""

REFERENCES = 1
SYNTHESIS = 2  # norms summed in the order of memory: other rounding, fewer copies
EVALUATION = 1
IMAGE_METRICS = 1
ANALYSIS = 1
FIGURES = 2  # counts beneath the examples, failures flagged
