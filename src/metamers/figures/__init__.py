"""The figures: one function each, from tables to a chart (Altair), and `save`."""

from metamers.chart_data import within
from metamers.figures.agreements import gradient_agreement
from metamers.figures.divergences import similarity
from metamers.figures.effects import difference_in_means, ensemble_gain
from metamers.figures.gallery import examples
from metamers.figures.mixtures import mixed_sets
from metamers.figures.optimisation import loss_traces, losses_after
from metamers.figures.quality import image_metrics
from metamers.figures.sample_sizes import power
from metamers.figures.saving import save
from metamers.figures.solvers import recipes
from metamers.figures.tolerances import bounds
from metamers.figures.transfer import recognizability

__all__ = [
    "bounds",
    "difference_in_means",
    "ensemble_gain",
    "examples",
    "gradient_agreement",
    "image_metrics",
    "loss_traces",
    "losses_after",
    "mixed_sets",
    "power",
    "recipes",
    "recognizability",
    "save",
    "similarity",
    "within",
]
