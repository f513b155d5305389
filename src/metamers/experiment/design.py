"""Who sees which image: each photograph once, in conditions that are balanced over people."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from metamers.config.finished_run import FinishedRun
from metamers.config.plan import Condition
from metamers.images.classes import CATEGORIES
from metamers.images.crops import photograph_of

UNCHANGED = "photograph"  # in place of a condition: the photograph itself
CATCH, PRACTICE, TEST = "catch", "practice", "test"


@dataclass(frozen=True)
class Design:
    """The images of a task and the lists that are dealt to people.

    Attributes
    ----------
    stimuli
        A row per photograph and condition: ``file``, ``image_id``, ``category``, ``condition``.
        The file's name tells nothing of the others.
    lists
        Files of the images that one person sees. There are as many lists as conditions; each
        has each photograph once, and together they have each photograph in each condition.
    """

    stimuli: pd.DataFrame
    lists: Sequence[Sequence[str]]


def design(
    run: FinishedRun, conditions: Sequence[Condition], seed: int, with_photographs: bool = True
) -> Design:
    """Return the design of a task on the photographs that belong to one of the 16 categories.

    Photographs of a category follow one another, in an order drawn by the seed, and the next
    photograph gets the next condition (a Latin square): conditions are spread evenly over
    people, photographs and categories. Of several crops of a photograph one is drawn.

    Parameters
    ----------
    conditions
        Those whose metamers are shown; of one draw of references.
    with_photographs
        Whether the photographs themselves are one more condition: how well people do at best.

    Raises
    ------
    ValueError
        If no photograph has a category, or the conditions are of several draws.
    """
    draws = {condition.references for condition in conditions}
    if len(draws) != 1:
        raise ValueError(f"the conditions are of the draws {sorted(draws)}; expected those of one")
    rng = np.random.default_rng(seed)
    images = _images(run, draws.pop(), rng)
    names = [*map(str, conditions), *([UNCHANGED] if with_photographs else [])]
    names = [names[index] for index in rng.permutation(len(names))]
    stimuli = images.merge(pd.DataFrame({"condition": names}), "cross")
    shown = zip(stimuli["condition"], stimuli["image_id"], strict=True)
    stimuli["file"] = [blind_name(seed, *what) for what in shown]
    files = stimuli.set_index(["image_id", "condition"])["file"]
    lists = [
        sorted(  # by their blind names: the order tells nothing
            files[image_id, names[(place + shift) % len(names)]]
            for place, image_id in enumerate(images["image_id"])
        )
        for shift in range(len(names))
    ]
    return Design(stimuli, lists)


def blind_name(seed: int, *what: str) -> str:
    """Return a file's name that tells nothing of what is in it to those without the key."""
    text = "\n".join([str(seed), *what])
    return hashlib.sha256(text.encode()).hexdigest()[:16] + ".png"


def _images(run: FinishedRun, draw: str, rng: np.random.Generator) -> pd.DataFrame:
    """Return columns image_id and category: one image of each photograph, by category."""
    table = run.table("references")
    table = table[(table["references"] == draw) & table["category"].isin(CATEGORIES)]
    if table.empty:
        raise ValueError(
            f"no image of {draw!r} belongs to one of the 16 categories ({', '.join(CATEGORIES)}), "
            "which people are asked for: take references with such labels (docs/data.md)"
        )
    shuffled = table.iloc[rng.permutation(len(table))]
    one_each = shuffled[~shuffled["image_id"].map(photograph_of).duplicated()]
    ordered = one_each.sort_values("category", kind="stable", ignore_index=True)
    return ordered[["image_id", "category"]]
