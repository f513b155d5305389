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

from metamers.bounds import Bound
from metamers.costs import StepCost
from metamers.engine import Engine, prepare_features
from metamers.estimates import Speed
from metamers.recipes import Settings
from metamers.synthesis import State, synthesize
from metamers.zoo import ModelSpec, Weights

STEPS_PER_TURN = 10
TURNS = 2
# What a job's script imports, and what Snakemake starts to run it.
IMPORTS = (
    "import timm; from metamers import engine, images, metamer_files, tables",
    "import snakemake.cli",
)


def probe(
    specs: Mapping[str, ModelSpec],
    depths: Mapping[str, float],
    costs: Mapping[tuple[str, str], StepCost],
    engine: Engine,
    side: int,
    n_images: int,
) -> Speed:
    """Return the speed of the present device, by 20 steps of each model at each stage.

    Weights are random, since their values do not change the time.

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
    seconds = {
        (model, stage): seconds_per_image_step(
            specs[model], stage, depths[stage], engine, side, n_images
        )
        for model, stage in costs
    }
    per_flop = fmean(
        seconds[key] / (cost.forward_flops + cost.gradient_flops) for key, cost in costs.items()
    )
    device = engine.torch_device()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    source = f"{TURNS * STEPS_PER_TURN} steps on {name}, {n_images} images at a time"
    return Speed(source, seconds, per_flop, start_seconds())


def seconds_per_image_step(
    spec: ModelSpec, stage: str, depth: float, engine: Engine, side: int, n_images: int
) -> float:
    """Return the time of a step on one image of a batch.

    Two turns of 10 steps after one that warms up. On a CPU, process time, which other work on
    the machine disturbs less; on a GPU, wall time.
    """
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((n_images, 3, side, side), generator=generator)
    images = images.to(engine.torch_device()).contiguous(memory_format=engine.memory_format)
    random = replace(spec, weights=Weights(source="random"))
    features = prepare_features(random, stage, depth, engine, Path(), images, False)
    clock = time.perf_counter if images.is_cuda else time.process_time
    marks: list[float] = []

    def on_turn(state: State) -> None:
        marks.append(clock())

    synthesize(
        {spec.name: features},
        images,
        [str(index) for index in range(n_images)],
        Bound("linf", "initial", 10_000),
        _settings(),
        on_turn=on_turn,
    )
    return (marks[-1] - marks[0]) / (TURNS * STEPS_PER_TURN * n_images)


def start_seconds() -> float:
    """Return the processor time that a job spends on imports."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for imports in IMPORTS:
        subprocess.run([sys.executable, "-W", "ignore", "-c", imports], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def _settings() -> Settings:
    budget = {"total_steps": (TURNS + 1) * STEPS_PER_TURN, "steps_per_turn": STEPS_PER_TURN}
    return Settings.of({"preset": "paper", "gradient": "l2_normalised", "budget": budget})
