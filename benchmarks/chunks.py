"""What chunks of one size cost: time of an image-step against one chunk of all images.

``python benchmarks/chunks.py`` prints a table for the embedded models, on the CPU. Sizes take
turns, so that other work on the machine meets all of them.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings

import cases
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


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+")
    parser.add_argument("--side", type=int, default=112)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=8)
    parser.add_argument("--sizes", type=int, nargs="+", default=[2, 4, 5, 8, 10])
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    print("| model | stage | " + " | ".join(map(str, asked.sizes)) + " |")
    print("| --- | --- |" + " --- |" * len(asked.sizes))
    for case in cases.cases(asked.models, None, asked.side, asked.images):
        found = ratios(case.model, case.stage, asked.side, asked.images, asked.sizes, asked.repeats)
        print(f"| {case.model} | {case.stage} | " + " | ".join(f"{r:.2f}" for r in found) + " |")


if __name__ == "__main__":
    main()
