"""Measure what each accelerated setting of the engine changes, and write effects.json.

python benchmarks/effects.py             embedded models on the CPU
python benchmarks/effects.py --device cuda:0          TF32, CUDA graphs and compiling besides

The reference is float32 as the network is published: nothing folded, channels first. For each
setting: how far activations and gradients are from the reference's, and the loss and the
recognizability of metamers that were made with it, both judged by reference networks. The
tables stand in docs/engine.md.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import cases
import numpy as np
import page
import run
import torch
from contestants import image_ids
from torch import Tensor

from metamers import bootstrap
from metamers.execution import precision
from metamers.execution.device_ensemble import DeviceEnsemble, Features, to_device
from metamers.execution.loading import prepare_features
from metamers.execution.settings import ExecutionSettings
from metamers.models.classifier import fetch_pretrained
from metamers.storage import provenance
from metamers.synthesis import settings as recipes
from metamers.synthesis.objective import ModelObjective
from metamers.synthesis.settings import Bound, SynthesisSettings
from metamers.synthesis.solver import synthesize, to_8_bits

RESULTS = Path(__file__).parent / "effects.json"
REFERENCE: dict[str, Any] = {
    "fold_batch_norm": False,
    "channels_last": False,
    "precision": "float32",
    "compile": "never",
}
FAST = REFERENCE | {"fold_batch_norm": True, "channels_last": True}
SETTINGS: dict[str, dict[str, Any]] = {
    "folded": REFERENCE | {"fold_batch_norm": True},
    "channels last": REFERENCE | {"channels_last": True},
    "folded, channels last": FAST,
    "folded, channels last, bf16": FAST | {"precision": "bf16"},
}
ON_GPU: dict[str, dict[str, Any]] = {
    "folded, channels last, tf32": FAST | {"precision": "tf32"},
    "folded, channels last, compile": FAST | {"compile": "auto"},
}


@dataclass(frozen=True)
class Made:
    """What one setting came to.

    Attributes
    ----------
    activations, gradients
        Of the references, and at the start of synthesis, ``(n, …)``, on the host.
    losses
        Of the finished 8-bit metamers for the reference network, ``(n,)``.
    recognised
        Whether each evaluator gives a metamer the class of its reference,
        ``(evaluators, n)``.
    """

    activations: Tensor
    gradients: Tensor
    losses: np.ndarray
    recognised: np.ndarray


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["efficientnet_lite0", "squeezenet1_1"])
    parser.add_argument("--stages", nargs="+", default=["early", "late"])
    parser.add_argument("--evaluators", nargs="+", default=cases.CONFIG["evaluators"])
    parser.add_argument("--side", type=int, default=112, help="of the images, in pixels")
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--chunk-size", type=int, default=cases.CONFIG["engine"]["chunk_size"])
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, default=cases.ROOT / "docs/engine.md")
    return parser.parse_args(words)


def recipe(steps: int) -> SynthesisSettings:
    """Return the quickstart's recipe with another number of steps."""
    chosen = dict(cases.CONFIG["recipes"]["main"])
    return SynthesisSettings.of(chosen | {"budget": {"total_steps": steps, "steps_per_turn": 10}})


def make(
    model: str,
    stage: str,
    engine: ExecutionSettings,
    images: Tensor,
    judges: Mapping[str, Any],
    reference: Features,
    asked: argparse.Namespace,
) -> Made:
    """Return what a setting comes to for one model and stage."""
    depth, chosen = cases.CONFIG["stages"][stage], recipe(asked.steps)
    features = prepare_features(
        cases.SPECS[model], stage, depth, engine, cases.cache(), images, identity_relu=False
    )
    plan, _ = recipes.turns(chosen, 1, seed=0)
    ensemble = DeviceEnsemble.prepare(
        {model: features}, images, engine, [turn.models for turn in plan]
    )
    places = ensemble.places(len(images))
    placed = to_device(images, ensemble.device, ensemble.choices.channels_last)
    target = ModelObjective.prepare(ensemble.functions[model], placed)
    with torch.no_grad():
        activations = features(placed).float().cpu()
    gradients = target.gradient(placed.flip(0))[0].cpu()
    synthesis = synthesize(
        ensemble.functions,
        placed,
        image_ids(len(images)),
        Bound(),
        chosen,
        places=places,
        graphs=ensemble.graphs(places),
    )
    precision.prepare("float32", ensemble.device)
    stored = to_8_bits(synthesis.metamers).float() / 255
    plain = images.to(ensemble.device)
    losses = (
        ModelObjective.prepare(reference, plain).losses(stored.to(ensemble.device)).cpu().numpy()
    )
    return Made(activations, gradients, losses, recognised(judges, images, stored))


