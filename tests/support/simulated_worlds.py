"""Tables `recognition` of worlds whose truth is known, for tests of what is concluded of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import yaml
from fixtures import ROOT

from metamers.storage import recognition_tables, tables

SETS = {
    "cnn": ["convnext_base", "alexnet", "resnet50", "resnet18"],
    "transformers": ["deit_small", "vit_base", "swin_base", "xcit_small"],
}
CNNS = [*SETS["cnn"], "vgg19", "resnext50", "cornet_s", "squeezenet", "mobilenet_v2", "densenet"]
TRANSFORMERS = [*SETS["transformers"], "deit_small_robust", "vit_base_robust", "swin_base_robust"]
RANDOM = ["alexnet_random", "resnet50_random"]
CONFIG = {
    "run": "simulated",
    "evaluators": CNNS + TRANSFORMERS + RANDOM,
    "model_sets": SETS,
    "evaluation": {"feature_networks": ["resnet50"]},
    "experiments": {
        "main": {
            "kind": "model_sets",
            "references": "photographs",
            "recipes": ["main"],
            "model_sets": list(SETS),
            "members_alone": True,
            "stages": ["early", "late"],
            "bounds": ["unbounded"],
        },
        "bounds": None,
        "mixed": None,
    },
}


ROWS = yaml.safe_load((ROOT / "config/models.yaml").read_text())


def related(model):
    """Return the lineage of a model of the zoo."""
    return set(ROWS[model].get("lineage", ()))


def family(model):
    return "transformer" if model in TRANSFORMERS else "cnn"


def write(folder, share, seed=0, images=80):
    """Write a configuration and a table of recognition, and return the configuration's path.

    ``share(members, evaluator, stage)`` is the chance of recognition of a typical image by a
    typical evaluator; evaluators and images have logistic effects of their own.
    """
    path = folder / "simulated.yaml"
    path.write_text(yaml.safe_dump(CONFIG | {"model_sets": {**SETS}}))
    alone = {f"alone_{model}": [model] for models in SETS.values() for model in models}
    rng = np.random.default_rng(seed)
    names = [f"image{k:03d}" for k in range(images)]
    of_image = rng.normal(0, 0.5, images)
    of_evaluator = {name: rng.normal(0, 0.3) for name in CONFIG["evaluators"]}
    parts = []
    for model_set, members in (SETS | alone).items():
        for stage in ("early", "late"):
            for evaluator, own in of_evaluator.items():
                chance = share(members, evaluator, stage)
                logit = np.log(chance / (1 - chance)) + own + of_image
                seen = rng.random(images) < 1 / (1 + np.exp(-logit))
                row = {"references": "photographs", "recipe": "main", "model_set": model_set}
                row |= {"stage": stage, "bound": "unbounded", "evaluator": evaluator}
                row |= {"member": evaluator in members, "same_weights": False, "rule": "self"}
                row |= {"label_space": "1000", "trained": evaluator not in RANDOM, "right": True}
                row |= {"related": bool(related(evaluator) & set().union(*map(related, members)))}
                parts.append(pd.DataFrame(row | {"image_id": names, "recognised": seen}))
    tables.write(recognition_tables.RECOGNITION, pd.concat(parts), folder / "recognition.parquet")
    return path
