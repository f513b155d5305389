"""Metrics that look through a network: LPIPS, CLIP-IQA, features of Inception and of classifiers.

The first three need files that no package carries
(`metamers.evaluation.metrics.registry.WEIGHTS`). Their libraries would load a file by its name
alone, as a pickle; here a file is checked against its sha256 and read as plain tensors before a
library sees it. Nothing is ever downloaded here.
"""

from __future__ import annotations

import os
import pickle
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from metamers.evaluation.metrics.registry import WEIGHTS
from metamers.models import stages
from metamers.models.weights import verification
from metamers.models.weights.errors import UnsafePickleError
from metamers.models.weights.row import WeightsRow
from metamers.models.zoo import ModelSpec

ImageMetric = Callable[[Tensor, Tensor], Tensor]
Features = Callable[[Tensor], Tensor]
Layers = Callable[[Tensor], Sequence[Tensor]]

DEPTHS = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Depths of the layers of the unweighted perceptual distance, as many as LPIPS has."""

CLIP_WORDS = {
    "clip_iqa": (886, 2103),
    "clip_iqa_natural": (3288, 19917),
    "clip_iqa_real": (1532, 10197),
    "clip_iqa_noisiness": (3772, 33495),
}
"""Good and Bad, Natural and Synthetic, Real and Abstract, Clean and Noisy, in CLIP's vocabulary.

The prompts are '<word> photo.', four of torchmetrics' pairs, under its names.
"""
CLIP_PROMPT = (49406, 0, 1125, 269, 49407)  # start, the word, 'photo', '.', end
CLIP_CONTEXT = 77  # tokens, padded with 0


def checked_file(
    name: str, cache: Path, weights: Mapping[str, WeightsRow] = WEIGHTS
) -> Path | None:
    """Return the path of a metric's verified file in the cache, or None if it is not there.

    Raises
    ------
    WeightsError
        If it is there and is another file than the one meant.
    """
    row = weights[name]
    path = cache / row.file
    if not path.is_file():
        return None
    verification.check(path, row, verification.pinned_hash(row), cache / "verified")
    return path


def lpips(alexnet: Path, device: str | torch.device = "cpu") -> ImageMetric:
    """Return LPIPS with an AlexNet file of torchvision: metamers, references -> (n,).

    torchmetrics' class, whose heads are version 0.1 and come with it.
    """
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    refuse_code(alexnet)
    with _hub_of(alexnet):
        metric = LearnedPerceptualImagePatchSimilarity("alex", reduction="none", normalize=True)
    metric = metric.to(device)

    def distance(metamers: Tensor, references: Tensor) -> Tensor:
        values = metric(metamers, references).reshape(-1)
        metric.reset()
        return values

    return distance


def clip_iqa(clip_rn50: Path, device: str | torch.device = "cpu") -> dict[str, ImageMetric]:
    """Return CLIP-IQA by several pairs of prompts, by name: metamers, references -> (n,).

    piq's class with a CLIP ResNet-50 archive, `clip_rn50`, which is laid out as its cache;
    references are not looked at. All pairs share one look at a batch. The paper names some prompts
    as examples ('natural', 'bright'), and not which it used.
    """
    from piq import CLIPIQA

    words = [word for pair in CLIP_WORDS.values() for word in pair]
    tokens = torch.zeros(len(words), CLIP_CONTEXT, dtype=torch.int32)
    tokens[:, : len(CLIP_PROMPT)] = torch.tensor(CLIP_PROMPT, dtype=torch.int32)
    tokens[:, 1] = torch.tensor(words, dtype=torch.int32)
    with tempfile.TemporaryDirectory() as home, warnings.catch_warnings():
        cache = Path(home) / ".cache" / "clip"
        cache.mkdir(parents=True)
        (cache / "RN50.pt").symlink_to(clip_rn50.resolve())
        torch.save(tokens, cache / "clipiqa_tokens.pt")
        warnings.simplefilter("ignore", FutureWarning)  # torch.jit.load, piq's own call
        warnings.simplefilter("ignore", DeprecationWarning)
        with _environment("HOME", home):
            metric = CLIPIQA(data_range=1.0)
    metric = metric.to(device)
    seen: list[Tensor] = []  # the last batch, and its scores

    def score(pair: int, metamers: Tensor, references: Tensor) -> Tensor:
        if not seen or seen[0] is not metamers:
            seen[:] = [metamers, metric(metamers).reshape(len(metamers), -1)]
        return seen[1][:, pair]

    return {name: partial(score, pair) for pair, name in enumerate(CLIP_WORDS)}


def inception(weights: Path, device: str | torch.device = "cpu") -> Features:
    """Return the 2048 features that FID is defined on: images in [0, 1] -> (n, 2048).

    The network of torchmetrics' class for FID, which torch-fidelity provides.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance

    refuse_code(weights)
    network = FrechetInceptionDistance(
        2048, feature_extractor_weights_path=str(weights), normalize=True
    ).inception.to(device)

    def features(images: Tensor) -> Tensor:
        # to the nearest, as images are stored; torchmetrics would cut
        return network((images * 255).round().byte())

    return features


