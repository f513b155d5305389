"""What evaluators make of references and metamers: answers, and distances of activations."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from metamers.config.plan import Condition
from metamers.evaluation.similarity import distances
from metamers.evaluation.similarity.activations import ReferenceDistances, at_another_stage, compare
from metamers.evaluation.similarity.densities import BITS, Convention
from metamers.evaluation.similarity.distances import Source
from metamers.images import classes
from metamers.images import references as images
from metamers.models import classifier as classifiers
from metamers.models import stages
from metamers.models.classifier import load_pretrained
from metamers.models.zoo import ModelSpec
from metamers.storage import metamers as metamer_files
from metamers.storage import provenance
from metamers.storage.cache import ResultCache
from metamers.storage.metamers import Metamers
from metamers.synthesis.chunks import pad, whole_chunks

SUCCESS_RESTS_ON = ("predictions", "likeness")
"""Tables that a member gives of its own sets even if it is no evaluator."""


@dataclass(frozen=True)
class Evaluator:
    """A network that judges images, and where its stages are."""

    spec: ModelSpec
    classifier: classifiers.Classifier
    device: torch.device
    batch_size: int
    chunk_size: int

    @classmethod
    def load(
        cls,
        row: Mapping[str, Any],
        cache: Path,
        device: torch.device,
        batch_size: int,
        chunk_size: int,
    ) -> Evaluator:
        """Load the model of a row of the zoo."""
        spec = ModelSpec.of(row)
        classifier = load_pretrained(spec, cache).to(device)
        return cls(spec, classifier, device, batch_size, chunk_size)

    def module_at(self, stage: str, depth: float) -> str:
        """Return the module that is a stage, at a fraction of the depth."""
        return stages.module_at(self.classifier.network, self.spec, stage, depth)

    def probabilities_and_activations(
        self, pixels: Tensor, module: str
    ) -> tuple[np.ndarray, Source]:
        """Return class probabilities, ``(n, 1000)``, and a source of a module's activations.

        The activations are those of `activations`, from one pass of the images.
        """
        keep = self._fit(pixels, module)
        probabilities, kept = [], []
        with torch.inference_mode():
            for chunk in self._chunks(pixels):
                with stages.ActivationRecorder(self.classifier, module) as listener:
                    probabilities.append(self._probabilities(chunk))
                if keep:
                    kept.append(stages.as_vectors(torch.as_tensor(listener.activation)).float())
        source = (
            distances.as_source(torch.cat(kept)[: len(pixels)])
            if keep
            else lambda start, stop: self._activations(pixels[start:stop], module)
        )
        return np.concatenate(probabilities)[: len(pixels)], source

    def activations(self, pixels: Tensor, module: str) -> Source:
        """Return a source of a module's activations.

        They are kept where they fit into `distances.BUDGET`, and computed again for each block of
        images elsewhere. ``pixels`` are ``(n, 3, side, side)``, uint8.
        """
        if self._fit(pixels, module):
            return distances.as_source(self._activations(pixels, module))
        return lambda start, stop: self._activations(pixels[start:stop], module)

    def _fit(self, pixels: Tensor, module: str) -> bool:
        with torch.inference_mode():
            probe = self._activations(pixels[:1], module)[0]
        return distances.fits(len(pixels), probe)

    def predict(self, pixels: Tensor) -> np.ndarray:
        """Return class probabilities, ``(n, 1000)``, of a network with a head."""
        with torch.inference_mode():
            found = [self._probabilities(chunk) for chunk in self._chunks(pixels)]
        return np.concatenate(found)[: len(pixels)]

    def _probabilities(self, images: Tensor) -> np.ndarray:
        logits = self.classifier(images)
        return torch.softmax(logits.double(), dim=1).cpu().numpy()

    def _activations(self, pixels: Tensor, module: str) -> Tensor:
        features = stages.Features(self.classifier, module)
        with torch.inference_mode():
            found = [stages.as_vectors(features(c)).float() for c in self._chunks(pixels)]
        return torch.cat(found)[: len(pixels)]

    def _chunks(self, pixels: Tensor) -> Iterator[Tensor]:
        """Yield chunks of images in [0, 1]; the last is filled up by repeating images.

        A batch of them is on the device at a time.
        """
        for batch in pixels.split(whole_chunks(self.batch_size, self.chunk_size)):
            images = pad(batch.to(self.device), self.chunk_size).float() / 255
            yield from images.split(self.chunk_size)


@dataclass(frozen=True)
class ConditionImages:
    """A condition's metamers with their references, ready to be judged.

    Attributes
    ----------
    reference_pixels
        In the order of the metamers.
    depth
        Fraction of the depth that was inverted.
    with_power
        Whether the divergences of fewer images are wanted too (kind ``power``).
    similarities
        Which of the tables ``shared_invariance`` and ``cross_stage`` are wanted too.
    other_depths
        Fraction of the depth of every stage, for ``cross_stage``.
    convention
        Of divergences.
    """

    condition: Condition
    metamers: Metamers
    reference_pixels: Tensor
    depth: float
    with_power: bool = False
    similarities: tuple[str, ...] = ()
    other_depths: Mapping[str, float] = field(default_factory=dict)
    convention: Convention = BITS

    def key(self, made_with: Mapping[str, Any], revision: int, seed: int) -> str:
        """Return what this condition's results by one evaluator are known by."""
        return provenance.digest(
            [
                metamer_files.content_digest(self.metamers),
                self.condition.columns(),
                hashlib.sha256(self.reference_pixels.contiguous().numpy().tobytes()).hexdigest(),
                dict(made_with),
                self.depth,
                self.with_power,
                revision,
                seed,
                *self._further(),
            ]
        )

    def _further(self) -> list[Any]:
        """Return what further similarities and another convention add; nothing, without them."""
        across = dict(self.other_depths) if "cross_stage" in self.similarities else {}
        found: list[Any] = [list(self.similarities), across] if self.similarities else []
        return found if self.convention == BITS else [*found, asdict(self.convention)]


