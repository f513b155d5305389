"""What a model makes of the reference images: its answers or, without a head, activations."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from metamers.evaluation.accuracy import AccuracyError, require_different
from metamers.evaluation.evaluators import Evaluator, answers
from metamers.evaluation.similarity.activations import ReferenceDistances
from metamers.storage import raw_tables


def predict_references(
    evaluators: Sequence[Mapping[str, Any]],
    references: Mapping[str, tuple[Sequence[str], Tensor]],
    depths: Mapping[str, float],
    cache: Path,
    device: torch.device,
    batch_size: int,
    chunk_size: int,
) -> pd.DataFrame:
    """Return what each evaluator says of the reference images of each draw.

    One without a head answers nothing. It has no row; its activations at the stages must differ
    from reference to reference instead.

    Parameters
    ----------
    depths
        Fraction of the depth of each stage.

    Raises
    ------
    AccuracyError
        If activations of one without a head are alike, wholly zero or not finite.
    """
    parts = [pd.DataFrame(columns=raw_tables.REFERENCE_PREDICTIONS.schema.names)]
    for row in evaluators:
        evaluator = Evaluator.load(row, cache, device, batch_size, chunk_size)
        for name, (ids, pixels) in references.items():
            if evaluator.spec.has_head:
                frame = answers(evaluator.predict(pixels), ids, row["name"])
                parts.append(frame.assign(references=name))
            else:
                _require_different_activations(evaluator, ids, pixels, depths)
    return pd.concat(parts[1:] or parts, ignore_index=True)


def _require_different_activations(
    evaluator: Evaluator, ids: Sequence[str], pixels: Tensor, depths: Mapping[str, float]
) -> None:
    name = evaluator.spec.name
    logging.info("%s has no head: recognition leaves it out", name)
    for stage, depth in depths.items():
        try:
            source = evaluator.activations(pixels, evaluator.module_at(stage, depth))
            apart = ReferenceDistances.measure(source, ids).null.relative_l2
        except ValueError as error:
            raise AccuracyError(f"model {name!r}, stage {stage!r}: {error}") from error
        require_different(name, stage, apart)