def classifier_layers(classifier: nn.Module, spec: ModelSpec) -> Layers:
    """Return the activations of a loaded classifier's blocks at `DEPTHS`, by its row of the zoo.

    One pass of images gives all of them; the last is that of its last block. Those of four
    dimensions have their channels first, whatever the network's own order.
    """
    blocks = stages.block_names(getattr(classifier, "network", classifier), spec.blocks)
    chosen = [blocks[stages.index_at(depth, len(blocks))] for depth in DEPTHS]

    def layers(images: Tensor) -> list[Tensor]:
        with ExitStack() as stack:
            heard = [
                stack.enter_context(stages.ActivationRecorder(classifier, name)) for name in chosen
            ]
            classifier(images)
        return [_channels_first(torch.as_tensor(h.activation), spec) for h in heard]

    return layers


def _channels_first(activation: Tensor, spec: ModelSpec) -> Tensor:
    is_last = activation.ndim == 4 and spec.channels == "last"
    return activation.movedim(-1, 1) if is_last else activation


def pooled(activation: Tensor) -> Tensor:
    """Return the mean over places: ``(n, c, h, w)`` or ``(n, tokens, c)`` -> (n, c)."""
    if activation.ndim == 3:  # transformers: (n, tokens, channels)
        return activation.mean(dim=1)
    return activation.flatten(2).mean(dim=2)


def perceptual_distance(metamers: Sequence[Tensor], references: Sequence[Tensor]) -> Tensor:
    """Return the unweighted perceptual distance of images from their activations, shape (n,).

    At each layer, activations are given unit length over channels at each place; the squared
    differences are summed over channels, averaged over places, and summed over layers. That is
    LPIPS (Zhang et al. 2018) without its trained weights. From 0 to 4 per layer, to 2 where
    activations are rectified.

    Parameters
    ----------
    metamers, references
        A tensor per layer, ``(n, channels, height, width)`` or ``(n, tokens, channels)``.
    """
    distances = []
    for first, second in zip(metamers, references, strict=True):
        channels = 2 if first.ndim == 3 else 1
        units = [normalize(a, dim=channels, eps=1e-10) for a in (first, second)]
        squares = (units[0] - units[1]).square().sum(dim=channels)
        distances.append(squares.flatten(1).mean(dim=1))
    return torch.stack(distances).sum(dim=0)


def refuse_code(path: Path) -> None:
    """Read a checkpoint as tensors and nothing else.

    The libraries of LPIPS and FID read it once more as a pickle, which may run code.

    Raises
    ------
    UnsafePickleError
        If it holds anything but tensors and plain containers; nothing was run.
    """
    try:
        torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UnsafePickleError(
            f"{str(path)!r} asks for code or classes that are not plain data; nothing was run. "
            "See docs/weights.md, 'Checkpoints with code in them'"
        ) from error


@contextmanager
def _hub_of(file: Path) -> Iterator[None]:
    """Let torch.hub find one file, and nothing else, in its cache of checkpoints."""
    before = torch.hub.get_dir()
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Path(folder) / "checkpoints"
        checkpoints.mkdir()
        (checkpoints / file.name).symlink_to(file.resolve())
        torch.hub.set_dir(folder)
        try:
            yield
        finally:
            torch.hub.set_dir(before)


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
