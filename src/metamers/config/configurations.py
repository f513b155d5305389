"""The configuration as Snakemake sees it: the default, then each file laid over it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml


def read(overlays: Iterable[Path], default: Path = Path("config/config.yaml")) -> dict[str, Any]:
    """Return the configuration that ``snakemake --configfile <overlays>`` runs with.

    Sections are merged key by key, lists are replaced, and ``null`` stands for itself (it takes
    an experiment out): by Snakemake's own function.

    Raises
    ------
    ValueError
        If a file is not a mapping of keys.
    """
    from snakemake.utils import update_config

    merged: dict[str, Any] = {}
    for path in (default, *overlays):
        values = yaml.safe_load(path.read_text())
        if not isinstance(values, dict):
            raise ValueError(f"{path} holds {type(values).__name__}; expected are keys and values")
        update_config(merged, values)
    return merged
