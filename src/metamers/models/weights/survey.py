"""The weights of many models at once: list what is there and what is missing; fetch all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from metamers.models.weights import conversion, verification
from metamers.models.weights.cache import fetch, locate, missing_table, rejecting, target
from metamers.models.weights.errors import MissingWeightsError, WeightsError, of_model
from metamers.models.weights.http import DownloadOptions, UnreachableError
from metamers.models.weights.row import WeightsRow
from metamers.models.weights.sources import FETCHERS

STATES = ("ready", "missing", "wrong", "generated")


@dataclass(frozen=True)
class Finding:
    """What was found of a model's weights; ``state`` is one of `STATES`."""

    model: str
    weights: WeightsRow
    path: Path
    state: str
    note: str = ""


def survey(rows: Mapping[str, WeightsRow], cache: Path, rehash: bool = False) -> list[Finding]:
    """Return what is there of each model's weights; nothing is fetched."""
    return [_find(model, weights, cache, rehash) for model, weights in rows.items()]


def fetch_all(rows: Mapping[str, WeightsRow], cache: Path, options: DownloadOptions) -> list[Path]:
    """Return the verified files of all rows that have one, fetched where they were missing.

    Raises
    ------
    WeightsError
        One error for all rows that failed; offline, one table of all that is missing.
    """
    refuse_shared_names(rows)
    filed = {model: weights for model, weights in rows.items() if weights.has_file}
    missing = [f for f in survey(filed, cache) if f.state == "missing"]
    if missing and options.offline:
        raise MissingWeightsError(missing_table({f.model: f.weights for f in missing}, cache))
    paths, errors = [], []
    for model, weights in filed.items():
        try:
            paths.append(fetch(weights, cache, options))
        except UnreachableError as error:
            # Without a network, the other models need not be waited for as long.
            options = replace(options, attempts=1)
            errors.append(f"{model}: {error}")
        except WeightsError as error:
            errors.append(f"{model}: {type(error).__name__}: {error}")
    if errors:
        raise WeightsError("\n".join([f"{len(errors)} of {len(filed)} failed:", *errors]))
    return paths


def fetch_one(model: str, weights: WeightsRow, cache: Path) -> dict[str, str]:
    """Fetch a model's weights if they are missing, verify and convert them; return what is known.

    Parameters
    ----------
    model, weights
        The model's name, and its row's weights.
    cache
        Folder of fetched files.
    """
    if weights.source == "random":
        return {"model": model, "source": "random", "seed": str(weights.seed)}
    if not weights.has_file:
        return {"model": model, "source": weights.source}
    with of_model(model):
        path = fetch(weights, cache)
        with rejecting(weights, path, cache):
            conversion.converted(weights, path, cache)
    digest = verification.check(path, weights, "", cache / "verified")
    return {"model": model, "file": path.name, "sha256": digest}


def contents(
    models: Iterable[Mapping[str, Any]], notes: Iterable[str | Path]
) -> dict[str, dict[str, Any]]:
    """Return what decides the answers of each model, by name, weights' contents and code included.

    Parameters
    ----------
    models
        Rows without the place of any file (`metamers.config.plan.Plan.identities`).
    notes
        The file of each, which holds what `fetch_one` returned.
    """
    found = {}
    for model, path in zip(models, notes, strict=True):
        said = json.loads(Path(path).read_bytes())
        decides = {key: said[key] for key in ("sha256", "seed", "code") if key in said}
        found[model["name"]] = dict(model) | {"contents": decides}
    return found


def refuse_shared_names(rows: Mapping[str, WeightsRow]) -> None:
    """Refuse models whose different files would have the same name in the cache.

    Raises
    ------
    WeightsError
        If there are such.
    """
    first: dict[str, tuple[str, WeightsRow]] = {}
    for model, weights in rows.items():
        if weights.source in FETCHERS:
            other, met = first.setdefault(weights.file, (model, weights))
            if verification.origin(met) != verification.origin(weights):
                raise WeightsError(
                    f"models {other!r} and {model!r} both call their file {weights.file!r} and "
                    "take it from different places; give one another name (weights.file)"
                )


def _find(model: str, weights: WeightsRow, cache: Path, rehash: bool) -> Finding:
    if not weights.has_file:
        how = "by its factory" if weights.source == "factory" else f"from seed {weights.seed}"
        return Finding(model, weights, Path(), "generated", how)
    try:
        path = target(weights, cache)
        if not path.is_file():
            return Finding(model, weights, path, "missing")
        locate(weights, cache, rehash)
    except MissingWeightsError as error:
        return Finding(model, weights, Path(), "missing", str(error))
    except WeightsError as error:
        return Finding(model, weights, Path(), "wrong", f"{type(error).__name__}: {error}")
    return Finding(model, weights, path, "ready")
