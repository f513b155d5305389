"""A synthesis job: the models of a set, the images of a shard, batches, and progress kept."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from metamers.execution import devices, outputs, precision
from metamers.execution.batching import split
from metamers.execution.checkpoints import Checkpoint
from metamers.execution.device_ensemble import Features
from metamers.execution.devices import device_of
from metamers.execution.outputs import SynthesisOutputs
from metamers.execution.settings import ExecutionSettings
from metamers.execution.shifts import BatchRun
from metamers.execution.spec import SynthesisSpec, content_digest
from metamers.models import batch_norm, stages
from metamers.models.classifier import Classifier, load_pretrained
from metamers.models.zoo import ModelSpec
from metamers.synthesis.settings import SynthesisSettings

__all__ = [
    "ExecutionSettings",
    "SynthesisSpec",
    "deal",
    "device_of",
    "prepare_features",
    "run",
    "split",
]


def deal(image_ids: Sequence[str], shard: str) -> list[int]:
    """Return which images belong to a shard: every n-th, from the shard's own number."""
    index, count = (int(part) for part in shard.split("-of-"))
    return list(range(index, len(image_ids), count))


def prepare_features(
    spec: ModelSpec,
    stage: str,
    depth: float,
    engine: ExecutionSettings,
    cache: Path,
    images: Tensor,
    identity_relu: bool,
) -> Features:
    """Return a model's function from images to the stage's activation, on the device.

    For one model on its own; a job has a `metamers.execution.device_ensemble.DeviceEnsemble`. What
    float32 means on a GPU is set for the process (`metamers.execution.precision.prepare`).
    """
    classifier = load_pretrained(spec, cache)
    features = _features(classifier, spec, stage, depth, engine, images, identity_relu)
    precision.prepare(engine.precision, engine.torch_device())
    classifier.to(engine.torch_device()).to(memory_format=engine.memory_format)
    return features


def _features(
    classifier: Classifier,
    spec: ModelSpec,
    stage: str,
    depth: float,
    engine: ExecutionSettings,
    images: Tensor,
    identity_relu: bool,
) -> Features:
    module = stages.module_at(classifier.network, spec, stage, depth)
    if engine.fold_batch_norm:
        folded = batch_norm.fold(
            classifier, images[: engine.chunk_size].cpu(), keep=f"network.{module}"
        )
        logging.info("%s: %d batch normalisations folded", spec.name, folded)
    logging.info("%s: %s is %s", spec.name, stage, module)
    features = stages.Features(classifier, module, identity_relu)
    return precision.Bfloat16Features(features) if engine.precision == "bf16" else features


def run(
    work: SynthesisSpec,
    engine: ExecutionSettings,
    image_ids: Sequence[str],
    pixels: Tensor,
    cache: Path,
    checkpoint_path: Path,
) -> SynthesisOutputs:
    """Make the metamers of a shard.

    On a GPU, the job waits for one that no other job of this machine has.

    Parameters
    ----------
    work, engine
        What is to be done, and how.
    image_ids, pixels
        All reference images, of which the shard's are taken: uint8, ``(n, 3, side, side)``.
    cache
        Folder of the weights.
    checkpoint_path
        Where progress is kept until the job is done (`metamers.execution.checkpoints.remove`).

    Raises
    ------
    FloatingPointError
        If a loss or a pixel is no finite number; the progress before it is in the checkpoint.
    metamers.synthesis.solver.Interrupted
        After SIGTERM or SIGINT; the progress is then in the checkpoint.
    """
    mine = deal(image_ids, work.shard)
    ids, references = [image_ids[i] for i in mine], pixels[mine]
    with devices.acquire_device(engine.device) as device:
        precision.prepare(engine.precision, device)
        engine = replace(engine, device=str(device))
        images = references.float() / 255
        features, weights = _load(work, engine, images, cache)
        digest = work.digest(engine, references, ids, weights)
        checkpoint = Checkpoint(checkpoint_path, digest)
        shift = BatchRun.begin(work, engine, features, images, ids, checkpoint)
        shift.finish()
    return SynthesisOutputs(
        outputs.join_batches(work, engine, shift.progress, ids, digest, weights),
        outputs.trace(work, shift.progress, ids),
        outputs.gradient_agreement(work, shift.progress, ids),
    )


def _load(
    work: SynthesisSpec, engine: ExecutionSettings, images: Tensor, cache: Path
) -> tuple[dict[str, Features], dict[str, str]]:
    """Return the set's features, on the host, and the hashes of their weights."""
    features, weights = {}, {}
    identity_relu = SynthesisSettings.of(work.recipe).target_relu == "identity_gradient"
    for row in work.models:
        spec = ModelSpec.of(row)
        classifier = load_pretrained(spec, cache)
        weights[spec.name] = content_digest(classifier)
        features[spec.name] = _features(
            classifier, spec, work.condition.stage, work.depth, engine, images, identity_relu
        )
    return features, weights
