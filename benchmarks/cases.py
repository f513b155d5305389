"""What is measured on: configuration, zoo, engine and images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml
from contest import Case
from torch import Tensor

from metamers.execution.settings import ExecutionSettings
from metamers.images import references
from metamers.models import zoo
from metamers.models.weights.cache import cache_folder
from metamers.models.zoo import ModelSpec

ROOT = Path(__file__).parents[1]
CONFIG: dict[str, Any] = yaml.safe_load((ROOT / "config/config.yaml").read_text())
SPECS: dict[str, ModelSpec] = zoo.specs(zoo.read(ROOT / "config/models.yaml"))


def cases(models: list[str] | None, stages: list[str] | None, side: int, count: int) -> list[Case]:
    """Return a case for each model, of the embedded ones if none is named, and each stage."""
    return [
        Case(model, stage, CONFIG["stages"][stage], side, count)
        for model in models or CONFIG["evaluators"]
        for stage in stages or CONFIG["stages"]
    ]


def engine(device: str, count: int) -> ExecutionSettings:
    """Return the engine of the default configuration, on a device, for so many images."""
    return replace(ExecutionSettings(**CONFIG["engine"]), device=device, batch_size=count)


def cache() -> Path:
    """Return the folder of the weights."""
    return cache_folder(CONFIG["weights_cache"])


def photographs(count: int, side: int) -> Tensor:
    """Return embedded photographs, ``(count, 3, side, side)`` in [0, 1]."""
    preprocessing = CONFIG["preprocessing"] | {"size": side}
    draw = {"limit": count}
    _, pixels = references.prepare({"source": "embedded"}, preprocessing, "benchmark", draw, seed=0)
    return torch.from_numpy(pixels).float() / 255
