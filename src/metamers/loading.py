"""From a row of the zoo to its classifier, its weights fetched and verified."""

from __future__ import annotations

from pathlib import Path

from metamers import classifiers, weights
from metamers.zoo import ModelSpec


def load(spec: ModelSpec, cache: Path) -> classifiers.Classifier:
    """Return the row's classifier, in evaluation mode, frozen.

    Raises
    ------
    metamers.weight_errors.WeightsError
        If the weights cannot be had or are not what the row means; a file of the cache that
        turns out wrong is set aside.
    """
    if spec.weights.source == "random":
        return classifiers.load(spec, None)
    path = weights.locate(spec.weights, cache)
    with weights.rejecting(spec.weights, path, cache):
        return classifiers.load(spec, path)
