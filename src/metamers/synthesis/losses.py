"""The loss of Algorithm 1."""

from __future__ import annotations

import torch
from torch import Tensor


def inversion_loss(
    activations: Tensor, targets: Tensor, target_norms: Tensor | None = None
) -> Tensor:
    """Return each metamer's distance to its reference, relative to the reference.

    The norm of the difference over the norm of the reference's activation (paper, section
    3.2): 0 where they are equal, 1 where the metamer's activation vanishes. No unit.

    Parameters
    ----------
    activations, targets
        Activations of metamers and references, ``(batch, …)``, of one shape.
    target_norms
        Norms of the targets, ``(batch,)``, where the caller has them already.

    Raises
    ------
    ValueError
        If the shapes differ, or a reference's activation is all zeros.
    """
    if activations.shape != targets.shape:
        raise ValueError(
            f"activations are {tuple(activations.shape)}, targets {tuple(targets.shape)}"
        )
    if target_norms is None:
        target_norms = norms(targets)
    difference = torch.flatten(activations - targets, 1)
    return torch.linalg.vector_norm(difference, dim=1) / target_norms


def norms(targets: Tensor, chunk_size: int | None = None) -> Tensor:
    """Return the norm of each reference's activation, ``(batch,)``, computed chunk by chunk.

    Raises
    ------
    ValueError
        If one is zero: there is then nothing to invert.
    """
    chunks = targets.flatten(1).split(chunk_size or len(targets))
    values = torch.cat([torch.linalg.vector_norm(chunk, dim=1) for chunk in chunks])
    if bool((values == 0).any()):
        silent = torch.nonzero(values == 0).flatten().tolist()
        raise ValueError(f"the activations of the references {silent} are all zeros")
    return values
