"""A finished run in small: real photographs, made-up metamers and answers, true tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from fixtures import ROOT

from metamers.analysis import tabulate
from metamers.config import validation
from metamers.config.plan import Plan
from metamers.evaluation import evaluators
from metamers.images import references
from metamers.models import zoo
from metamers.storage import metamers, provenance, raw_tables
from metamers.storage.metamers import Metamers

SIDE = 64
CHANGES = {
    "run": "small",
    "preprocessing": {"size": SIDE, "crop": 0.875, "interpolation": "bicubic"},
    "experiments": {
        "main": {
            "kind": "model_sets",
            "references": "photographs",
            "recipes": ["main"],
            "model_sets": ["single_squeezenet", "lite_pair"],
            "stages": ["early", "late"],
            "bounds": ["unbounded"],
        }
    },
    "shards": 2,
}


def write(folder):
    """Write ``results/<run>`` into a folder; return its path."""
    config = validation.read([], ROOT / "config/config.yaml") | CHANGES
    rows = zoo.read(ROOT / "config/models.yaml")
    plan = Plan.from_config(config, rows)
    run = folder / "results" / config["run"]
    manifest, pixels = references.prepare(
        config["data"], config["preprocessing"], "photographs", {}, config["seed"]
    )
    manifest = pd.DataFrame(manifest)
    ids = list(manifest["image_id"])
    references.save(run / "references/photographs.safetensors", ids, pixels)
    rng = np.random.default_rng(0)
    answers = [_answers(rng, ids, judge).assign(references="photographs") for judge in plan.models]
    predictions = []
    for condition in plan.conditions:
        _save_metamers(plan, run, condition, ids, pixels, rng)
        predictions += [
            _answers(rng, ids, judge).assign(**condition.columns())
            for judge in config["evaluators"]
        ]
    raw = {
        "references": manifest,
        "reference_predictions": pd.concat(answers),
        "predictions": pd.concat(predictions),
        "image_metrics": pd.DataFrame(columns=raw_tables.IMAGE_METRICS.schema.names),
    } | _baselines(plan, ids)
    found = tabulate.recognizability(raw, config, plan.used_rows)
    paths = {name: run / f"tables/{name}.parquet" for name in found}
    tabulate.write_all(found, paths, provenance.stamp(config))
    return run


def _baselines(plan, ids):
    """Return likeness beyond that of unrelated images, and what it is held against."""
    alike = {"member": True, "relative_l2": 0.1, "spearman": 0.9, "snr": 20.0}
    alike |= {"percentile_l2": 0.0, "percentile_spearman": 0.0}
    likeness = [
        pd.DataFrame(c.columns() | alike | {"image_id": ids, "evaluator": model})
        for c in plan.conditions
        for model in plan.model_sets[c.model_set]
    ]
    counts = {"n_images": 52, "n_photographs": 13, "n_pairs": 2496}
    pairs = {"spearman": 0.5, "snr": 6.0, "spearman_median": 0.1, "snr_median": 0.0}
    ceiling = {"references": "photographs", "change": "flip", "label_space": "1000"}
    ceiling |= {"n_images": len(ids), "agreement": 0.9, "low": 0.7, "high": 1.0}
    return {
        "likeness": pd.concat(likeness),
        "null_distribution": pd.DataFrame(
            {"model": model, "stage": stage} | counts | pairs
            for model in plan.models
            for stage in plan.depths
        ),
        "ceiling": pd.DataFrame(ceiling | {"evaluator": model} for model in plan.models),
    }


def _answers(rng, ids, judge):
    return evaluators.answers(rng.dirichlet(np.full(1000, 0.01), len(ids)), ids, judge)


def _save_metamers(plan, run, condition, ids, pixels, rng):
    models = plan.model_sets[condition.model_set]
    for index, shard in enumerate(plan.shards):
        own = slice(index, None, len(plan.shards))
        noisy = pixels[own] / 255 + rng.normal(0, 0.2, pixels[own].shape)
        floats = torch.from_numpy(noisy.clip(0, 1).astype(np.float32))
        losses = [rng.uniform(size=(len(floats), len(models))) for _ in range(3)]
        steps = np.full(len(floats), 9)
        bits = (floats * 255).round().to(torch.uint8)
        made = Metamers(
            ids[own], models, floats, bits, *losses, steps, 2 * steps,
            {"condition": condition.columns()},
        )  # fmt: skip
        metamers.save(run / f"metamers/{condition}/{shard}.safetensors", made)
