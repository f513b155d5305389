"""From a row of the zoo to its trained classifier: located, verified, loaded."""

from __future__ import annotations

from pathlib import Path

from metamers.models import classifier as classifiers
from metamers.models.weights import cache as weights
from metamers.models.weights.http import DownloadOptions
from metamers.models.zoo import ModelSpec


def classifier(
    spec: ModelSpec, cache: Path, access: DownloadOptions | None = None
) -> classifiers.Classifier:
    """Return a row's classifier with its trained weights, in evaluation mode, frozen.

    Its file is fetched if need be. A file of the cache that turns out not to be the row's, by its
    hash or by its contents, is set aside.

    Raises
    ------
    WeightsError
        If the file cannot be had, or is not what the row means; the subclass says in which way.
    """
    if spec.weights.source == "random":
        return classifiers.load(spec, None)
    path = weights.locate(spec.weights, cache, access)
    with weights.rejecting(spec.weights, path, cache):
        return classifiers.load(spec, path)