def subjects(
    conditions: Sequence[str],
    metamer_paths: Sequence[str],
    reference_paths: Mapping[str, str],
    depths: Mapping[str, float],
    n_shards: int,
    with_power: Collection[str] = (),
    similarities: Sequence[str] = (),
    convention: Convention = BITS,
) -> list[ConditionImages]:
    """Read the metamers of some conditions, with their references.

    Parameters
    ----------
    conditions
        As paths (`metamers.config.plan.Condition.parse`).
    metamer_paths
        Files of the shards of the first condition, then those of the next.
    reference_paths
        File of each draw of reference images.
    depths
        Fraction of the depth of each stage; those that are missing are not used.
    with_power
        The conditions, as paths, that are of an experiment of kind ``power``.
    similarities
        Further tables that are wanted: ``shared_invariance``, ``cross_stage``.
    convention
        Of divergences.
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
        found.append(
            ConditionImages(
                condition,
                metamers,
                pixels[rows],
                depth,
                path in with_power,
                tuple(similarities),
                dict(depths),
                convention,
            )
        )
    return found


def answers(probabilities: np.ndarray, image_ids: Sequence[str], evaluator: str) -> pd.DataFrame:
    """Return the columns of the tables of predictions for one evaluator."""
    top, shares = classes.most_probable(probabilities)
    return pd.DataFrame(
        {
            "image_id": list(image_ids),
            "evaluator": evaluator,
            "predicted": top[:, 0],
            "probability": shares[:, 0],
            "top5": top.tolist(),
            "top5_probability": shares.tolist(),
            "category_mean": classes.mean_category(probabilities),
            "category_first": classes.first_category(probabilities),
        }
    )


def evaluate(
    subjects: Sequence[ConditionImages],
    evaluators: Sequence[Mapping[str, Any]],
    contents: Mapping[str, Mapping[str, Any]],
    store: ResultCache,
    cache: Path,
    device: torch.device,
    batch_size: int,
    chunk_size: int,
    revision: int,
    seed: int,
    members_only: Collection[str] = (),
) -> dict[str, pd.DataFrame]:
    """Return the tables that evaluators give of some conditions, by name.

    They are ``predictions``, ``similarity``, ``likeness`` and ``power``, and where they are wanted
    ``geometry`` and ``cross_stage``. One without a head makes no predictions; a member that is no
    evaluator judges its own sets, and gives predictions and likeness, which tell its success.

    What the store has is taken from it; only the rest is computed, and a model that is not
    needed is not loaded. ``contents`` says by name what decides a model's answers, its weights
    included (`metamers.models.weights.survey.contents`), and ``members_only`` names the models
    that are no evaluators.
    """
    parts: dict[str, list[pd.DataFrame]] = {}
    for row in evaluators:
        name, own = row["name"], list(subjects)
        if name in members_only:
            own = [subject for subject in subjects if name in subject.metamers.models]
        made_with = dict(contents[name]) | {"chunk_size": chunk_size}
        missing = [s for s in own if not store.has(s.key(made_with, revision, seed))]
        logging.info("%s: %d of %d conditions to judge", name, len(missing), len(own))
        if missing:
            evaluator = Evaluator.load(row, cache, device, batch_size, chunk_size)
            for subject, frames in evaluate_conditions(evaluator, missing, seed):
                store.put(subject.key(made_with, revision, seed), frames)
        for subject in own:
            for table, frame in store.get(subject.key(made_with, revision, seed)).items():
                if name not in members_only or table in SUCCESS_RESTS_ON:
                    parts.setdefault(table, []).append(frame)
    return {table: pd.concat(frames, ignore_index=True) for table, frames in parts.items()}


def evaluate_conditions(
    evaluator: Evaluator, subjects: Sequence[ConditionImages], seed: int
) -> Iterator[tuple[ConditionImages, dict[str, pd.DataFrame]]]:
    """Yield each condition with its answers, divergences, likeness and power, by one evaluator.

    Conditions of one stage and one draw share what the references give.
    """
    held: Held = {}
    for subject in sorted(subjects, key=lambda s: (s.condition.references, s.condition.stage)):
        module = evaluator.module_at(subject.condition.stage, subject.depth)
        references = _references(evaluator, subject, module, held)
        predictions, source = _look(evaluator, subject.metamers, module)
        found = compare(
            references,
            source,
            subject.metamers.image_ids,
            seed,
            with_power=subject.with_power,
            with_geometry="shared_invariance" in subject.similarities,
            convention=subject.convention,
        )
        if "cross_stage" in subject.similarities:
            found["cross_stage"] = _cross_stage(evaluator, subject, held, seed)
        found |= predictions
        columns = subject.condition.columns() | {"evaluator": evaluator.spec.name}
        member = evaluator.spec.name in subject.metamers.models
        yield (
            subject,
            {
                name: frame.assign(
                    **columns, **({} if name == "predictions" else {"member": member})
                )
                for name, frame in found.items()
            },
        )


def _look(
    evaluator: Evaluator, metamers: Metamers, module: str
) -> tuple[dict[str, pd.DataFrame], Source]:
    """Return the table `predictions`, if the evaluator has a head, and activations."""
    if not evaluator.spec.has_head:
        return {}, evaluator.activations(metamers.pixels, module)
    probabilities, source = evaluator.probabilities_and_activations(metamers.pixels, module)
    found = answers(probabilities, metamers.image_ids, evaluator.spec.name)
    return {"predictions": found.drop(columns="evaluator")}, source


Held = dict[tuple[Any, ...], ReferenceDistances]
"""What references give, by draw, images and module."""


def _references(
    evaluator: Evaluator, subject: ConditionImages, module: str, held: Held
) -> ReferenceDistances:
    """Return what the references give at a module, and hold it for the next condition.

    Held are the stages of one draw where all are wanted, and one stage elsewhere.
    """
    shared = (subject.condition.references, tuple(subject.metamers.image_ids), module)
    if shared not in held:
        same = all(key[:2] == shared[:2] for key in held)
        if not same or "cross_stage" not in subject.similarities:
            held.clear()
        source = evaluator.activations(subject.reference_pixels, module)
        held[shared] = ReferenceDistances.measure(source, subject.metamers.image_ids)
    return held[shared]


def _cross_stage(
    evaluator: Evaluator, subject: ConditionImages, held: Held, seed: int
) -> pd.DataFrame:
    """Return the rows of the table `cross_stage`: the activations at every stage."""
    rows = []
    for stage, depth in subject.other_depths.items():
        module = evaluator.module_at(stage, depth)
        references = _references(evaluator, subject, module, held)
        source = evaluator.activations(subject.metamers.pixels, module)
        ids = subject.metamers.image_ids
        rows.append({"judged_stage": stage} | at_another_stage(references, source, ids, seed))
    return pd.DataFrame(rows)
