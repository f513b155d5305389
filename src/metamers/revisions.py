"""Raise a number here when a change alters that step's results.

The number is a parameter of the step's rule, so Snakemake makes its files anew. Nothing
else in the library does: an edit that leaves the numbers alone costs no GPU hours.
"""

REFERENCES = 1
SYNTHESIS = 2  # norms summed in the order of memory: other rounding, fewer copies
EVALUATION = 2  # spread corrected for overlap; crops of a photograph are not unrelated
IMAGE_METRICS = 2  # intervals of distances between sets
ANALYSIS = 2  # the claim on 80 images; random weights decide no claim
FIGURES = 3  # intervals of distances between sets, random weights flagged
