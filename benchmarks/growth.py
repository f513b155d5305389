"""How time grows with steps and images, and whether memory grows with steps."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cases
import numpy as np
import torch
from contestants import STEPS_PER_TURN, Contestant, Task, image_ids, ours, settings

from metamers.execution.loading import prepare_features
from metamers.models.stages import Features
from metamers.synthesis.settings import Bound
from metamers.synthesis.solver import synthesize

MEMORY_OF = """
import json, sys
sys.path.insert(0, sys.argv[1])
import growth
growth.synthesize_for_memory(json.loads(sys.argv[2]))
print(growth.highest_resident_bytes())
"""


def highest_resident_bytes() -> int:
    """Return the most memory that this process has had resident.

    From Linux's ``VmHWM``, since ``getrusage`` would give that of the process that forked it.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    (kilobytes,) = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
    return kilobytes * 1024


def by_steps(features: Features, task: Task, turns: int) -> dict[str, Any]:
    """Return the fit of process time to the number of steps, within one synthesis."""
    marks: list[float] = []
    synthesize(
        {"model": features},
        task.references,
        image_ids(len(task.references)),
        Bound(),
        settings(turns * STEPS_PER_TURN),
        on_turn=lambda state: marks.append(time.process_time()),
    )
    steps = [STEPS_PER_TURN * index for index in range(1, turns)]
    return fit(steps, [mark - marks[0] for mark in marks[1:]])


def by_images(features: Features, task: Task, counts: list[int], repeats: int) -> dict[str, Any]:
    """Return the fit of process time per step to the number of images of a batch."""
    found: dict[int, list[float]] = {count: [] for count in counts}
    for _ in range(repeats):
        for count in counts:
            contestant = Contestant(ours, features, images=count)
            found[count].append(contestant.time(task).process * count)
    return fit(counts, [statistics.median(found[count]) for count in counts])


def fit(sizes: list[int], seconds: list[float]) -> dict[str, Any]:
    """Return the straight line through the times: slope, intercept, and R squared."""
    slope, intercept = np.polyfit(sizes, seconds, 1)
    residuals = np.asarray(seconds) - (slope * np.asarray(sizes) + intercept)
    explained = 1 - residuals.var() / np.var(seconds)
    return {
        "sizes": sizes,
        "seconds": [round(value, 5) for value in seconds],
        "slope": round(float(slope), 6),
        "intercept": round(float(intercept), 6),
        "r_squared": round(float(explained), 5),
    }


def peak_memory(case: dict[str, Any]) -> int:
    """Return the peak resident memory, in bytes, of a process that does one synthesis."""
    folder = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MEMORY_OF, folder, json.dumps(case)],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout.split()[-1])


def synthesize_for_memory(case: dict[str, Any]) -> None:
    """Do one synthesis, as `peak_memory` asks for in another process."""
    torch.set_num_threads(1)
    features, task = prepare(case["model"], case["stage"], case["side"], case["images"])
    by_steps(features, task, case["steps"] // STEPS_PER_TURN)


def prepare(model: str, stage: str, side: int, count: int) -> tuple[Features, Task]:
    """Return a model's features as the engine prepares them on the CPU, and a task."""
    engine = cases.engine("cpu", count)
    references = cases.photographs(count, side).contiguous(memory_format=engine.memory_format)
    depth = cases.CONFIG["stages"][stage]
    features = prepare_features(
        cases.SPECS[model], stage, depth, engine, cases.cache(), references, False
    )
    return features, Task.of(references)
