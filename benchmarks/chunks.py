"""What chunks of one size cost: time of an image-step against one chunk of all images.

``python benchmarks/chunks.py`` writes a table for the embedded models, on the CPU, into
docs/engine.md. Sizes take turns, so that other work on the machine meets all of them.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import cases
import page
import torch

from metamers.execution.loading import prepare_features
from metamers.synthesis.chunks import pad
from metamers.synthesis.objective import ModelObjective


def ratios(model: str, stage: str, side: int, count: int, sizes: list[int], n: int) -> list[float]:
    """Return for each chunk size the median process time of a step over that of one chunk."""
    engine = cases.engine("cpu", count)
    images = cases.photographs(count, side).contiguous(memory_format=engine.memory_format)
    depth = cases.CONFIG["stages"][stage]
    features = prepare_features(
        cases.SPECS[model], stage, depth, engine, cases.cache(), images, False
    )
    padded = {size: pad(images, size) for size in (*sizes, count)}
    targets = {s: ModelObjective.prepare(features, one, chunk_size=s) for s, one in padded.items()}
    seconds: dict[int, list[float]] = {size: [] for size in padded}
    for _ in range(n):
        for size, target in targets.items():
            start = time.process_time()
            target.gradient(padded[size].flip(0))
            seconds[size].append(time.process_time() - start)
    medians = {size: statistics.median(found[1:]) for size, found in seconds.items()}
    return [medians[size] / medians[count] for size in sizes]


def main(words: Sequence[str] | None = None) -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+")
    parser.add_argument("--stages", nargs="+")
    parser.add_argument("--side", type=int, default=112)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=8)
    parser.add_argument("--sizes", type=int, nargs="+", default=[2, 4, 5, 8, 10])
    parser.add_argument("--page", type=Path, default=cases.ROOT / "docs/engine.md")
    asked = parser.parse_args(words)
    torch.set_num_threads(asked.threads)
    rows = []
    for case in cases.cases(asked.models, asked.stages, asked.side, asked.images):
        found = ratios(case.model, case.stage, asked.side, asked.images, asked.sizes, asked.repeats)
        rows.append([case.model, case.stage, *(f"{ratio:.2f}" for ratio in found)])
    table = page.table(["model", "stage", *map(str, asked.sizes)], rows)
    page.update(asked.page, "chunks", table)


if __name__ == "__main__":
    main()
