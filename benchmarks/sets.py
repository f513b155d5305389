"""Speed of the paper's six model sets at one stage, on the device that is there.

python benchmarks/sets.py                                  on a GPU: 100 images of 224 pixels
python benchmarks/sets.py --device cpu --side 64 --images 2 --turns 2 --sets single_cnn

Weights are random. Steps per second are those of a job at work; the share of the peak is the
counted operations per second over what the card's maker states.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import cases
import page
import run
import torch
import yaml

from metamers.execution.settings import ExecutionSettings
from metamers.preflight import speed
from metamers.preflight.flops import step_costs

RESULTS = Path(__file__).parent / "sets.json"
# TFLOP/s without sparsity, from the makers' data sheets: float32, TF32, bfloat16 (bf16).
PEAKS = {
    "A100": {"float32": 19.5, "tf32": 156, "bf16": 312},
    "H100 PCIe": {"float32": 51, "tf32": 378, "bf16": 756},
    "H100": {"float32": 67, "tf32": 494, "bf16": 989},
    "H200": {"float32": 67, "tf32": 494, "bf16": 989},
}


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    paper = cases.ROOT / "config/paper.yaml"
    parser.add_argument("--config", type=Path, default=paper, help="declares the sets")
    parser.add_argument("--sets", nargs="+", help="default: all that it declares")
    parser.add_argument("--stage", default="late")
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--turns", type=int, default=5, help="of 10 steps, for each model")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precision", help="default: the configuration's")
    parser.add_argument("--chunk-size", type=int, help="default: the configuration's")
    parser.add_argument("--peak", type=float, help="TFLOP/s, where the card is not known here")
    parser.add_argument("--output", type=Path, default=RESULTS)
    return parser.parse_args(words)


def peak_of(card: str, precision: str, given: float | None) -> float | None:
    """Return the TFLOP/s of a card: the number given, or that of the best name that fits."""
    if given is not None:
        return given
    fitting = [name for name in PEAKS if all(word in card for word in name.split())]
    return PEAKS[max(fitting, key=len)].get(precision) if fitting else None


def set_row(
    name: str, models: Sequence[str], asked: argparse.Namespace, engine: ExecutionSettings
) -> dict[str, Any]:
    """Return the speed of a set at work: its models take turns of 10 steps."""
    depth = cases.CONFIG["stages"][asked.stage]
    images = speed.noise(asked.images, asked.side)
    costs = [step_costs(cases.SPECS[m], {asked.stage: depth}, asked.side)[0] for m in models]
    features = {
        model: speed.untrained(cases.SPECS[model], asked.stage, depth, engine, images)
        for model in models
    }
    _reset_peak(engine)
    seconds = speed.seconds_per_step(features, images, engine, asked.turns)
    flops = [cost.forward_flops + cost.gradient_flops for cost in costs]
    return {
        "set": name,
        "models": list(models),
        **rates(seconds, asked.images, sum(flops) / len(flops), asked.peak),
        "peak_bytes": _peak(engine),
        "predicted_bytes": sum(cost.weight_bytes for cost in costs)
        + asked.images * max(cost.peak_bytes for cost in costs),
    }


def rates(seconds: float, images: int, flops: float, peak: float | None) -> dict[str, Any]:
    """Return steps, image-steps and operations per second, and the share of the peak.

    Parameters
    ----------
    seconds
        Of a step of a batch.
    images
        In the batch.
    flops
        Of a step of one image, on average over the models.
    peak
        TFLOP/s of the device; None: not known.
    """
    tflops = images * flops / seconds / 1e12
    return {
        "steps_per_second": round(1 / seconds, 3),
        "image_steps_per_second": round(images / seconds, 2),
        "tflops": round(tflops, 4),
        "share_of_peak": round(tflops / peak, 4) if peak else None,
    }


def _reset_peak(engine: ExecutionSettings) -> None:
    if engine.torch_device().type == "cuda":
        torch.cuda.reset_peak_memory_stats()


def _peak(engine: ExecutionSettings) -> int | None:
    cuda = engine.torch_device().type == "cuda"
    return torch.cuda.max_memory_allocated() if cuda else None


def main(words: Sequence[str] | None = None) -> None:
    warnings.simplefilter("ignore")
    asked = arguments(words)
    config = yaml.safe_load(asked.config.read_text())
    engine = ExecutionSettings(**cases.CONFIG["engine"] | config.get("engine", {}))
    engine = replace(
        engine,
        device=asked.device,
        batch_size=asked.images,
        chunk_size=asked.chunk_size or engine.chunk_size,
        precision=asked.precision or engine.precision,
    )
    machine = run.machine(asked.device)
    asked.peak = peak_of(machine["device"], engine.precision, asked.peak)
    declared = config["model_sets"]
    results: dict[str, Any] = {
        "machine": machine,
        "versions": run.versions(),
        "stage": asked.stage,
        "side": asked.side,
        "images": asked.images,
        "chunk_size": engine.chunk_size,
        "precision": engine.precision,
        "peak_tflops": asked.peak,
        "sets": [],
    }
    # Written set by set: whoever stops it keeps what is measured.
    for name in asked.sets or declared:
        results["sets"].append(set_row(name, declared[name], asked, engine))
        asked.output.write_text(json.dumps(results, indent=1) + "\n")
    print(page.sets_table(results))


if __name__ == "__main__":
    main()
