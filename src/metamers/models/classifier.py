"""From a row of the zoo to a frozen classifier of images in [0, 1]."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from metamers.images.classes import CLASSES
from metamers.models import zoo
from metamers.models.weights import cache as weights_cache
from metamers.models.weights import conversion
from metamers.models.weights.errors import of_model
from metamers.models.zoo import ModelSpec, Normalisation

HELP = "docs/zoo.md, 'Your own model'"


class Classifier(nn.Module):
    """A network, and before it the normalisation that it was trained with.

    Takes images, ``(n, 3, side, side)`` in [0, 1], and returns logits, ``(n, 1000)``; without a
    head, what the network gives.

    Attributes
    ----------
    name
        The model's, for error messages.
    head
        Whether the network answers with ImageNet's classes, which is checked then.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        normalisation: Normalisation | None,
        name: str = "",
        head: bool = True,
    ) -> None:
        super().__init__()
        self.network = network
        self.name = name or type(network).__name__
        self.head = head
        mean, std = (normalisation.mean, normalisation.std) if normalisation else ((0.0,), (1.0,))
        self.normalised = normalisation is not None
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of images in [0, 1].

        Raises
        ------
        ValueError
            If a network with a head gives anything else; without gradients, also if a logit is
            NaN or infinite (with gradients the solver looks at the loss, once for many steps).
        """
        if self.normalised:
            images = (images - self.mean) / self.std
        logits = self.network(images)
        if not self.head:
            return logits
        if not isinstance(logits, Tensor) or logits.shape[1:] != (CLASSES,):
            met = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise ValueError(
                f"model {self.name!r} gave {met}; expected are the logits of ImageNet's classes, "
                f"{(len(images), CLASSES)}; a network without these has 'head: none' in its row "
                f"({HELP})"
            )
        if not torch.is_grad_enabled() and not logits.is_meta and not logits.isfinite().all():
            count = int((~logits.isfinite()).any(dim=1).sum())
            raise ValueError(
                f"model {self.name!r} gave NaN or infinite logits for {count} of {len(images)} "
                f"images; look at its weights and normalisation ({HELP})"
            )
        return logits


def architecture(name: str) -> nn.Module:
    """Return a network with fresh weights, from ``library:name``.

    Raises
    ------
    ValueError
        If the library is unknown, has no such architecture or gives something else.
    """
    library, _, identifier = name.partition(":")
    if library not in BUILDERS:
        raise ValueError(
            f"architecture {name!r}: the library {library!r} is not known; "
            f"known are {', '.join(BUILDERS)} ({HELP})"
        )
    try:
        network = BUILDERS[library](identifier)
    except (AttributeError, ImportError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"architecture {name!r} cannot be built: {type(error).__name__}: {error} ({HELP})"
        ) from error
    if not isinstance(network, nn.Module):
        raise ValueError(
            f"architecture {name!r}: {identifier!r} gave a {type(network).__name__}; "
            f"expected is a torch.nn.Module ({HELP})"
        )
    return network


def build(spec: ModelSpec) -> Classifier:
    """Return the row's architecture as it is built, in evaluation mode, frozen.

    Weights of source ``random`` are drawn from the row's seed by Kaiming's normal rule, so
    the same row always gives the same network; those of source ``factory`` are what the
    architecture's function has loaded.

    Raises
    ------
    ValueError
        If the number of parameters is not the row's, or weights of source ``factory`` are those of
        a library's architecture, which loads none, or NaN or infinite.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.weights.seed)
        network = architecture(spec.architecture)
        if spec.weights.source == "random":
            draw_kaiming_normal(network)
    if spec.weights.source == "factory":
        _require_loaded(spec, network)
    count = sum(parameter.numel() for parameter in network.parameters())
    if spec.parameters and count != spec.parameters:
        raise ValueError(
            f"model {spec.name!r}: {spec.architecture} has {count:,} parameters; "
            f"its row expects {spec.parameters:,}"
        )
    return _freeze(Classifier(network, spec.normalisation, spec.name, spec.has_head))


