"""Image metrics between metamers and references (Table 1): all that can be computed, as rows.

The definition, range and library of each are on its card in `metamers.evaluation.metrics.registry`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from metamers.evaluation.metrics import frechet, learned, pyiqa_catalog
from metamers.evaluation.metrics.learned import Features, Layers
from metamers.evaluation.metrics.pixel import METRICS, UNDEFINED, VIF_SMALLEST_SIDE, Metric
from metamers.evaluation.metrics.registry import MEASURES, WEIGHTS, card
from metamers.images import crops
from metamers.models.weights.row import WeightsRow

COMPUTED = "computed"
SMALLEST_WITH_INTERVAL = 4  # photographs
Row = dict[str, str | float | None]
Values = dict[str, list[float]]
Sets = dict[tuple[str, str, str], list[Tensor]]
"""Features of metamers and references, by the names of the two distances and the floor."""


@dataclass(frozen=True)
class MetricSuite:
    """What images are measured with: made once, used for many conditions.

    Attributes
    ----------
    metrics
        Metrics of an image and its reference, by name.
    layers
        Classifiers, by name: images -> activations of some layers. A classifier c gives
        ``perceptual_c`` and, from its last layer averaged over space, ``frechet_c``, ``kid_c`` and
        ``floor_c``.
    inception
        Images -> features of FID and KID; None: they are not computed.
    missing
        Metrics that are not computed, and why.
    """

    metrics: Mapping[str, Metric]
    layers: Mapping[str, Layers]
    inception: Features | None
    missing: Mapping[str, str]


def instruments(
    cache: Path | None = None,
    layers: Mapping[str, Layers] | None = None,
    *,
    device: str | torch.device = "cpu",
    weights: Mapping[str, WeightsRow] = WEIGHTS,
    further: Sequence[str] = (),
) -> MetricSuite:
    """Return the metrics that can be computed here.

    Parameters
    ----------
    cache
        Folder with the weights of LPIPS, FID and CLIP-IQA; each is used if its file is there,
        and else named as missing. None: all of them are missing.
    layers
        Classifiers for the measures of `metamers.evaluation.metrics.registry.feature_cards`, by
        their name in the zoo (`metamers.evaluation.metrics.learned.classifier_layers`).
    device
        Where the networks of metrics run.
    weights
        Rows of the files.
    further
        Metrics of pyiqa, as ``pyiqa:gmsd``.

    Raises
    ------
    WeightsError
        If a file of weights is there and is not the one meant.
    """
    files = {key: cache and learned.checked_file(key, cache, weights) for key in weights}
    metrics, inception = dict(METRICS), None
    if alexnet := files["alexnet"]:
        metrics["lpips"] = learned.lpips(alexnet, device)
    if clip := files["clip_rn50"]:
        metrics |= learned.clip_iqa(clip, device)
    if path := files["inception"]:
        inception = learned.inception(path, device)
    missing = {
        entry.name: _missing(weights[entry.weights])
        for entry in MEASURES.values()
        if entry.weights and not files[entry.weights]
    }
    for name in further:
        made = pyiqa_catalog.metric(name, device)
        if isinstance(made, str):
            missing[name] = made
        else:
            metrics[name] = made
    return MetricSuite(metrics, layers or {}, inception, missing)


def _missing(weights: WeightsRow) -> str:
    return (
        f"not computed: weights missing: {weights.file}; put it into the folder of weights "
        f"(docs/weights.md), from {weights.url}"
    )


def measure(
    metamers: Tensor,
    references: Tensor,
    image_ids: Sequence[str],
    tools: MetricSuite | None = None,
    *,
    device: str | torch.device = "cpu",
    batch_size: int = 8,
) -> pd.DataFrame:
    """Return each metric of each image: columns image_id, measure, value, low, high, status.

    Distances between sets have no image_id, and an interval of 95 % over photographs. A value
    that is not finite, or not computed, is empty, and the status says why.

    Parameters
    ----------
    metamers, references
        uint8, or floats in [0, 1], of shape (n, 3, height, width).
    image_ids
        Their names, in the same order.
    tools
        What to measure with; None: what needs no network.
    device
        Where to compute.
    batch_size
        Images at a time; bounds memory and changes no value.

    Raises
    ------
    ValueError
        If shapes disagree, there are no images, pixels leave [0, 1], or ids are too few.
    """
    tools = tools or instruments()
    first, second = pixels(metamers, "metamers"), pixels(references, "references")
    if first.shape != second.shape or len(first) != len(image_ids):
        raise ValueError(
            f"metamers have the shape {tuple(first.shape)}, references {tuple(second.shape)}, "
            f"and there are {len(image_ids)} image ids; they have to agree"
        )
    missing = dict(tools.missing) | _too_small(first)
    metrics = {name: metric for name, metric in tools.metrics.items() if name not in missing}
    tools = replace(tools, metrics=metrics)
    values: Values = defaultdict(list)
    features: Sets = defaultdict(list)
    with torch.inference_mode():
        for batch in zip(first.split(batch_size), second.split(batch_size), strict=True):
            _look(tools, (batch[0].to(device), batch[1].to(device)), values, features)
    rows = [
        _row(image, name, value)
        for name, found in values.items()
        for image, value in zip(image_ids, found, strict=True)
    ]
    for names, parts in features.items():
        rows += _set_rows(names, torch.cat(parts, dim=1), crops.photographs(image_ids))
    for name, status in missing.items():
        owners = image_ids if card(name).per_image else [None]
        rows += [_row(owner, name, math.nan, status) for owner in owners]
    return pd.DataFrame(rows)


def _look(tools: MetricSuite, pair: tuple[Tensor, Tensor], values: Values, sets: Sets) -> None:
    """Add a batch's values, and its features for the distances between sets."""
    for name, metric in tools.metrics.items():
        values[name] += metric(*pair).double().tolist()
    for name, layers in tools.layers.items():
        seen = [layers(images) for images in pair]
        values[f"perceptual_{name}"] += learned.perceptual_distance(*seen).tolist()
        last = [learned.pooled(activations[-1]) for activations in seen]
        sets[f"frechet_{name}", f"kid_{name}", f"floor_{name}"].append(torch.stack(last).cpu())
    if tools.inception:
        last = [tools.inception(images) for images in pair]
        sets["fid", "kid", "fid_floor"].append(torch.stack(last).cpu())


