"""Are the networks what their rows say? Looked at before any job, without weights or numbers."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metamers.models.weights import contents
from metamers.models.weights.cache import cache_folder
from metamers.models.zoo import ModelSpec
from metamers.storage import provenance

if TYPE_CHECKING:
    from metamers.models.classifier import Classifier

DECIDES = ("architecture", "parameters", "blocks", "stages", "head", "normalisation")
"""Of a row, what is looked at here."""


def problems(config: Mapping[str, Any], rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return what is wrong with the networks of a run, in words.

    Each is built as its row says and given the shape of an image of the run: it must answer with
    ImageNet's classes, unless its row has no head, and have its stages. What was found right is
    noted beside the weights and not looked at again; without a new one, torch is not imported. A
    network that its own function loads (weights of source ``factory``) is left to the jobs.

    Parameters
    ----------
    config, rows
        A configuration and the rows that it uses, found right by themselves.
    """
    cache, side = cache_folder(config["weights_cache"]), config["preprocessing"]["size"]
    found = []
    for name, row in rows.items():
        stamp = cache / "networks" / _digest(row, config["stages"], side, cache)
        if row["weights"]["source"] == "factory" or stamp.exists():
            continue
        problem = _problem(ModelSpec.of({"name": name} | dict(row)), config["stages"], side)
        if problem:
            found.append(f"zoo, key {name!r}: {problem}")
            continue
        with contextlib.suppress(OSError):  # a cache that cannot be written
            stamp.parent.mkdir(parents=True, exist_ok=True)
            stamp.touch()
    return found


def _digest(row: Mapping[str, Any], stages: Mapping[str, float], side: int, cache: Path) -> str:
    versions = {name: version(name) for name in ("metamers", "timm", "torch", "torchvision")}
    code = contents.hashes_of(dict(row) | {"weights": {"source": "random"}}, cache)
    looked_at = {key: row.get(key) for key in DECIDES}
    return provenance.digest(json.loads(json.dumps([looked_at, stages, side, code, versions])))


def _problem(spec: ModelSpec, depths: Mapping[str, float], side: int) -> str:
    """Return what is wrong with one network, or ``""``.

    Where it cannot be run on shapes alone, or seems wrong so, it is run on an image.
    """
    from metamers.models import classifier

    with warnings.catch_warnings(action="ignore"):
        try:
            with _without_numbers():
                _run(classifier.build(spec), spec, depths, side, "meta")
        except Exception:
            try:
                _run(classifier.build(spec), spec, depths, side, "cpu")
            except Exception as error:  # own code can make any
                kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
                return f"{kind}{error}, for an image of {side} pixels"
    return ""


def _run(
    network: Classifier, spec: ModelSpec, depths: Mapping[str, float], side: int, device: str
) -> None:
    import torch

    from metamers.models import stages

    for stage, depth in depths.items():
        stages.module_at(network.network, spec, stage, depth)
    with torch.no_grad():
        network.to(device)(torch.full((1, 3, side, side), 0.5, device=device))


@contextlib.contextmanager
def _without_numbers() -> Iterator[None]:
    """Have modules keep the shapes of their parameters alone, so that none is drawn."""
    from torch import nn

    register = nn.Module.register_parameter

    def registered(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        shape = parameter if parameter is None else nn.Parameter(parameter.to("meta"))
        register(module, name, shape)

    nn.Module.register_parameter = registered  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        nn.Module.register_parameter = register  # type: ignore[method-assign]
