"""How far the models of a set agree on where an image should go: cosines of their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import torch

from metamers.synthesis.objective import ModelObjective


@dataclass(frozen=True)
class Agreement:
    """What the models of a set wanted at one point of a synthesis.

    Attributes
    ----------
    turn
        Turns that were done before.
    step
        Steps of descent that were done before.
    cosines
        Of the gradients of two models' losses by the image, ``(pairs, batch)``, -1 to 1; pairs
        in the order of `pairs`. 0 where a gradient is 0.
    """

    turn: int
    step: int
    cosines: np.ndarray

    def select(self, rows: np.ndarray | slice) -> Agreement:
        """Return the same for some of the images."""
        return replace(self, cosines=self.cosines[:, rows])

    def spread(self, rows: np.ndarray, n_images: int) -> Agreement:
        """Return the same for a batch of which these are some rows: NaN for the others."""
        cosines = np.full((len(self.cosines), n_images), np.nan, dtype=self.cosines.dtype)
        cosines[:, rows] = self.cosines
        return replace(self, cosines=cosines)


def pairs(n_models: int) -> list[tuple[int, int]]:
    """Return the pairs of models by index, in order: (0, 1), (0, 2), …, (1, 2), …."""
    return list(combinations(range(n_models), 2))


def measure(targets: Sequence[ModelObjective], images: torch.Tensor) -> np.ndarray:
    """Return the cosines of all pairs of gradients at some images, ``(pairs, batch)``.

    Costs a gradient of each model.
    """
    gradients = [target.ready().gradient(images)[0].flatten(1).clone() for target in targets]
    cosines = [
        torch.nn.functional.cosine_similarity(gradients[one], gradients[other], eps=1e-20)
        for one, other in pairs(len(targets))
    ]
    return torch.stack(cosines).cpu().numpy()
