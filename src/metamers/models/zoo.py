"""The zoo: one row per model, read from a table. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from metamers.models.weights.row import Layout, WeightsRow

ZOO = "config/models.yaml"


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each channel, in units of [0, 1] pixels."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True)
class ModelSpec:
    """One row of the zoo.

    Attributes
    ----------
    architecture
        ``library:name``: ``timm:…``, ``torchvision:…``, ``robustbench:…``, ``own:…`` (a function of
        `metamers.models.architectures`) or ``import:package.module:factory``.
    parameters
        Expected number of parameters, checked whenever the model is built; 0: not checked.
    blocks
        Patterns of the names of the modules that count as depth, in the order they run.
    normalisation
        Applied to images in [0, 1] before the network; ``None``: the network takes them raw.
    stages
        Modules for named stages, where the depth rule is to be overruled.
    head
        What the network returns: ``imagenet``, logits of ImageNet's 1000 classes; or ``none``,
        anything else (features, logits of other classes), which is not looked at.
    channels
        Where the blocks' activations of four dimensions have their channels: ``first``
        (n, channels, height, width) or ``last`` (n, height, width, channels).
    lineage
        Recipe, teachers and initial weights, by names of one's own: models that share one are
        related.
    feather2023
        Name of the network in the published results of Feather et al. (2023), if it is there.
    """

    name: str
    label: str
    family: str
    training: str
    architecture: str
    parameters: int
    blocks: tuple[str, ...]
    normalisation: Normalisation | None
    weights: WeightsRow
    input: Mapping[str, Any] = field(default_factory=dict)
    accuracy: Mapping[str, Any] = field(default_factory=dict)
    stages: Mapping[str, str] = field(default_factory=dict)
    head: Literal["imagenet", "none"] = "imagenet"
    channels: Literal["first", "last"] = "first"
    lineage: tuple[str, ...] = ()
    feather2023: str = ""
    note: str = ""

    @property
    def has_head(self) -> bool:
        """Return whether the network answers with ImageNet's classes."""
        return self.head == "imagenet"

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> ModelSpec:
        """Read a row, with its ``name`` as one more key.

        Raises
        ------
        ValueError
            If a key is missing or unknown, or a section is none.
        """
        values = {"parameters": 0} | dict(row)
        try:
            layout = Layout(**_tuples(values["weights"].get("layout", {})))
            values["weights"] = WeightsRow(**(dict(values["weights"]) | {"layout": layout}))
            if values["normalisation"] is not None:
                values["normalisation"] = Normalisation(**_tuples(values["normalisation"]))
            values["blocks"] = tuple(values["blocks"])
            values["lineage"] = tuple(values.get("lineage", ()))
            return cls(**values)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(
                f"the zoo's row {row.get('name')!r} cannot be read: {error!r} "
                "(workflow/schemas/models.schema.yaml)"
            ) from error


def read(path: str | Path) -> dict[str, dict[str, Any]]:
    """Return the rows of a zoo file by name, as plain data."""
    return yaml.safe_load(Path(path).read_text())


def has_head(row: Mapping[str, Any]) -> bool:
    """Return `ModelSpec.has_head` of a row as plain data."""
    return row.get("head", "imagenet") == "imagenet"


def specs(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, ModelSpec]:
    """Return the rows as `ModelSpec`."""
    return {name: ModelSpec.of({"name": name} | dict(row)) for name, row in rows.items()}


def default_path() -> Path:
    """Return the zoo of the working directory or, without one, of the library's repository.

    Raises
    ------
    ValueError
        If neither has one.
    """
    places = [Path(ZOO), Path(__file__).parents[3] / ZOO]
    for path in places:
        if path.is_file():
            return path
    raise ValueError(
        f"no zoo was named, and there is none at {str(places[0].absolute())!r} "
        f"or {str(places[1])!r}"
    )


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
