"""What a synthesis job hands over: metamers with all that made them, and how it went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from metamers.execution.batching import Finished, Progress
from metamers.execution.settings import ExecutionSettings
from metamers.execution.spec import SynthesisSpec
from metamers.storage import provenance, raw_tables
from metamers.storage.metamers import PER_IMAGE, Metamers
from metamers.synthesis.gradient_agreement import pairs
from metamers.synthesis.settings import SynthesisSettings
from metamers.synthesis.solver import to_8_bits


@dataclass(frozen=True)
class SynthesisOutputs:
    """What a job hands over: the metamers of a shard, and the rows of two tables.

    Attributes
    ----------
    metamers
        In the order of the shard's images.
    trace
        Of table ``traces``.
    agreement
        Of table ``gradient_agreement``; none unless the recipe asks for them.
    """

    metamers: Metamers
    trace: pd.DataFrame
    agreement: pd.DataFrame


def join_batches(
    spec: SynthesisSpec,
    engine: ExecutionSettings,
    progress: Progress,
    ids: Sequence[str],
    digest: str,
    weights: Mapping[str, str],
    modules: Mapping[str, str],
) -> Metamers:
    """Return the metamers of a finished job, in the order of its images.

    Parameters
    ----------
    spec, engine
        What was done, and how.
    progress
        Of which all batches are finished.
    ids
        Of the images.
    digest, weights
        Of the job, and of each model's weights.
    modules
        Of each model, the name of the module whose output is matched.
    """
    order = np.argsort(np.concatenate([part.rows for part in progress.finished]))
    parts = [part.synthesis for part in progress.finished]
    floats = torch.cat([part.metamers for part in parts])[torch.from_numpy(order)]
    arrays = {
        name: np.concatenate([getattr(part, name) for part in parts])[order] for name in PER_IMAGE
    }
    made = {"job": digest, "weights": dict(weights), "modules": dict(modules)}
    return Metamers(
        image_ids=list(ids),
        models=[row["name"] for row in spec.models],
        floats=floats,
        pixels=to_8_bits(floats),
        notes=_notes(spec, engine, progress) | made,
        **arrays,
    )


def _notes(spec: SynthesisSpec, engine: ExecutionSettings, progress: Progress) -> dict[str, Any]:
    return {
        "condition": spec.condition.columns(),
        "settings": SynthesisSettings.of(spec.recipe).stamp(),
        "bound": dict(spec.bound),
        "depth": spec.depth,
        "seed": spec.seed,
        "revision": spec.revision,
        **provenance.versions(),
        "torch": torch.__version__,
        "engine": engine.reproducibility_settings(),
        "choices": progress.choices and progress.choices.plain(),
        "batches": sorted(len(part.rows) for part in progress.finished),
        "device": ", then ".join(progress.devices),
    }


def trace(spec: SynthesisSpec, progress: Progress, ids: Sequence[str]) -> pd.DataFrame:
    """Return the rows of table ``traces``: an image's loss at the end of each turn."""
    names = np.array([row["name"] for row in spec.models], dtype=object)
    parts = [_trace(part, ids, names) for part in progress.finished]
    frame = pd.concat(parts, ignore_index=True)
    for name, value in spec.condition.columns().items():
        frame[name] = value
    return frame


def _trace(part: Finished, ids: Sequence[str], names: np.ndarray) -> pd.DataFrame:
    records, n_images = part.synthesis.records, len(part.rows)

    def per_record(values: Sequence[float]) -> np.ndarray:
        return np.repeat(np.asarray(values), n_images)

    frame = pd.DataFrame(
        {
            "image_id": np.tile(np.array([ids[row] for row in part.rows], object), len(records)),
            "turn": per_record([record.turn for record in records]),
            "step": per_record([record.step for record in records]),
            "model": names[np.concatenate([record.models for record in records])],
            "loss": np.concatenate([record.losses for record in records]).astype(np.float64),
            "rate": per_record([record.rate for record in records]),
        }
    )
    return frame.dropna(subset="loss")  # of images that had reached their target before


def gradient_agreement(spec: SynthesisSpec, progress: Progress, ids: Sequence[str]) -> pd.DataFrame:
    """Return the rows of table ``gradient_agreement``: cosines of two models' gradients."""
    names = [row["name"] for row in spec.models]
    rows = [
        spec.condition.columns()
        | {"image_id": ids[row], "turn": one.turn, "step": one.step}
        | {"model": names[pair[0]], "other": names[pair[1]], "cosine": float(cosine)}
        for part in progress.finished
        for one in part.synthesis.agreements
        for pair, cosines in zip(pairs(len(names)), one.cosines, strict=True)
        for row, cosine in zip(part.rows, cosines, strict=True)
        if not np.isnan(cosine)
    ]
    return pd.DataFrame(rows, columns=raw_tables.GRADIENT_AGREEMENT.schema.names)
