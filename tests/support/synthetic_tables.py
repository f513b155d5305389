"""Seeded tables of the right columns and of any size, for tests of what draws them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from metamers.evaluation.metrics.registry import MEASURES
from metamers.storage import raw_tables, recognition_tables, result_tables, similarity_tables
from metamers.storage.columns import COMPARISONS, CONDITION_KEY

NOT_COMPUTED = (
    "not computed: weights missing: alexnet-owt-7be5be79.pth; "
    "get them: https://example.org/models/alexnet-owt-7be5be79.pth"
)


@dataclass(frozen=True)
class Size:
    """How much there is of each thing."""

    sets: int
    evaluators: int
    images: int
    stages: tuple[str, ...] = ("early", "middle", "late")
    bounds: tuple[str, ...] = ("unbounded",)

    @cached_property
    def models(self):
        return [f"model_{k:02d}" for k in range(self.evaluators)]

    @cached_property
    def members(self):
        return {
            f"set_{k:02d}": [self.models[(k + j) % self.evaluators] for j in range(1 + k % 3)]
            for k in range(self.sets)
        }

    @property
    def memberships(self):
        return sum(len(members) for members in self.members.values())

    @cached_property
    def conditions(self):
        return [
            ("quick", "ours", model_set, stage, bound)
            for model_set, stage, bound in itertools.product(self.members, self.stages, self.bounds)
        ]

    @cached_property
    def labels(self):
        sets = ("Single CNN", "Single Transformer", "CNN", "Robust CNNs", "Transformers")
        names = ("EfficientNet-Lite0", "EfficientNet-Lite1", "EfficientNet-Lite2", "SqueezeNet 1.1")
        names += ("Wide ResNet-50 Robust", "AlexNet w/ Random Weights", "MealV2 (EfficientNet)")
        return {
            name: sets[k] if k < len(sets) else f"Mixed set {k}"
            for k, name in enumerate(self.members)
        } | {
            name: names[k] if k < len(names) else f"Network {k} Robust"
            for k, name in enumerate(self.models)
        }


QUICKSTART = Size(sets=6, evaluators=4, images=20)
PAPER = Size(sets=6, evaluators=31, images=400)


def key(condition):
    return dict(zip(CONDITION_KEY, condition, strict=True))


def frame(table, rows):
    return pd.DataFrame(rows, columns=table.schema.names)


def recognizability(size, experiment="main"):
    rng = np.random.default_rng(1)
    rows = []
    for condition in size.conditions:
        members = size.members[condition[2]]
        depth = size.stages.index(condition[3])
        for evaluator in size.models:
            member = evaluator in members
            share = np.clip(rng.normal(0.9 if member else 0.7 - 0.2 * depth, 0.12), 0, 1)
            rows.append(
                key(condition)
                | {
                    "experiment": experiment,
                    "evaluator": evaluator,
                    "member": member,
                    "same_weights": False,
                    "related": False,
                    "trained": True,
                    "rule": "self",
                    "label_space": "1000",
                    "n_images": size.images,
                    "recognizability": share,
                    "low": max(share - 0.1, 0),
                    "high": min(share + 0.1, 1),
                }
            )
    return frame(recognition_tables.RECOGNIZABILITY, rows)


def recognizability_by_set(size, experiment="main"):
    single = recognizability(size, experiment)
    rows = []
    for condition, group in single[~single["member"]].groupby(list(CONDITION_KEY)):
        mean = group["recognizability"].mean()
        rows.append(
            key(condition)
            | {
                "experiment": experiment,
                "group": "trained",
                "rule": "self",
                "label_space": "1000",
                "n_images": size.images,
                "n_evaluators": len(group),
                "mean": mean,
                "sd": group["recognizability"].std(),
                "low": max(mean - 0.12, 0),
                "high": min(mean + 0.12, 1),
            }
        )
    return frame(recognition_tables.RECOGNIZABILITY_BY_SET, rows)


def similarity(size):
    rng = np.random.default_rng(2)
    rows = []
    for condition, evaluator, comparison in itertools.product(
        size.conditions, size.models, COMPARISONS
    ):
        divergence = rng.beta(1.5, 2)
        rows.append(
            key(condition)
            | {
                "evaluator": evaluator,
                "member": evaluator in size.members[condition[2]],
                "comparison": comparison,
                "divergence": divergence,
                "low": max(divergence - 0.08, 0),
                "high": min(divergence + 0.08, 1),
                "median_ratio": rng.lognormal(0, 0.4),
                "n_images": size.images,
            }
        )
    return frame(raw_tables.SIMILARITY, rows)


def image_metrics(size):
    rng = np.random.default_rng(3)
    rows = []
    for condition, measure in itertools.product(size.conditions, MEASURES.values()):
        level = rng.normal(10, 2)
        status = NOT_COMPUTED if measure.weights else "computed"
        for k in range(size.images if measure.per_image else 1):
            value = np.nan if measure.weights else rng.normal(level, 2)
            image_id = f"image_{k}" if measure.per_image else None
            row = {"measure": measure.name, "image_id": image_id, "value": value}
            row |= {"low": None, "high": None} if measure.per_image else _around(value)
            rows.append(key(condition) | row | {"status": status})
    return frame(raw_tables.IMAGE_METRICS, rows)


def _around(value):
    return {"low": value - 1, "high": value + 1}


def mixed_sets(size):
    single = recognizability(size, "mixed")
    rows = []
    for condition, group in single[~single["member"]].groupby(list(CONDITION_KEY)):
        mean = group["recognizability"].mean()
        members = size.members[condition[2]]
        rows.append(
            key(condition)
            | {
                "experiment": "mixed",
                "members": members,
                "size": len(members),
                "n_images": size.images,
                "n_evaluators": len(group),
                "mean": mean,
                "sd": group["recognizability"].std(),
                "adjusted": mean - 0.01,
                "low": mean - 0.05,
                "high": mean + 0.05,
            }
        )
    return frame(result_tables.MIXED_SETS, rows)


def difference_in_means(size):
    rng = np.random.default_rng(4)
    rows = []
    for k, model in enumerate(size.models):
        effect = rng.normal(0, 0.04)
        rows.append(
            {
                "experiment": "mixed",
                "model": model,
                "appearances": 13 + k % 9,
                "n_sets": size.sets,
                "difference": effect + 0.01,
                "low": effect - 0.05,
                "high": effect + 0.06,
                "adjusted": effect,
                "adjusted_low": effect - 0.05,
                "adjusted_high": effect + 0.05,
                "p_value": 0.001 if abs(effect) > 0.07 else 0.5,
                "p_adjusted": 0.02 if abs(effect) > 0.07 else 1.0,
            }
        )
    return frame(result_tables.DIFFERENCE_IN_MEANS, rows)


def power(size, photographs=20):
    rng = np.random.default_rng(10)
    cells = itertools.product(size.conditions, size.models[:4], COMPARISONS, (5, 20, 80))
    rows = []
    for condition, evaluator, comparison, number in cells:
        level, sd = rng.uniform(0.1, 0.9), rng.uniform(0.2, 0.4) / number**0.5
        ends = {"low": max(level - 2 * sd, 0), "high": min(level + 2 * sd, 1)}
        spread = {"sd": sd, "sd_low": 0.8 * sd, "sd_high": 1.3 * sd}
        row = {"evaluator": evaluator, "member": False, "comparison": comparison}
        total = {"n_images": number, "repeats": 200, "n_total": 160, "n_photographs": photographs}
        rows.append(key(condition) | row | total | {"mean": level} | ends | spread)
    return frame(raw_tables.POWER, rows)


def pictures(images=3, side=64):
    """Return wavy images (images, 3, side, side), 8-bit."""
    grid = np.linspace(0, 255, side)
    waves = [(np.sin(np.add.outer(grid, grid * (k + 1)) / 40) + 1) * 127 for k in range(images)]
    ramp = np.tile(grid, (side, 1))
    return np.stack([[wave, ramp, 255 - wave] for wave in waves]).astype(np.uint8)


def traces(size, turns=60):
    rng = np.random.default_rng(6)
    rows = []
    for condition, turn in itertools.product(size.conditions, range(turns)):
        members = size.members[condition[2]]
        for model in [members[turn % len(members)]]:
            for k in range(min(size.images, 20)):
                loss = 0.15 + 0.8 * np.exp(-turn / 12) * rng.lognormal(0, 0.2)
                row = {"image_id": f"image_{k}", "turn": turn, "step": 10 * (turn + 1)}
                row |= {"model": model, "loss": np.float32(loss), "rate": 0.99**turn}
                rows.append(key(condition) | row)
    return frame(raw_tables.TRACES, rows)


def gradient_agreement(size):
    rng = np.random.default_rng(9)
    rows = []
    for condition, step in itertools.product(size.conditions, range(0, 121, 30)):
        pairs = itertools.combinations(size.members[condition[2]][:3], 2)
        for (model, other), k in itertools.product(pairs, range(min(size.images, 20))):
            row = {"image_id": f"image_{k}", "turn": step // 10, "step": step, "model": model}
            row |= {"other": other, "cosine": rng.normal(0.2 * np.exp(-step / 60), 0.05)}
            rows.append(key(condition) | row)
    return frame(raw_tables.GRADIENT_AGREEMENT, rows)


def optimisation(size):
    rng = np.random.default_rng(7)
    rows = []
    for condition, k in itertools.product(size.conditions, range(min(size.images, 20))):
        for model in size.members[condition[2]]:
            after = rng.lognormal(-1.6, 0.3)
            row = {"image_id": f"image_{k}", "model": model, "loss_before": rng.normal(1, 0.02)}
            row |= {"steps": 300, "evaluations": 300, "target": None, "reached": None}
            rows.append(key(condition) | row | {"loss_after": after, "loss_stored": after + 0.01})
    return frame(raw_tables.OPTIMISATION, rows)


def recognition(size, images=3):
    rng = np.random.default_rng(8)
    rows = []
    for condition, k, evaluator in itertools.product(size.conditions, range(images), size.models):
        judged = {
            "image_id": f"image_{k}",
            "evaluator": evaluator,
            "rule": "self",
            "label_space": "1000",
        }
        member = {"member": evaluator in size.members[condition[2]], "same_weights": False}
        member |= {"related": False, "trained": True, "right": True}
        rows.append(key(condition) | judged | member | {"recognised": rng.random() < 0.5})
    return frame(recognition_tables.RECOGNITION, rows)


def ensemble_gain(size):
    rng = np.random.default_rng(9)
    singles = [name for name, members in size.members.items() if len(members) == 1]
    rows = []
    for condition, against in itertools.product(size.conditions, [*singles[:2], "members"]):
        if condition[2] in singles:
            continue
        gain = rng.normal(0.2, 0.1)
        ends = {"low": gain - 0.15, "high": gain + 0.15, "images_low": gain - 0.1}
        row = {"experiment": "main", "against": against, "singles": [against], "rule": "self"}
        row |= {"label_space": "1000", "n_images": size.images, "n_evaluators": 2, "ensemble": 0.6}
        row |= {"single": 0.6 - gain, "difference": gain, "images_high": gain + 0.1}
        rows.append(key(condition) | row | ends)
    return frame(recognition_tables.ENSEMBLE_GAIN, rows)


def equal_loss(size):
    rng = np.random.default_rng(12)
    rows = []
    for condition in size.conditions:
        share, gain = rng.uniform(0.2, 0.8), rng.normal(0.1, 0.05)
        row = {"experiment": "main", "baseline": "set_00", "rule": "self", "label_space": "1000"}
        row |= {"target": 0.2, "n_images": size.images - 2, "n_references": size.images}
        row |= {"reached": 0.9, "loss": 0.19, "evaluations": 100.0, "n_evaluators": 1}
        row |= {"recognizability": share, "low": share - 0.1, "high": share + 0.1}
        if condition[2] != "set_00":
            row |= {"difference": gain}
            row |= {"difference_low": gain - 0.1, "difference_high": gain + 0.1}
        rows.append(key(condition) | row)
    return frame(recognition_tables.EQUAL_LOSS, rows)


def shared_invariance(size):
    return _drawn(similarity_tables.SHARED_INVARIANCE, size)


def cross_stage(size):
    return _drawn(similarity_tables.CROSS_STAGE, size, judged_stage=size.stages)


def _drawn(table, size, **more):
    """Return a table whose shares are drawn, a row per condition, evaluator and further value."""
    rng = np.random.default_rng(0)
    rows = []
    for condition, evaluator in itertools.product(size.conditions, size.models):
        given = {"evaluator": evaluator, "member": evaluator in size.members[condition[2]]}
        given |= {"n_images": size.images, "n_members": 1}
        for values in itertools.product(*more.values()):
            row = {name: rng.random() for name in table.schema.names}
            rows.append(row | key(condition) | given | dict(zip(more, values, strict=True)))
    return frame(table, rows)
