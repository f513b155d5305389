"""RobustBench's catalog of ImageNet models: architectures and normalisations, but not its loader.

Its loader falls back to ``strict=False`` and unpickles what it fetched without a hash; here a row
of the zoo says where the file is, and `metamers.models.weights` verifies and reads it. The package
is imported when a row asks for it.
"""

from __future__ import annotations

import importlib
import re
import sys
import warnings
from typing import Any

from torch import nn

DRIVE = "https://drive.google.com/uc?id={}"


def network(identifier: str) -> nn.Module:
    """Return an architecture with fresh weights, without the normalisation before it.

    Parameters
    ----------
    identifier
        Threat model and name in the catalog, as ``Linf/Salman2020Do_R50``.

    Raises
    ------
    ImportError
        If robustbench is not installed.
    ValueError
        If the catalog has no such model.
    """
    model, _ = _parts(_entry(identifier)["model"]())
    return model


def row(identifier: str) -> dict[str, Any]:
    """Return the keys of a row of the zoo that the catalog knows.

    They are architecture, parameters, normalisation, input and weights. Accuracies are on its
    website alone, and where the blocks are only who reads the architecture knows.

    Raises
    ------
    ImportError, ValueError
        As `network`.
    """
    entry = _entry(identifier)
    model, normaliser = _parts(entry["model"]())
    found: dict[str, Any] = {
        "architecture": f"robustbench:{identifier}",
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "normalisation": normaliser
        and {
            name: [round(value, 6) for value in getattr(normaliser, name).flatten().tolist()]
            for name in ("mean", "std")
        },
        "weights": {
            "source": "gdrive",
            "url": DRIVE.format(entry["gdrive_id"]),
            "file": f"{identifier.replace('/', '_')}.pt",
            "licence": "MIT (RobustBench, its LICENSE covers these weights)",
            "layout": {"convert": "robustbench"},
        },
    }
    prepared = re.fullmatch(r"(?:Bicubic)?Res(\d+)Crop(\d+)", str(entry.get("preprocessing", "")))
    if prepared:
        resize, size = map(int, prepared.groups())
        found["input"] = {"size": size, "resize": resize, "interpolation": "bilinear"}
    return found


def _entry(identifier: str) -> dict[str, Any]:
    known = {
        f"{threat.value}/{name}": entry
        for threat, models in _catalog().items()
        for name, entry in models.items()
    }
    if identifier not in known:
        raise ValueError(f"RobustBench has no {identifier!r}; it has {', '.join(sorted(known))}")
    return dict(known[identifier])


def _catalog() -> dict[Any, dict[str, Any]]:
    """Return its ImageNet models; 1.1.1 imports `autoattack` by a name its package has not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alias = "autoattack" not in sys.modules
        if alias:
            sys.modules["autoattack"] = importlib.import_module("pyautoattack")
        try:
            models = importlib.import_module("robustbench.model_zoo.imagenet")
        finally:
            if alias:
                del sys.modules["autoattack"]
    return dict(models.imagenet_models)


def _parts(model: nn.Module) -> tuple[nn.Module, nn.Module | None]:
    """Return a model's network, and the normalisation before it, if it has one."""
    parts = dict(model.named_children())
    if set(parts) == {"normalize", "model"}:
        return parts["model"], parts["normalize"]
    return model, None
