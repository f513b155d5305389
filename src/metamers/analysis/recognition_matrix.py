"""Recognition as matrices: for one condition and rule, evaluators by photographs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metamers.analysis.recognition import FLAGS
from metamers.config.plan import Condition
from metamers.images import crops
from metamers.storage.columns import CONDITION_KEY

Experiments = Mapping[str, Sequence[Condition]]


@dataclass(frozen=True)
class RecognitionMatrix:
    """Who recognised which metamer of one condition, by one rule.

    Attributes
    ----------
    condition
        The condition whose metamers were judged.
    photographs
        What is resampled: the images or, where they are crops, the photographs that they are of.
    recognised
        Shape (evaluators, photographs): share of a photograph's images that was recognised; 1
        or 0 where each image is a photograph of its own. NaN where images were selected and
        an evaluator has none of the photograph's.
    n_images
        Number of images.
    member, same_weights, related, trained
        Shape (evaluators,): flags of the table `recognition`.
    """

    condition: Condition
    rule: str
    label_space: str
    evaluators: tuple[str, ...]
    photographs: tuple[str, ...]
    recognised: NDArray[np.float32]
    n_images: int
    member: NDArray[np.bool_]
    same_weights: NDArray[np.bool_]
    related: NDArray[np.bool_]
    trained: NDArray[np.bool_]

    @property
    def held_out(self) -> NDArray[np.bool_]:
        """Return which evaluators are neither members nor have the weights of one."""
        return ~(self.member | self.same_weights)

    def of(self, group: str) -> NDArray[np.bool_]:
        """Return which evaluators belong to a group of `metamers.storage.columns.GROUPS`."""
        groups = {
            "trained": self.held_out & self.trained,
            "unrelated": self.held_out & self.trained & ~self.related,
            "held_out": self.held_out,
            "members": self.member,
            "all": np.ones_like(self.member),
        }
        return groups[group]

    def part(self, group: str) -> tuple[tuple[str, ...], NDArray[np.float64]]:
        """Return the names and the recognition of the evaluators of a group."""
        chosen = self.of(group)
        names = tuple(np.array(self.evaluators)[chosen].tolist())
        return names, self.recognised[chosen].astype(np.float64)

    def columns(self) -> dict[str, str]:
        """Return the condition, the rule and the label space as cells of a table's row."""
        return self.condition.columns() | {"rule": self.rule, "label_space": self.label_space}


def cells(recognition: pd.DataFrame, *, selected: bool = False) -> list[RecognitionMatrix]:
    """Return the matrices of a frame with the columns of the table `recognition`.

    Parameters
    ----------
    selected
        Judgements were chosen, so that evaluators may differ in their images, and photographs
        in their number of crops.

    Raises
    ------
    ValueError
        If an evaluator did not judge every image that the others judged.
    """
    by = [*CONDITION_KEY, "rule", "label_space"]
    grouped = recognition.groupby(by, observed=True, sort=True)
    return [_cell(key, rows, selected) for key, rows in grouped]


def select(
    found: Iterable[RecognitionMatrix], experiments: Experiments
) -> list[tuple[str, list[RecognitionMatrix]]]:
    """Return the cells of each experiment, in the order of its conditions.

    Raises
    ------
    ValueError
        If an experiment asks for a condition that has no predictions.
    """
    by_condition: dict[Condition, list[RecognitionMatrix]] = {}
    for cell in found:
        by_condition.setdefault(cell.condition, []).append(cell)
    chosen = []
    for name, conditions in experiments.items():
        absent = [condition for condition in conditions if condition not in by_condition]
        if absent:
            raise ValueError(
                f"experiment {name!r} has {len(absent)} conditions without predictions, the "
                f"first being {absent[0]!r}"
            )
        chosen.append((name, [cell for c in conditions for cell in by_condition[c]]))
    return chosen


def alike(
    chosen: Iterable[RecognitionMatrix],
) -> dict[tuple[tuple[str, str], ...], list[RecognitionMatrix]]:
    """Return the cells that differ in their model set alone, by what they share."""
    found: dict[tuple[tuple[str, str], ...], list[RecognitionMatrix]] = {}
    for cell in chosen:
        shared = tuple((k, v) for k, v in cell.columns().items() if k != "model_set")
        found.setdefault(shared, []).append(cell)
    return found


def contrast(
    one: RecognitionMatrix, others: Sequence[RecognitionMatrix], group: str = "held_out"
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Return how much more one cell is recognised than the mean of others.

    Returns
    -------
    evaluators
        Those of the group for every cell; there may be none.
    difference
        Shape (evaluators, photographs), from -1 to 1.

    Raises
    ------
    ValueError
        If the cells were judged by other evaluators or on other images.
    """
    chosen = one.of(group).copy()
    for other in others:
        if (one.evaluators, one.photographs) != (other.evaluators, other.photographs):
            raise ValueError(
                f"{one.condition} and {other.condition} cannot be compared: they were judged "
                f"by {one.evaluators} and {other.evaluators}, on {len(one.photographs)} and "
                f"{len(other.photographs)} photographs"
            )
        chosen &= other.of(group)
    mean = np.mean([other.recognised[chosen] for other in others], axis=0, dtype=np.float64)
    names = tuple(name for name, wanted in zip(one.evaluators, chosen, strict=True) if wanted)
    return names, one.recognised[chosen] - mean


def _cell(key: tuple[Any, ...], rows: pd.DataFrame, selected: bool) -> RecognitionMatrix:
    evaluator, evaluators = pd.factorize(rows["evaluator"], sort=True)
    image, images = pd.factorize(rows["image_id"], sort=True)
    shape = (len(evaluators), len(images))
    if len(rows) != shape[0] * shape[1] and not selected:
        raise ValueError(
            f"{key!r}: {len(rows)} judgements for {shape[0]} evaluators and {shape[1]} images; "
            "each evaluator must have judged each image once"
        )
    recognised = np.full(shape, np.nan, dtype=np.float32)
    recognised[evaluator, image] = rows["recognised"]
    flags = {name: np.zeros(shape[0], dtype=bool) for name in FLAGS}
    for name, flag in flags.items():
        flag[evaluator] = rows[name]
    names = tuple(map(str, key))
    photographs, shares = _by_photograph(list(map(str, images)), recognised, selected)
    return RecognitionMatrix(
        Condition(*names[:-2]),
        names[-2],
        names[-1],
        tuple(map(str, evaluators)),
        photographs,
        shares,
        len(images),
        **flags,
    )


def _by_photograph(
    images: Sequence[str], recognised: NDArray[np.float32], selected: bool
) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Return the photographs that images are of, and the mean over the images of each."""
    if not any(map(crops.is_crop, images)):
        return tuple(images), recognised
    photograph = crops.photographs(images)
    number = np.bincount(photograph)
    if len(set(number)) > 1 and not selected:
        raise ValueError(
            f"photographs have from {number.min()} to {number.max()} crops; all need "
            "as many, so that their means count alike"
        )
    belongs = photograph[:, None] == np.arange(number.size)
    names = sorted({crops.photograph_of(image) for image in images})
    known = (~np.isnan(recognised)).astype(np.float32) @ belongs
    seen = np.nan_to_num(recognised) @ belongs
    shares = np.divide(seen, known, out=np.full(seen.shape, np.nan), where=known > 0)
    return tuple(names), shares.astype(np.float32)
