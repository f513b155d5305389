"""The zoo: one row per model, read from a table. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

ZOO = "config/models.yaml"


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each channel, in units of [0, 1] pixels."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True)
class Layout:
    """How a checkpoint's names become the architecture's.

    Attributes
    ----------
    nested
        Keys to descend, for example ``("model",)`` in ``{"model": state_dict}``.
    keep
        Prefix of the entries to keep, which is then removed; others are left out.
    drop
        Names that are left out.
    rename
        Regular expressions and what replaces them, applied to each name in this order.
    by_order
        Entries are matched by their order, shapes checked.
    convert
        Name of a converter of `metamers.models.weights.state_dict`, for other layouts.
    """

    nested: tuple[str, ...] = ()
    keep: str = ""
    drop: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    by_order: bool = False
    convert: str = ""


@dataclass(frozen=True)
class Weights:
    """Where a model's weights come from, and how to know that they are the right ones.

    Attributes
    ----------
    source
        ``package`` (installed), ``sdist`` (a file in a source package), ``url``,
        ``huggingface`` (the URL names the commit), ``archive`` (a member of a tar at a URL),
        ``gdrive``, ``local`` (a path of the user's), ``factory`` (the architecture's own function
        loads them) or ``random`` (drawn from a seed).
    file
        Name in the cache, of one model only.
    path
        Place inside the package or archive, or the path of a local file.
    size, size_about
        Bytes: exact (checked; 0: unknown), and about (only shown).
    sha256, sha256_prefix
        Of the file, where its source publishes it; else `config/weights.lock` records it.
    """

    source: str
    file: str = ""
    path: str = ""
    package: str = ""
    package_sha256: str = ""
    url: str = ""
    sha256: str = ""
    sha256_prefix: str = ""
    size: int = 0
    size_about: int = 0
    licence: str = ""
    seed: int = 0
    note: str = ""
    layout: Layout = field(default_factory=Layout)

    @property
    def has_file(self) -> bool:
        """Return whether there is a file to locate and verify."""
        return self.source not in ("factory", "random")


@dataclass(frozen=True)
class ModelSpec:
    """One row of the zoo.

    Attributes
    ----------
    architecture
        ``library:name``: ``timm:…``, ``torchvision:…``, ``own:…`` (a function of
        `metamers.models.architectures`) or ``import:package.module:factory``.
    parameters
        Expected number of parameters, checked whenever the model is built; 0: not checked.
    blocks
        Patterns of the names of the modules that count as depth, in the order they run.
    normalisation
        Applied to images in [0, 1] before the network; ``None``: the network takes them raw.
    stages
        Modules for named stages, where the depth rule is to be overruled.
    channels
        Where the blocks' activations of four dimensions have their channels: ``first``
        (n, channels, height, width) or ``last`` (n, height, width, channels).
    """

    name: str
    label: str
    family: str
    training: str
    architecture: str
    parameters: int
    blocks: tuple[str, ...]
    normalisation: Normalisation | None
    weights: Weights
    input: Mapping[str, Any] = field(default_factory=dict)
    accuracy: Mapping[str, Any] = field(default_factory=dict)
    stages: Mapping[str, str] = field(default_factory=dict)
    channels: Literal["first", "last"] = "first"
    note: str = ""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> ModelSpec:
        """Read a row, with its ``name`` as one more key."""
        values = {"parameters": 0} | dict(row)
        layout = Layout(**_tuples(values["weights"].get("layout", {})))
        values["weights"] = Weights(**(dict(values["weights"]) | {"layout": layout}))
        if values["normalisation"] is not None:
            values["normalisation"] = Normalisation(**_tuples(values["normalisation"]))
        values["blocks"] = tuple(values["blocks"])
        return cls(**values)


def read(path: str | Path) -> dict[str, dict[str, Any]]:
    """Return the rows of a zoo file by name, as plain data."""
    return yaml.safe_load(Path(path).read_text())


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
