"""Small predictions, worked by hand, for tests of what is made of them."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from metamers.config.plan import Condition

MEMBERS = {"one": ["a"], "two": ["b"], "pair": ["a", "b"]}
WEIGHTS = {"a": "wa", "b": "wb", "c": "wc", "twin": "wa"}
EVALUATORS = ("a", "b", "c", "twin")
IMAGES = ("dog", "cat", "cup")


def condition(model_set="pair", stage="late", bound="unbounded", recipe="main"):
    return Condition("photographs", recipe, model_set, stage, bound)


def answered(rows):
    """Return a frame of answers; ``answer`` is a class, its 16-way classes named after it."""
    frame = pd.DataFrame(rows)
    answer = frame.pop("answer")
    return frame.assign(
        predicted=answer.astype("int16"),
        probability=np.float32(0.5),
        category_mean=[f"mean{k // 10}" for k in answer],
        category_first=[f"first{k // 10}" for k in answer],
    )


def references():
    return pd.DataFrame(
        {
            "references": "photographs",
            "image_id": IMAGES,
            "label": pd.array([11, 25, None], dtype="Int16"),
            "wnid": ["n1", "n2", None],
            "category": ["mean1", None, None],
            "source": "file",
            "sha256": "0",
            "crop": "none",
        }
    )


def reference_predictions(answers):
    """Return the table, from the answers to the three images by evaluator."""
    return answered(
        [
            {"references": "photographs", "image_id": i, "evaluator": e, "answer": answer}
            for e, given in answers.items()
            for i, answer in zip(IMAGES, given, strict=True)
        ]
    )


def predictions(answers, model_set="pair", **changes):
    """Return the table for one condition, from the answers to its metamers by evaluator."""
    key = condition(model_set, **changes).columns()
    return answered(
        [
            key | {"image_id": i, "evaluator": e, "answer": answer}
            for e, given in answers.items()
            for i, answer in zip(IMAGES, given, strict=True)
        ]
    )


def recognition(shares, members, n_images=10, seed=0):
    """Return a frame of recognition, rule ``self`` of 1000 classes, with exact shares.

    ``shares`` are by condition and evaluator; which images are recognised is drawn.
    """
    rng = np.random.default_rng(seed)
    images = [f"image{k:03d}" for k in range(n_images)]
    parts = []
    for key, by_evaluator in shares.items():
        for evaluator, share in by_evaluator.items():
            right = rng.permutation(np.arange(n_images) < round(share * n_images))
            flags = {"member": evaluator in members[key.model_set], "same_weights": False}
            flags |= {"related": False, "trained": evaluator != "random", "right": True}
            names = key.columns() | {"evaluator": evaluator, "rule": "self", "label_space": "1000"}
            parts.append(pd.DataFrame(names | flags | {"image_id": images, "recognised": right}))
    return pd.concat(parts, ignore_index=True)


def of_all(names, values=0.5):
    """Return every condition of some sets and stages, with one share for each evaluator."""
    return {
        condition(model_set, stage): dict.fromkeys(EVALUATORS[:3], values)
        for model_set, stage in itertools.product(names, ("early", "late"))
    }


def cells_of(frame, **where):
    """Return the rows that have these values."""
    for name, value in where.items():
        frame = frame[frame[name] == value]
    return frame
