"""What a model's numbers are held against: unrelated images, and references mildly changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from metamers import bootstrap
from metamers.evaluation.evaluators import Evaluator, answers
from metamers.evaluation.similarity.activations import ReferenceDistances
from metamers.images import crops
from metamers.storage.columns import ANSWERS

Images = tuple[Sequence[str], Tensor]

CROP = 0.9  # of the side that is kept
JPEG_QUALITY = 75


def cropped(pixels: Tensor) -> Tensor:
    """Return the middle of images, 0.9 of their side, in their size."""
    side = pixels.shape[-1]
    kept = round(CROP * side)
    inner = functional.center_crop(pixels, [kept, kept])
    return functional.resize(inner, [side, side], antialias=True)


def compressed(pixels: Tensor) -> Tensor:
    """Return images as JPEG of quality 75 gives them back."""
    return torch.stack([functional.jpeg(image, JPEG_QUALITY) for image in pixels])


CHANGED = {"crop": cropped, "flip": functional.horizontal_flip, "jpeg": compressed}
"""What is done to references, by its name in `metamers.storage.columns.CHANGES`."""


def measure(
    models: Sequence[Mapping[str, Any]],
    pool: Images,
    references: Mapping[str, Images],
    depths: Mapping[str, float],
    cache: Path,
    device: torch.device,
    batch_size: int,
    chunk_size: int,
) -> dict[str, pd.DataFrame]:
    """Return the tables ``null_distribution`` and ``ceiling`` of some models, by name.

    One without a head gives no answers, and has no ceiling.

    Parameters
    ----------
    models
        Rows of the zoo.
    pool
        Ids and pixels of images that are no references (`metamers.images.null_pool`).
    references
        The same of each draw of references.
    depths
        Fraction of the depth of each stage.
    """
    nulls: list[dict[str, Any]] = []
    ceilings: list[dict[str, Any]] = []
    for row in models:
        evaluator = Evaluator.load(row, cache, device, batch_size, chunk_size)
        nulls += [
            {"model": row["name"], "stage": stage} | null(evaluator, *pool, stage, depth)
            for stage, depth in depths.items()
        ]
        for name, (ids, pixels) in references.items() if evaluator.spec.has_head else ():
            found = ceiling(evaluator, ids, pixels)
            ceilings += [{"references": name, "evaluator": row["name"]} | part for part in found]
    return {"null_distribution": pd.DataFrame(nulls), "ceiling": pd.DataFrame(ceilings)}


def null(
    evaluator: Evaluator, ids: Sequence[str], pixels: Tensor, stage: str, depth: float
) -> dict[str, Any]:
    """Return how alike unrelated images are at a stage: columns of ``null_distribution``.

    Crops of one photograph are not unrelated. Of correlations that are not defined (all
    activations of an image equal) none counts.
    """
    module = evaluator.module_at(stage, depth)
    found = ReferenceDistances.measure(evaluator.activations(pixels, module), ids).null
    alike, ratios = found.spearman, found.snr
    return {
        "n_images": len(ids),
        "n_photographs": len(set(crops.photographs(ids).tolist())),
        "n_pairs": ratios.size,
        "spearman": float(alike[-1]) if alike.size else None,
        "snr": float(ratios[-1]),
        "spearman_median": float(np.median(alike)) if alike.size else None,
        "snr_median": float(np.median(ratios)),
    }


def ceiling(evaluator: Evaluator, ids: Sequence[str], pixels: Tensor) -> Iterator[dict[str, Any]]:
    """Yield how often a model answers as before to references that are changed."""
    before = answers(evaluator.predict(pixels), ids, evaluator.spec.name)
    photograph = crops.photographs(ids)
    for change, apply in CHANGED.items():
        after = answers(evaluator.predict(apply(pixels)), ids, evaluator.spec.name)
        for label_space, column in ANSWERS.items():
            same = pd.Series((after[column] == before[column]).to_numpy(dtype=float))
            shares = same.groupby(photograph).mean()
            low, high = bootstrap.wilson_interval(shares.sum(), len(shares))
            yield {
                "change": change,
                "label_space": label_space,
                "n_images": len(ids),
                "agreement": float(same.mean()),
                "low": float(low),
                "high": float(high),
            }
