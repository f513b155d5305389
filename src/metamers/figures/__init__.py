"""The figures: one function each, from tables to a chart (Altair), and `save`."""

from metamers.figures.divergences import similarity
from metamers.figures.gallery import examples
from metamers.figures.mixtures import difference_in_means, mixed_sets
from metamers.figures.optimisation import loss_traces, losses_after
from metamers.figures.quality import image_metrics
from metamers.figures.saving import save
from metamers.figures.tolerances import bounds
from metamers.figures.transfer import recognizability

__all__ = [
    "bounds",
    "difference_in_means",
    "examples",
    "image_metrics",
    "loss_traces",
    "losses_after",
    "mixed_sets",
    "recognizability",
    "save",
    "similarity",
]
