"""pyiqa's metrics by name: an optional extra, since its licence is PolyForm Noncommercial.

Those that need weights are not computed, and say so: pyiqa would fetch files without a hash and
unpickle them. No torch here until a metric is made.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from unittest import mock

from metamers.evaluation.metrics.registry import MetricSpec

if TYPE_CHECKING:
    import torch
    from torch import Tensor

PREFIX = "pyiqa:"


@cache
def catalog() -> Mapping[str, Mapping[str, Any]]:
    """Return what pyiqa says of its metrics, by name; the package itself is not imported.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    package = find_spec("pyiqa")
    if package is None or not package.submodule_search_locations:
        raise ImportError(
            "the package pyiqa, which evaluation.metrics names, is not installed: pip install "
            "'metamers[pyiqa]' (its licence is PolyForm Noncommercial)"
        )
    path = Path(package.submodule_search_locations[0]) / "default_model_configs.py"
    spec = spec_from_file_location("_pyiqa_catalog", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"pyiqa has no {path.name}; is its version that of requirements.lock?")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return dict(module.DEFAULT_CONFIGS)


def card(name: str) -> MetricSpec:
    """Return the card of a metric, as ``pyiqa:gmsd``: direction and range are pyiqa's own.

    Raises
    ------
    ImportError
        If pyiqa is not installed.
    ValueError
        If it has no such metric.
    """
    key = name.removeprefix(PREFIX)
    if key not in catalog():
        raise ValueError(f"pyiqa has no metric {key!r}; it has {', '.join(catalog())}")
    about = catalog()[key]
    reference = "with" if about["metric_mode"] == "FR" else "without"
    return MetricSpec(
        name,
        f"{key.upper()} (pyiqa)",
        "down" if about.get("lower_better") else "up",
        "",
        about.get("score_range", "not stated").replace(", ", " to "),
        True,
        f"{about['metric_opts']['type']} as pyiqa computes it by default, {reference} a reference",
        "pyiqa",
        "pyiqa's documentation",
    )


def metric(name: str, device: str | torch.device) -> Callable[[Tensor, Tensor], Tensor] | str:
    """Return a metric of images and references in [0, 1], or why it is not computed."""
    about = card(name)
    pyiqa = import_module("pyiqa")
    try:
        with _nothing_fetched_or_unpickled():
            made = pyiqa.create_metric(name.removeprefix(PREFIX), device=device)
    except Exception as error:  # whatever a network's constructor makes of a file that is missing
        return (
            f"not computed: weights missing: {about.label} needs files that pyiqa would fetch "
            f"without a hash and unpickle ({type(error).__name__})"
        )
    with_reference = made.metric_mode == "FR"

    def measured(images: Tensor, references: Tensor) -> Tensor:
        values = made(images, references) if with_reference else made(images)
        if values.numel() != len(images):
            raise ValueError(f"{name} gave {values.numel()} values for {len(images)} images")
        found: Tensor = values.reshape(len(images))
        return found

    return measured


@contextmanager
def _nothing_fetched_or_unpickled() -> Iterator[None]:
    """Refuse connections and unpickling while a metric is made."""
    import torch

    def refuse(*_: object, **__: object) -> NoReturn:
        raise FileNotFoundError("weights")

    with (
        mock.patch.object(socket.socket, "connect", refuse),
        mock.patch.object(torch, "load", refuse),
    ):
        yield
