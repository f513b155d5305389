"""What a run needs beyond its configuration: photographs and weights. Checked before any job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from metamers.evaluation.metrics.registry import card
from metamers.images import null_pool, references
from metamers.models import zoo
from metamers.models.weights import cache as weights
from metamers.models.weights.cache import cache_folder
from metamers.models.weights.http import DownloadOptions
from metamers.models.weights.survey import survey
from metamers.preflight import workload

# Correlations of distances and intervals over images need so many.
FEWEST_IMAGES = 3


class MissingInputsError(RuntimeError):
    """Something that the run needs is not there; the message lists all of it."""


def missing(config: Mapping[str, Any], rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return what is missing, in words: empty if the run can begin.

    Parameters
    ----------
    config
        A configuration that `metamers.config.validation` found right.
    rows
        The rows of the models that the run uses.
    """
    return [*_images(config), *_metrics(config), *_weights(config, rows)]


def require(config: Mapping[str, Any], rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise `MissingInputsError` if something is missing."""
    found = missing(config, rows)
    if found:
        raise MissingInputsError(text(found))


def text(found: Sequence[str]) -> str:
    """Return the message for what is missing."""
    listed = "\n".join(f"  {number}. {problem}" for number, problem in enumerate(found, 1))
    return f"the run cannot begin, since this is missing:\n{listed}"


def _images(config: Mapping[str, Any]) -> list[str]:
    wanted = {e["references"] for e in config["experiments"].values() if e is not None}
    draws = {name: draw for name, draw in config["references"].items() if name in wanted}
    problems = references.check(config["data"], draws, config["seed"])
    if problems:
        return [f"images (key 'data', docs/data.md): {problem}" for problem in problems]
    problems = null_pool.check(config)
    if problems:
        return [f"images (key 'null_pool'): {problem}" for problem in problems]
    fewest = max(FEWEST_IMAGES, config["shards"])
    return [
        f"images (key 'references.{name}'): {count} images; at least {FEWEST_IMAGES}, "
        f"and one for each of the {config['shards']} shards (key 'shards'), are needed"
        for name, count in workload.image_counts(config, list(draws)).items()
        if count < fewest
    ]


def _metrics(config: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the metrics that are named: no such name, or no package."""
    found = []
    for name in config["evaluation"].get("metrics", []):
        try:
            card(name)
        except (ImportError, ValueError) as error:
            found.append(f"image metrics (key 'evaluation.metrics'): {error}")
    return found


def _weights(config: Mapping[str, Any], rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return one table of missing weights, where they cannot be fetched on the way."""
    cache = cache_folder(config["weights_cache"])
    filed = {name: spec.weights for name, spec in zoo.specs(rows).items() if spec.weights.has_file}
    fetchable = not DownloadOptions.from_environment().offline
    lacking = {
        finding.model: finding.weights
        for finding in survey(filed, cache)
        if finding.state == "missing"
        and not (fetchable and finding.weights.source not in ("local", "package"))
    }
    return [weights.missing_table(lacking, cache)] if lacking else []