def pixels(images: Tensor, name: str) -> Tensor:
    """Return images as float32 in [0, 1].

    Raises
    ------
    ValueError
        If they are not of shape (n, 3, height, width), or leave [0, 1].
    """
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"{name} have the shape {tuple(images.shape)}; expected is (n, 3, h, w)")
    if not len(images):
        raise ValueError(f"there are no {name}")
    if images.dtype == torch.uint8:
        return images.float() / 255
    if not images.is_floating_point():
        raise ValueError(f"{name} are {images.dtype}; expected are uint8 or floats in [0, 1]")
    low, high = float(images.min()), float(images.max())
    if not (low >= 0 and high <= 1):
        raise ValueError(f"{name} have pixels from {low!r} to {high!r}; expected are 0 to 1")
    return images.float()


def _too_small(images: Tensor) -> dict[str, str]:
    side = min(images.shape[2:])
    if side >= VIF_SMALLEST_SIDE:
        return {}
    return {"vif": f"not computed: images of {side} pixels; VIF needs {VIF_SMALLEST_SIDE} or more"}


def _set_rows(
    names: tuple[str, str, str], features: Tensor, photographs: NDArray[np.intp]
) -> list[Row]:
    """Return the distances between the sets; features are (metamers and references, n, d)."""
    metamers, references = features.numpy()
    number = int(photographs.max()) + 1
    if number < 2:
        return [_row(None, name, math.nan, "not computed: a set of one image") for name in names]
    sets = (references, metamers)
    values = (
        frechet.frechet_distance(*sets),
        frechet.kernel_distance(*sets, photographs=photographs),
    )
    rows = [_row(None, name, value) for name, value in zip(names[:2], values, strict=True)]
    if number < SMALLEST_WITH_INTERVAL:
        few = f"not computed: {number} images; halves need {SMALLEST_WITH_INTERVAL}"
        return [*rows, _row(None, names[2], math.nan, few)]
    floor = _row(None, names[2], frechet.frechet_floor(references, photographs=photographs))
    ends = (
        frechet.frechet_interval(*sets, photographs=photographs),
        frechet.kernel_distance_interval(*sets, photographs=photographs),
    )
    return [
        *(row | {"low": e[0], "high": e[1]} for row, e in zip(rows, ends, strict=True)),
        floor,
    ]


def _row(image: str | None, name: str, value: float, status: str | None = None) -> Row:
    finite = math.isfinite(value)
    if status is None:
        status = COMPUTED if finite else UNDEFINED.get(name, f"undefined: {value}")
    return {
        "image_id": image,
        "measure": name,
        "value": value if finite else None,
        "low": None,
        "high": None,
        "status": status,
    }
