"""Speed of the paper's six model sets at one stage, on the device that is there.

python benchmarks/sets.py                                  on a GPU: 100 images of 224 pixels
python benchmarks/sets.py --device cpu --side 64 --images 2 --turns 2 --sets single_cnn

Weights are random. Steps per second are those of whole turns, through the solver; the share of
the peak is the counted operations per second over what the card's maker states.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import cases
import page
import run
import torch
import yaml
from contestants import STEPS_PER_TURN, Task, image_ids, settings

from metamers.bounds import Bound
from metamers.costs import step_costs
from metamers.engine import Engine, prepare_features
from metamers.stages import Features
from metamers.synthesis import synthesize
from metamers.zoo import Weights

RESULTS = Path(__file__).parent / "sets.json"
# TFLOP/s without sparsity, from the makers' data sheets: float32, TF32, bfloat16.
PEAKS = {
    "A100": {"float32": 19.5, "tf32": 156, "bfloat16": 312},
    "H100 PCIe": {"float32": 51, "tf32": 378, "bfloat16": 756},
    "H100": {"float32": 67, "tf32": 494, "bfloat16": 989},
    "H200": {"float32": 67, "tf32": 494, "bfloat16": 989},
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
    parser.add_argument("--peak", type=float, help="TFLOP/s, where the card is not known here")
    parser.add_argument("--output", type=Path, default=RESULTS)
    return parser.parse_args(words)


def peak_of(card: str, precision: str, given: float | None) -> float | None:
    """Return the TFLOP/s of a card: the number given, or that of the best name that fits."""
    if given is not None:
        return given
    fitting = [name for name in PEAKS if all(word in card for word in name.split())]
    return PEAKS[max(fitting, key=len)].get(precision) if fitting else None


def model_row(name: str, asked: argparse.Namespace, engine: Engine) -> dict[str, Any]:
    """Return the speed of one model, alone on the device."""
    spec = replace(cases.SPECS[name], weights=Weights(source="random"))
    depth = cases.CONFIG["stages"][asked.stage]
    (cost,) = step_costs(spec, {asked.stage: depth}, asked.side)
    images = torch.rand((asked.images, 3, asked.side, asked.side)).to(engine.torch_device())
    images = images.contiguous(memory_format=engine.memory_format)
    features = prepare_features(spec, asked.stage, depth, engine, cases.cache(), images, False)
    _reset_peak(engine)
    seconds = seconds_per_step(features, Task.of(images), asked.turns)
    return {
        "model": name,
        "module": cost.module,
        "flops_per_image_step": cost.forward_flops + cost.gradient_flops,
        "seconds_per_step": seconds,
        "peak_bytes": _peak(engine),
        "predicted_bytes": cost.weight_bytes + asked.images * cost.peak_bytes,
    }


def seconds_per_step(features: Features, task: Task, turns: int) -> float:
    """Return the wall time of a step: of all turns but the first, which warms up.

    A turn ends with the losses read back, so the device has done its work by then.
    """
    marks: list[float] = []
    synthesize(
        {"model": features},
        task.references,
        image_ids(len(task.references)),
        Bound("linf", "initial", 10_000),
        settings((turns + 1) * STEPS_PER_TURN),
        on_turn=lambda state: marks.append(time.perf_counter()),
    )
    return (marks[-1] - marks[0]) / turns / STEPS_PER_TURN


def set_row(
    name: str, models: Sequence[Mapping[str, Any]], images: int, peak: float | None
) -> dict[str, Any]:
    """Return the speed of a set: its models take turns of equal length."""
    seconds = sum(row["seconds_per_step"] for row in models) / len(models)
    flops = images * sum(row["flops_per_image_step"] for row in models) / len(models)
    rate = flops / seconds / 1e12
    return {
        "set": name,
        "steps_per_second": round(1 / seconds, 3),
        "image_steps_per_second": round(images / seconds, 1),
        "tflops": round(rate, 3),
        "share_of_peak": round(rate / peak, 3) if peak else None,
        "models": list(models),
    }


def _reset_peak(engine: Engine) -> None:
    if engine.torch_device().type == "cuda":
        torch.cuda.reset_peak_memory_stats()


def _peak(engine: Engine) -> int | None:
    cuda = engine.torch_device().type == "cuda"
    return torch.cuda.max_memory_allocated() if cuda else None


def main(words: Sequence[str] | None = None) -> None:
    warnings.simplefilter("ignore")
    asked = arguments(words)
    engine = cases.engine(asked.device, asked.images)
    engine = replace(engine, precision=asked.precision or engine.precision)
    machine = run.machine(asked.device)
    peak = peak_of(machine["device"], engine.precision, asked.peak)
    declared = yaml.safe_load(asked.config.read_text())["model_sets"]
    chosen = {name: declared[name] for name in asked.sets or declared}
    names = dict.fromkeys(model for members in chosen.values() for model in members)
    rows = {name: model_row(name, asked, engine) for name in names}
    found = [
        set_row(name, [rows[model] for model in members], asked.images, peak)
        for name, members in chosen.items()
    ]
    results = {
        "machine": machine,
        "versions": run.versions(),
        "stage": asked.stage,
        "side": asked.side,
        "images": asked.images,
        "precision": engine.precision,
        "peak_tflops": peak,
        "sets": found,
    }
    asked.output.write_text(json.dumps(results, indent=1) + "\n")
    print(page.sets_table(results))


if __name__ == "__main__":
    main()
