"""What made a file: version, commit, configuration."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from metamers import __version__

LIBRARIES = ("torch", "torchvision", "timm", "numpy", "scipy", "pandas", "pillow", "torchmetrics")
RANDOM_WEIGHTS = "Random weights: a trial of the pipeline, which says nothing of trained models."
"""What a run on random weights (configuration: random_weights) says wherever it is read."""


def digest(value: Any) -> str:  # noqa: ANN401
    """Return a short hash of plain data, the same for equal values."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def commit() -> str:
    """Return the commit of the code, with ``+`` if it was edited since; ``unknown`` without git."""
    here = Path(__file__).parent
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12"],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return answer.stdout.strip()


def versions() -> dict[str, str]:
    """Return the versions of this library and of those whose code computes results, and the commit.

    They are written down and decide nothing: see docs/decisions.md, "Records and seals".
    """
    libraries = {name: version(name) for name in LIBRARIES}
    return {
        "version": __version__,
        "commit": commit(),
        "libraries": json.dumps(libraries, sort_keys=True),
    }


def stamp(config: Mapping[str, Any]) -> dict[str, str]:
    """Return what is written into the metadata of each table."""
    return {
        **versions(),
        "run": str(config["run"]),
        "weights": RANDOM_WEIGHTS if config["random_weights"] else "those of the zoo's rows",
        "config_digest": digest(config),
        "presets": json.dumps(
            {name: recipe.get("preset", "paper") for name, recipe in config["recipes"].items()}
        ),
        "config": json.dumps(config, sort_keys=True, default=str),
    }