def load_model(
    name: str, zoo_file: str | Path | None = None, cache: str | Path | None = None
) -> Classifier:
    """Return a model of the zoo by its name, with its trained weights, frozen.

    The weights are fetched if need be, and verified.

    Parameters
    ----------
    name
        A row of the zoo, for example ``efficientnet_lite0``.
    zoo_file
        The zoo; by default ``config/models.yaml`` of the working directory or, without one, of
        the repository that this library was installed from.
    cache
        Folder of fetched weights; by default ``METAMERS_CACHE``, or ``~/.cache/metamers``.

    Returns
    -------
    A network in evaluation mode, on the CPU, that takes RGB images, (n, 3, side, side) in [0, 1],
    and returns logits, (n, 1000); of a row without a head, what the network gives. ``network`` is
    the network itself, for its modules' names.

    Raises
    ------
    ValueError
        If there is no zoo, or it has no model of this name.
    WeightsError
        If the weights cannot be had, or are not what the row means.
    """
    path = Path(zoo_file) if zoo_file else zoo.default_path()
    rows = zoo.read(path)
    if name not in rows:
        raise ValueError(f"model {name!r} is not in {str(path)!r}; it has {', '.join(rows)}")
    spec = ModelSpec.of({"name": name} | rows[name])
    return fetch_pretrained(spec, weights_cache.cache_folder(cache))


def fetch_pretrained(spec: ModelSpec, cache: Path) -> Classifier:
    """Return what `load_pretrained` does, after the weights were fetched if they are missing."""
    if spec.weights.has_file:
        weights_cache.fetch(spec.weights, cache)
    return load_pretrained(spec, cache)


def load_pretrained(spec: ModelSpec, cache: Path) -> Classifier:
    """Return a row's classifier with its trained weights, in evaluation mode, frozen.

    Nothing is fetched: that is for `metamers.models.weights.cache.fetch`, beforehand. A pickle is
    read by another process, once (`metamers.models.weights.conversion`). A file of the cache that
    turns out not to be the row's, by its hash or by its contents, is set aside.

    Raises
    ------
    MissingWeightsError
        If the file is not there.
    WeightsError
        If it is not what the row means; the subclass says in which way.
    """
    if not spec.weights.has_file:
        return load(spec, None)
    path = weights_cache.locate(spec.weights, cache)
    with of_model(spec.name), weights_cache.rejecting(spec.weights, path, cache):
        weights, converted = conversion.converted(spec.weights, path, cache)
        return load(replace(spec, weights=weights), converted)


def load(spec: ModelSpec, path: Path | None) -> Classifier:
    """Return the row's classifier with its trained weights, in evaluation mode, frozen.

    Parameters
    ----------
    spec
        The row.
    path
        The verified file of the weights, which is read by this process (`load_pretrained` has it
        converted first); ``None`` only for those without one: of source ``random`` or ``factory``.

    Raises
    ------
    ValueError
        If the file's entries are not exactly those of the architecture.
    """
    from metamers.models.weights.state_dict import state_dict

    classifier = build(spec)
    if not spec.weights.has_file:
        return classifier
    if path is None:
        raise ValueError(f"model {spec.name!r}: no file of weights was given")
    entries = state_dict(path, spec.weights.layout, classifier.network)
    classifier.network.load_state_dict(entries, strict=True)
    return _freeze(classifier)


def draw_kaiming_normal(network: nn.Module) -> None:
    """Draw every weight of a convolution or linear layer by Kaiming's normal rule, biases zero."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _require_loaded(spec: ModelSpec, network: nn.Module) -> None:
    if not spec.architecture.startswith("import:"):
        raise ValueError(
            f"model {spec.name!r}: weights.source is 'factory', but {spec.architecture!r} is not a "
            f"function of yours that loads weights; expected is 'import:module:function' ({HELP})"
        )
    for name, tensor in network.state_dict().items():
        if not tensor.isfinite().all():
            raise ValueError(f"model {spec.name!r}: {name!r} has NaN or infinite numbers")


def _freeze(classifier: Classifier) -> Classifier:
    return classifier.eval().requires_grad_(False)


def _timm(identifier: str) -> nn.Module:
    import timm

    return timm.create_model(identifier, pretrained=False)


def _torchvision(identifier: str) -> nn.Module:
    import torchvision

    return torchvision.models.get_model(identifier, weights=None)


def _own(identifier: str) -> nn.Module:
    return getattr(importlib.import_module("metamers.models.architectures"), identifier)()


def _imported(identifier: str) -> Any:  # noqa: ANN401  (what it is, `architecture` checks)
    module, _, factory = identifier.partition(":")
    with _working_directory_importable():
        return getattr(importlib.import_module(module), factory)()


@contextmanager
def _working_directory_importable() -> Iterator[None]:
    """Look for modules in the working directory last, so that a user's own file is found."""
    here = os.getcwd()
    sys.path.append(here)
    try:
        yield
    finally:
        sys.path.remove(here)


def _robustbench(identifier: str) -> nn.Module:
    return importlib.import_module("metamers.models.robustbench_catalog").network(identifier)


BUILDERS: dict[str, Callable[[str], Any]] = {
    "timm": _timm,
    "torchvision": _torchvision,
    "robustbench": _robustbench,
    "own": _own,
    "import": _imported,
}
