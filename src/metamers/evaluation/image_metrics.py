"""Image metrics of many conditions, each computed once."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from metamers.evaluation.evaluators import ConditionImages
from metamers.evaluation.metrics import compute, learned
from metamers.models.classifier import load_pretrained
from metamers.models.zoo import ModelSpec
from metamers.storage.cache import ResultCache

BATCH_SIZE = 8


def measure(
    subjects: Sequence[ConditionImages],
    networks: Sequence[Mapping[str, Any]],
    contents: Mapping[str, Mapping[str, Any]],
    store: ResultCache,
    cache: Path,
    device: torch.device,
    revision: int,
    further: Sequence[str] = (),
) -> pd.DataFrame:
    """Return the rows of table ``image_metrics`` for some conditions.

    Parameters
    ----------
    subjects
        The conditions.
    networks
        Rows of the zoo whose features serve for Fréchet, kernel and perceptual distances.
    contents
        What decides a network's features, by name (`metamers.models.weights.survey.contents`).
    store
        What it has is taken from it.
    cache
        Folder of weights, those of LPIPS, FID and CLIP-IQA among them.
    further
        Metrics of pyiqa, as ``pyiqa:gmsd``.
    """
    layers = _layers(networks, cache, device)
    tools = compute.instruments(cache, layers, device=device, further=further)
    made_with = {
        "metrics": sorted(tools.metrics),
        "missing": sorted(tools.missing),
        "networks": [dict(contents[row["name"]]) for row in networks],
    }
    parts = []
    for subject in subjects:
        key = subject.key(made_with, revision, seed=0)
        if not store.has(key):
            logging.info("%s", subject.condition)
            frame = compute.measure(
                subject.metamers.pixels,
                subject.reference_pixels,
                subject.metamers.image_ids,
                tools,
                device=device,
                batch_size=BATCH_SIZE,
            )
            store.put(key, {"image_metrics": frame.assign(**subject.condition.columns())})
        parts.append(store.get(key)["image_metrics"])
    return pd.concat(parts, ignore_index=True)


def _layers(
    networks: Sequence[Mapping[str, Any]], cache: Path, device: torch.device
) -> dict[str, learned.Layers]:
    found = {}
    for row in networks:
        spec = ModelSpec.of(row)
        classifier = load_pretrained(spec, cache).to(device)
        found[spec.name] = learned.classifier_layers(classifier, spec)
    return found
