"""Where the time of an evaluation goes: ``python benchmarks/evaluation_profile.py``.

One condition, one embedded evaluator, 400 images: shares of the job's time, after the model is
loaded, that pass in the network's forward passes.
"""

from __future__ import annotations

import time

import numpy as np
import torch

from metamers.config.plan import Condition
from metamers.evaluation import evaluators
from metamers.images import references as images
from metamers.models import zoo
from metamers.models.weights.cache import cache_folder
from metamers.storage.metamers import Metamers

SIDE, N = 224, 400


def pictures():
    """400 different crops of the 20 embedded photographs, and noisy versions of them."""
    preprocessing = {"size": SIDE + 19, "crop": 0.95, "interpolation": "bicubic"}
    _, pixels = images.prepare({"source": "embedded"}, preprocessing, "all", {}, seed=0)
    whole = torch.from_numpy(pixels)
    crops = [whole[:, :, i : i + SIDE, i : i + SIDE] for i in range(20)]
    references = torch.cat(crops)
    noise = torch.randint(-60, 61, references.shape, generator=torch.Generator().manual_seed(0))
    return references, (references.int() + noise).clamp(0, 255).to(torch.uint8)


def main():
    torch.set_num_threads(1)
    references, metamers = pictures()
    ids = [f"{k:03d}" for k in range(N)]
    zeros = np.zeros((N, 1))
    print("| evaluator | stage | seconds | share in forward passes |\n|---|---|---|---|")
    for name in ("efficientnet_lite0", "efficientnet_lite2", "squeezenet1_1"):
        row = {"name": name} | zoo.read("config/models.yaml")[name]
        evaluate_conditions = evaluators.Evaluator.load(
            row, cache_folder(None), torch.device("cpu"), 64
        )
        spent = [0.0]

        def timed(*arguments, forward=evaluate_conditions.classifier.forward, spent=spent):
            began = time.process_time()
            try:
                return forward(*arguments)
            finally:
                spent[0] += time.process_time() - began

        evaluate_conditions.classifier.forward = timed
        for stage, depth in (("early", 0.2), ("middle", 0.5), ("late", 0.8)):
            condition = Condition("r", "m", "s", stage, "b")
            notes = {"condition": condition.columns()}
            arrays = [zeros] * 5
            made = Metamers(ids, [], metamers, metamers, *arrays, notes)
            spent[0], began = 0.0, time.process_time()
            list(
                evaluators.evaluate_conditions(
                    evaluate_conditions,
                    [evaluators.ConditionImages(condition, made, references, depth)],
                    0,
                )
            )
            total = time.process_time() - began
            print(f"| {name} | {stage} | {total:.1f} | {spent[0] / total:.2f} |", flush=True)


if __name__ == "__main__":
    main()
