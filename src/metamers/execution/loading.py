"""The networks of a synthesis job, from their rows to features of a stage."""

from __future__ import annotations

import logging
from pathlib import Path

from torch import Tensor

from metamers.execution import precision
from metamers.execution.device_ensemble import Features
from metamers.execution.settings import ExecutionSettings
from metamers.execution.spec import SynthesisSpec, content_digest
from metamers.models import batch_norm, stages
from metamers.models.classifier import Classifier, load_pretrained
from metamers.models.zoo import ModelSpec
from metamers.synthesis.settings import SynthesisSettings


def load_features(
    spec: SynthesisSpec, engine: ExecutionSettings, images: Tensor, cache: Path
) -> tuple[dict[str, Features], dict[str, str], dict[str, str]]:
    """Return, by model: features, on the host; the hash of the weights; the stage's module.

    Parameters
    ----------
    spec, engine
        The job, and how it is done.
    images
        References, ``(n, 3, side, side)`` in [0, 1], on which folding is tried out.
    cache
        Folder of the weights.
    """
    features, weights, modules = {}, {}, {}
    identity_relu = SynthesisSettings.of(spec.recipe).target_relu == "identity_gradient"
    for row in spec.models:
        model = ModelSpec.of(row)
        classifier = load_pretrained(model, cache)
        weights[model.name] = content_digest(classifier)
        module = stages.module_at(classifier.network, model, spec.condition.stage, spec.depth)
        modules[model.name] = module
        features[model.name] = _features(classifier, module, engine, images, identity_relu)
    return features, weights, modules


def prepare_features(
    model: ModelSpec,
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
    classifier = load_pretrained(model, cache)
    module = stages.module_at(classifier.network, model, stage, depth)
    features = _features(classifier, module, engine, images, identity_relu)
    precision.prepare(engine.precision, engine.torch_device())
    classifier.to(engine.torch_device()).to(memory_format=engine.memory_format)
    return features


def _features(
    classifier: Classifier,
    module: str,
    engine: ExecutionSettings,
    images: Tensor,
    identity_relu: bool,
) -> Features:
    if engine.fold_batch_norm:
        # Not into a convolution that is the stage itself: its output is what metamers match.
        folded = batch_norm.fold(
            classifier, images[: engine.chunk_size].cpu(), keep=f"network.{module}"
        )
        logging.info("%s: %d batch normalisations folded", classifier.name, folded)
    logging.info("%s: the stage's activation is the output of %s", classifier.name, module)
    features = stages.Features(classifier, module, identity_relu)
    return precision.Bfloat16Features(features) if engine.precision == "bf16" else features
