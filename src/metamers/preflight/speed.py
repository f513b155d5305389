"""How fast the present device is: 20 steps of each model at each stage that a run uses."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor

from metamers.execution.device_ensemble import DeviceEnsemble, Features, to_device
from metamers.execution.loading import prepare_features
from metamers.execution.settings import ExecutionSettings
from metamers.models.weights.row import WeightsRow
from metamers.models.zoo import ModelSpec
from metamers.preflight.estimates import Speed
from metamers.preflight.flops import StepCost
from metamers.synthesis import settings as recipes
from metamers.synthesis.chunks import pad, padded_rows
from metamers.synthesis.settings import Bound, SynthesisSettings
from metamers.synthesis.solver import synthesize
from metamers.synthesis.state import State

STEPS_PER_TURN = 10
TURNS = 2
# What a job's script imports, and what Snakemake starts to run it.
IMPORTS = (
    "import timm; from metamers.execution import runner; from metamers.images import references; "
    "from metamers.storage import metamers, tables",
    "import snakemake.cli",
)


def probe(
    specs: Mapping[str, ModelSpec],
    depths: Mapping[str, float],
    costs: Mapping[tuple[str, str], StepCost],
    engine: ExecutionSettings,
    side: int,
    n_images: int,
) -> Speed:
    """Return the speed of the present device, by 20 steps of each model at each stage.

    Parameters
    ----------
    specs
        Rows of the zoo.
    depths
        Fraction of the depth of each stage.
    costs
        Which models and stages are tried, and their operations.
    engine
        How the work is done.
    side, n_images
        Of the images of a batch.
    """
    images = noise(n_images, side)
    computed = len(padded_rows(n_images, engine.chunk_size))
    seconds = {}
    for model, stage in costs:
        features = untrained(specs[model], stage, depths[stage], engine, images)
        per_step = seconds_per_step({model: features}, images, engine, TURNS)
        seconds[model, stage] = per_step / computed
    per_flop = fmean(
        seconds[key] / (cost.forward_flops + cost.gradient_flops) for key, cost in costs.items()
    )
    device = engine.torch_device()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    source = f"{TURNS * STEPS_PER_TURN} steps on {name}, {n_images} images at a time"
    return Speed(source, seconds, per_flop, start_seconds())


def noise(n_images: int, side: int) -> Tensor:
    """Return images of uniform noise, ``(n, 3, side, side)``, on the host."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand((n_images, 3, side, side), generator=generator)


def untrained(
    spec: ModelSpec, stage: str, depth: float, engine: ExecutionSettings, images: Tensor
) -> Features:
    """Return a model's features with random weights, whose values do not change the time."""
    random = replace(spec, weights=WeightsRow(source="random"))
    return prepare_features(random, stage, depth, engine, Path(), images, identity_relu=False)


def seconds_per_step(
    features: Mapping[str, Features], images: Tensor, engine: ExecutionSettings, turns: int
) -> float:
    """Return the time of a step of a set, whose models take turns of 10 steps, on a batch.

    Everything is done as in a job. On a CPU it is process time, which other work on the machine
    disturbs less; on a GPU it is wall time.

    Parameters
    ----------
    features
        Of the models, by name.
    images
        The references, on the host.
    turns
        How many of each model count, after one that warms up.
    """
    n_models, n_images = len(features), len(images)
    settings = _settings((turns + 1) * n_models)
    plan, _ = recipes.turns(settings, n_models, seed=0)
    chunk = pad(images[: engine.chunk_size], engine.chunk_size)
    ensemble = DeviceEnsemble.prepare(features, chunk, engine, [turn.models for turn in plan])
    places = ensemble.places(n_images)
    clock = time.perf_counter if ensemble.device.type == "cuda" else time.process_time
    marks: list[float] = []

    def on_turn(state: State) -> None:
        # The turn's losses were read back, so the device has done its work.
        marks.append(clock())

    synthesize(
        ensemble.functions,
        to_device(images, ensemble.device, ensemble.choices.channels_last),
        [str(index) for index in range(n_images)],
        Bound(),
        settings,
        on_turn=on_turn,
        places=places,
        graphs=ensemble.graphs(places),
        chunk_size=engine.chunk_size,
    )
    return (marks[-1] - marks[n_models - 1]) / (turns * n_models * STEPS_PER_TURN)


def start_seconds() -> float:
    """Return the processor time that a job spends before its script begins."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for imports in IMPORTS:
        subprocess.run([sys.executable, "-W", "ignore", "-c", imports], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def _settings(turns: int) -> SynthesisSettings:
    budget = {"total_steps": turns * STEPS_PER_TURN, "steps_per_turn": STEPS_PER_TURN}
    return SynthesisSettings.of({"preset": "paper", "gradient": "l2_normalised", "budget": budget})