def recognised(judges: Mapping[str, Any], images: Tensor, metamers: Tensor) -> np.ndarray:
    """Return whether each judge gives a metamer the class of its reference, ``(judges, n)``."""
    found = []
    with torch.no_grad():
        for judge in judges.values():
            found.append((judge(images).argmax(1) == judge(metamers).argmax(1)).cpu().numpy())
    return np.stack(found)


def row(name: str, made: Made, reference: Made) -> dict[str, Any]:
    """Return how far a setting is from the reference: medians and largest over the images."""
    generator = np.random.default_rng(0)
    change = made.recognised.astype(float) - reference.recognised
    differ = bootstrap.crossed_share_interval(change != 0, generator)
    low, high = bootstrap.crossed_change_interval(change, generator)
    return {
        "setting": name,
        "activation": _distances(made.activations, reference.activations),
        "gradient": _distances(made.gradients, reference.gradients),
        "loss": float(made.losses.mean()),
        "loss_of_reference": float(reference.losses.mean()),
        "recognised": float(made.recognised.mean()),
        "recognised_of_reference": float(reference.recognised.mean()),
        "change": [float(change.mean()), low, high],
        "answers_that_differ": [float((change != 0).mean()), *differ],
    }


def _distances(found: Tensor, expected: Tensor) -> dict[str, float]:
    """Return the distances over the norm of what is expected, image by image."""
    difference = (found.double() - expected.double()).flatten(1).norm(dim=1)
    relative = difference / expected.double().flatten(1).norm(dim=1)
    return {"median": float(relative.median()), "largest": float(relative.max())}


def main(words: Sequence[str] | None = None) -> None:
    warnings.simplefilter("ignore")
    asked = arguments(words)
    torch.use_deterministic_algorithms(True, warn_only=True)
    images = cases.photographs(asked.images, asked.side)
    judges = {name: fetch_pretrained(cases.SPECS[name], cases.cache()) for name in asked.evaluators}
    plain = cases.engine(asked.device, asked.images)
    plain = replace(plain, chunk_size=asked.chunk_size, **REFERENCE)
    settings = SETTINGS | (ON_GPU if asked.device.startswith("cuda") else {})
    results: dict[str, Any] = {
        "machine": run.machine(asked.device),
        "versions": run.versions(),
        "commit": provenance.commit(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "recipe": asdict(recipe(asked.steps)),
        "side": asked.side,
        "images": asked.images,
        "evaluators": asked.evaluators,
        "rows": [],
    }
    # Written row by row: whoever stops it keeps what is measured.
    for model in asked.models:
        for stage in asked.stages:
            depth = cases.CONFIG["stages"][stage]
            network = prepare_features(
                cases.SPECS[model], stage, depth, plain, cases.cache(), images, identity_relu=False
            )
            expected = make(model, stage, plain, images, judges, network, asked)
            for name, changes in settings.items():
                engine = replace(plain, **changes)
                made = make(model, stage, engine, images, judges, network, asked)
                results["rows"].append({"model": model, "stage": stage} | row(name, made, expected))
                asked.output.write_text(json.dumps(results, indent=1) + "\n")
    print(page.effects_table(results))
    page.update(asked.page, "effects", page.effects_table(results))


if __name__ == "__main__":
    main()
