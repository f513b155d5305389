"""Measure speed side by side, and write results.json and the tables of docs/performance.md.

python benchmarks/run.py                 everything, about 9 minutes on 2 cores
python benchmarks/run.py --help          fewer models, other sizes, another device
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import cases
import contest
import growth
import page
import torch
from contestants import STEPS_PER_TURN

from metamers.storage import provenance

RESULTS = Path(__file__).parent / "results.json"
PACKAGES = ("torch", "torchvision", "timm", "plenoptic", "numpy", "metamers")


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=7.5, help="for the contests")
    parser.add_argument("--models", nargs="+", help="of the zoo; default: the embedded ones")
    parser.add_argument("--stages", nargs="+", help="default: all of the configuration")
    parser.add_argument("--side", type=int, default=112, help="of the images, in pixels")
    parser.add_argument("--images", type=int, default=20, help="in a batch")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--memory-steps", type=int, nargs=2, default=[50, 500])
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, default=cases.ROOT / "docs/performance.md")
    asked = parser.parse_args(words)
    if min(asked.memory_steps) < 2 * STEPS_PER_TURN:
        parser.error(
            f"--memory-steps: {asked.memory_steps}; at least {2 * STEPS_PER_TURN} are needed"
        )
    return asked


def machine(device: str) -> dict[str, Any]:
    """Return what it was measured on. The load is that of others, before the benchmark."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else "cpu",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load_average": [round(value, 2) for value in os.getloadavg()],
    }


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Return the versions of what takes part."""
    return {name: importlib.metadata.version(name) for name in packages}


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def contests(chosen: list[contest.Case], asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row per case."""
    engine = cases.engine(asked.device, asked.images)
    references = cases.photographs(asked.images, asked.side)
    prepared = [
        contest.entrants(case, cases.SPECS[case.model], engine, references, cases.cache())
        for case in chosen
    ]
    found = contest.rounds([entered for _, entered in prepared], 60 * asked.minutes)
    fixed = {
        "precision": engine.precision,
        "device": asked.device,
        "threads": torch.get_num_threads(),
    }
    return [
        asdict(case) | {"module": module} | fixed | contest.summary(times)
        for case, (module, _), times in zip(chosen, prepared, found, strict=True)
    ]


def growths(case: contest.Case, asked: argparse.Namespace) -> dict[str, Any]:
    """Return how time and memory grow, for one model and stage on the CPU."""
    features, task = growth.prepare(case.model, case.stage, case.side, max(20, case.images))
    memory = {
        steps: growth.peak_memory(asdict(case) | {"steps": steps}) for steps in asked.memory_steps
    }
    return {
        "model": case.model,
        "stage": case.stage,
        "side": case.side,
        "seconds_by_steps": growth.by_steps(features, task.first(case.images), 13),
        "seconds_per_step_by_images": growth.by_images(features, task, [4, 8, 12, 16, 20], 3),
        "peak_bytes_by_steps": memory,
    }


def main(words: Sequence[str] | None = None) -> None:
    warnings.simplefilter("ignore")
    asked = arguments(words)
    torch.set_num_threads(asked.threads)
    chosen = cases.cases(asked.models, asked.stages, asked.side, asked.images)
    results = {
        "machine": machine(asked.device),
        "versions": versions(),
        "commit": provenance.commit(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cases": contests(chosen, asked),
        "growth": growths(chosen[0], asked),
    }
    asked.output.write_text(json.dumps(results, indent=1) + "\n")
    print(page.tables(results))
    page.update(asked.page, "benchmark", page.tables(results))


if __name__ == "__main__":
    main()
