"""Ensemble model metamers: synthesis, evaluation, tables and figures.

The names below are loaded when they are first used: importing ``metamers`` imports no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metamers.images.preprocessing import Preprocessing as Preprocessing
    from metamers.images.preprocessing import read_image as read_image
    from metamers.models.classifier import Classifier as Classifier
    from metamers.models.classifier import load_model as load_model
    from metamers.models.stages import Features as Features
    from metamers.synthesis.settings import Bound as Bound
    from metamers.synthesis.settings import SynthesisSettings as SynthesisSettings
    from metamers.synthesis.solver import synthesize as synthesize

__version__ = "0.1.0"

# Where each public name is defined.
EXPORTS = {
    "Bound": "metamers.synthesis.settings",
    "Classifier": "metamers.models.classifier",
    "Features": "metamers.models.stages",
    "Preprocessing": "metamers.images.preprocessing",
    "SynthesisSettings": "metamers.synthesis.settings",
    "load_model": "metamers.models.classifier",
    "read_image": "metamers.images.preprocessing",
    "synthesize": "metamers.synthesis.solver",
}

__all__ = ["EXPORTS", "__version__", *EXPORTS]


def __getattr__(name: str) -> Any:  # noqa: ANN401  (PEP 562)
    """Return a public name, from the module that defines it."""
    if name not in EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(EXPORTS[name]), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
