"""Small synthesis jobs on embedded models and photographs."""

import torch
import yaml
from fixtures import ROOT

from metamers.config import revisions
from metamers.config.plan import Condition
from metamers.execution.settings import ExecutionSettings
from metamers.execution.spec import SynthesisSpec
from metamers.images import references

ZOO = yaml.safe_load((ROOT / "config/models.yaml").read_text())
ENGINE = ExecutionSettings(
    device="cpu",
    batch_size=4,
    chunk_size=2,
    fold_batch_norm=True,
    channels_last=True,
    precision="float32",
    checkpoint_every=1,
)


def work_of(
    shard="000-of-001", models=("squeezenet1_1", "efficientnet_lite0"), total_steps=12, changes=None
):
    return SynthesisSpec(
        condition=Condition("few", "short", "pair", "early", "unbounded"),
        models=[{"name": name} | ZOO[name] for name in models],
        depth=0.2,
        bound={"norm": "linf", "center": "initial", "radius": 10000},
        recipe={
            "preset": "paper",
            "gradient": "l2_normalised",
            "budget": {"total_steps": total_steps, "steps_per_turn": 2},
        }
        | (changes or {}),
        seed=0,
        shard=shard,
        revision=revisions.SYNTHESIS,
    )


def photographs(limit):
    rows, pixels = references.prepare(
        {"source": "embedded"},
        {"size": 48, "crop": 0.875, "interpolation": "bicubic"},
        "few",
        {"limit": limit},
        seed=0,
    )
    return [row.image_id for row in rows], torch.from_numpy(pixels)
