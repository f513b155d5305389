"""What evaluators make of references and metamers: answers, and distances of activations."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from metamers import (
    classes,
    classifiers,
    images,
    metamer_files,
    pretrained,
    provenance,
    similarity,
    stages,
)
from metamers.metamer_files import Metamers
from metamers.plan import Condition
from metamers.store import Store
from metamers.zoo import ModelSpec


@dataclass(frozen=True)
class Evaluator:
    """A classifier that judges images, and where its stages are."""

    spec: ModelSpec
    classifier: classifiers.Classifier
    device: torch.device
    batch_size: int

    @classmethod
    def of(
        cls, row: Mapping[str, Any], cache: Path, device: torch.device, batch_size: int
    ) -> Evaluator:
        """Load the model of a row of the zoo."""
        spec = ModelSpec.of(row)
        return cls(spec, pretrained.classifier(spec, cache).to(device), device, batch_size)

    def look(self, pixels: Tensor, module: str | None) -> tuple[np.ndarray, np.ndarray | None]:
        """Return class probabilities, ``(n, 1000)``, and the activations of a module, by image.

        ``pixels`` are ``(n, 3, side, side)``, uint8.
        """
        probabilities, activations = [], []
        with torch.inference_mode():
            for batch in _batches(pixels, self.batch_size):
                floats = batch.to(self.device).float() / 255
                if module is None:
                    logits = self.classifier(floats)
                else:
                    with stages.Listener(self.classifier, module) as listener:
                        logits = self.classifier(floats)
                    activation = stages.as_vectors(torch.as_tensor(listener.activation))
                    activations.append(activation.float().cpu().numpy())
                probabilities.append(torch.softmax(logits.double(), dim=1).cpu().numpy())
        return (
            np.concatenate(probabilities)[: len(pixels)],
            np.concatenate(activations)[: len(pixels)] if activations else None,
        )


@dataclass(frozen=True)
class Subject:
    """A condition's metamers with their references, ready to be judged.

    ``reference_pixels`` are in the order of the metamers.
    """

    condition: Condition
    metamers: Metamers
    reference_pixels: Tensor
    depth: float

    def key(self, evaluator: Mapping[str, Any], revision: int) -> str:
        """Return what this condition's results by one evaluator are known by."""
        return provenance.digest(
            [
                metamer_files.content_digest(self.metamers),
                self.condition.columns(),
                int(self.reference_pixels.to(torch.int64).sum()),
                dict(evaluator),
                self.depth,
                revision,
            ]
        )


def subjects(
    conditions: Sequence[str],
    metamer_paths: Sequence[str],
    reference_paths: Mapping[str, str],
    depths: Mapping[str, float],
    n_shards: int,
) -> list[Subject]:
    """Read the metamers of some conditions, with their references.

    Parameters
    ----------
    conditions
        As paths (`metamers.plan.Condition.parse`).
    metamer_paths
        Files of the shards of the first condition, then those of the next.
    reference_paths
        File of each draw of reference images.
    depths
        Fraction of the depth of each stage; those that are missing are not used.
    """
    draws = {name: images.load(path) for name, path in reference_paths.items()}
    found = []
    for index, path in enumerate(conditions):
        condition = Condition.parse(path)
        shards = metamer_paths[index * n_shards : (index + 1) * n_shards]
        metamers = metamer_files.load(list(shards))
        ids, pixels = draws[condition.references]
        rows = [ids.index(image_id) for image_id in metamers.image_ids]
        depth = depths.get(condition.stage, 0.0)
        found.append(Subject(condition, metamers, pixels[rows], depth))
    return found


def answers(probabilities: np.ndarray, image_ids: Sequence[str], evaluator: str) -> pd.DataFrame:
    """Return the columns of the tables of predictions for one evaluator."""
    predicted = probabilities.argmax(axis=1)
    return pd.DataFrame(
        {
            "image_id": list(image_ids),
            "evaluator": evaluator,
            "predicted": predicted,
            "probability": probabilities[np.arange(len(predicted)), predicted],
            "category_mean": classes.mean_category(probabilities),
            "category_first": classes.first_category(probabilities),
        }
    )


def predict_references(
    evaluators: Sequence[Mapping[str, Any]],
    references: Mapping[str, tuple[Sequence[str], Tensor]],
    cache: Path,
    device: torch.device,
    batch_size: int,
) -> pd.DataFrame:
    """Return what each evaluator says of the reference images of each draw."""
    parts = []
    for row in evaluators:
        evaluator = Evaluator.of(row, cache, device, batch_size)
        for name, (ids, pixels) in references.items():
            probabilities, _ = evaluator.look(pixels, None)
            frame = answers(probabilities, ids, row["name"])
            parts.append(frame.assign(references=name))
    return pd.concat(parts, ignore_index=True)


def evaluate(
    subjects: Sequence[Subject],
    evaluators: Sequence[Mapping[str, Any]],
    store: Store,
    cache: Path,
    device: torch.device,
    batch_size: int,
    revision: int,
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the tables ``predictions`` and ``similarity`` of some conditions and evaluators.

    What the store has is taken from it; only the rest is computed, and a model that is not
    needed is not loaded.
    """
    predictions, divergences = [], []
    for row in evaluators:
        missing = [s for s in subjects if not store.has(s.key(row, revision))]
        logging.info("%s: %d of %d conditions to judge", row["name"], len(missing), len(subjects))
        if missing:
            evaluator = Evaluator.of(row, cache, device, batch_size)
            for subject, frames in judge(evaluator, missing, seed):
                store.put(subject.key(row, revision), frames)
        for subject in subjects:
            frames = store.get(subject.key(row, revision))
            predictions.append(frames["predictions"])
            divergences.append(frames["similarity"])
    return pd.concat(predictions, ignore_index=True), pd.concat(divergences, ignore_index=True)


def judge(
    evaluator: Evaluator, subjects: Sequence[Subject], seed: int
) -> Iterator[tuple[Subject, dict[str, pd.DataFrame]]]:
    """Yield each condition with its answers and divergences, by one evaluator.

    Conditions of one stage and one draw share the references' activations.
    """
    name = evaluator.spec.name
    held: tuple[Any, np.ndarray] | None = None
    order = sorted(subjects, key=lambda s: (s.condition.references, s.condition.stage))
    for subject in order:
        network = evaluator.classifier.network
        module = stages.module_at(network, evaluator.spec, subject.condition.stage, subject.depth)
        shared = (subject.condition.references, module, tuple(subject.metamers.image_ids))
        if held is None or held[0] != shared:
            _, activations = evaluator.look(subject.reference_pixels, module)
            held = (shared, np.asarray(activations))
        probabilities, activations = evaluator.look(subject.metamers.pixels, module)
        columns = subject.condition.columns()
        rows = [
            columns | {"evaluator": name, "member": name in subject.metamers.models} | asdict(c)
            for c in similarity.compare(held[1], np.asarray(activations), seed=seed)
        ]
        frame = answers(probabilities, subject.metamers.image_ids, name).assign(**columns)
        yield subject, {"predictions": frame, "similarity": pd.DataFrame(rows)}


def _batches(pixels: Tensor, batch_size: int) -> Iterator[Tensor]:
    """Yield batches, the last padded to two images: one alone takes other kernels."""
    for batch in pixels.split(batch_size):
        yield batch if len(batch) > 1 else batch.repeat(2, 1, 1, 1)
