"""Numbers that each step gives on fixed input: what tests/golden/numbers.json holds.

``python tests/support/golden_numbers.py`` writes them anew, after a revision was raised.
"""

from __future__ import annotations

import json
from pathlib import Path

import judged
import numpy as np
import torch
from fixtures import small_network

from metamers.analysis import recognizability
from metamers.config import revisions
from metamers.evaluation.metrics import compute
from metamers.evaluation.similarity import divergence
from metamers.evaluation.similarity.distances import (
    as_source,
    matched_distances,
    pair_distances,
)
from metamers.synthesis.settings import STRATEGIES, Bound, SynthesisSettings
from metamers.synthesis.solver import synthesize

PATH = Path(__file__).parents[1] / "golden" / "numbers.json"


def fixed_images(n, side, seed):
    """Smooth images, from a generator that is the same everywhere (numpy's PCG64)."""
    waves = np.random.default_rng(seed).uniform(0, 2 * np.pi, (n, 3, 2))
    grid = np.linspace(0, 2 * np.pi, side)
    rows = np.sin(grid[None, None, :, None] + waves[..., 0][..., None, None])
    columns = np.cos(2 * grid[None, None, None, :] + waves[..., 1][..., None, None])
    return torch.from_numpy((0.5 + 0.2 * (rows + columns)).astype(np.float32))


def synthesis():
    references = fixed_images(3, 8, seed=1)
    networks = {f"net{seed}": small_network(seed) for seed in range(2)}
    found = {}
    for ensemble in STRATEGIES:
        recipe = SynthesisSettings.of(
            {
                "preset": "paper",
                "budget": {"total_steps": 16, "steps_per_turn": 2},
                "gradient": "l2_normalised",
                "schedule": {"kind": "exponential", "start": 0.2, "stop": 0.05},
                "ensemble": ensemble,
            }
        )
        bound = Bound("linf", "initial", 0.3)
        result = synthesize(networks, references, list("abc"), bound, recipe, seed=4)
        found[ensemble] = [*result.losses_after.ravel(), *result.metamers.mean(dim=(1, 2, 3))]
    return found


def evaluation():
    generator = np.random.default_rng(2)
    references = generator.normal(size=(12, 30))
    metamers = references + 0.7 * generator.normal(size=(12, 30))
    n, first, second = len(references), as_source(references), as_source(metamers)
    within = pair_distances(first, n), pair_distances(second, n)
    rows = divergence.divergences(*within, matched_distances(first, second, n), seed=0)
    return {row.comparison: [row.divergence, row.low, row.high, row.median_ratio] for row in rows}


def image_metrics():
    references, others = fixed_images(2, 64, seed=3), fixed_images(2, 64, seed=4)
    frame = compute.measure(0.7 * references + 0.3 * others, references, ["a", "b"])
    computed = frame[frame["status"] == "computed"]
    return {
        str(name): rows["value"].tolist() for name, rows in computed.groupby("measure", sort=True)
    }


def analysed():
    key = judged.condition()
    shares = {key: {"a": 0.9, "b": 0.8, "c": 0.4, "twin": 0.3}}
    frame = judged.recognition(shares, judged.MEMBERS, n_images=10)
    rows = recognizability.by_set(frame, {"main": [key]}, seed=0)
    return {column: rows[column].fillna(-1).tolist() for column in ("mean", "sd", "low", "high")}


STEPS = {
    "SYNTHESIS": synthesis,
    "EVALUATION": evaluation,
    "IMAGE_METRICS": image_metrics,
    "ANALYSIS": analysed,
}


def numbers(step):
    return {name: [float(v) for v in values] for name, values in STEPS[step]().items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    content = {
        step: {"revision": getattr(revisions, step), "numbers": numbers(step)} for step in STEPS
    }
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(json.dumps(content, indent=1) + "\n")
