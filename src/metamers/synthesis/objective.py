"""The loss of Algorithm 1 and its gradient, for the models of a set and a batch of images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from metamers.synthesis.chunks import CHUNK_SIZE, padded_rows

Activations = Callable[[Tensor], Tensor]
Placement = Literal["device", "host", "recomputed"]


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


@dataclass(frozen=True)
class ModelObjective:
    """What one model wants of the metamers of a batch.

    Attributes
    ----------
    features
        Images, ``(batch, 3, height, width)``, to the activation at the stage.
    references
        The images to be matched, on the device.
    norms
        Norm of the activation of each reference, ``(batch,)``.
    activations
        The activation of the references, ``(batch, …)``, float32, on the device or in pinned
        memory of the host; None if it is to be computed whenever it is wanted.
    replay
        What `gradient` does, recorded by `metamers.synthesis.cuda_graph.capture_gradient`; None
        if it is not.
    """

    features: Activations
    references: Tensor
    norms: Tensor
    activations: Tensor | None
    replay: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None
    chunk_size: int = CHUNK_SIZE

    @classmethod
    def prepare(
        cls,
        features: Activations,
        references: Tensor,
        place: Placement = "device",
        chunk_size: int = CHUNK_SIZE,
    ) -> ModelObjective:
        """Return what a model wants, from the references of the batch."""
        activations = _forward(features, references, chunk_size)
        lengths = norms(activations, chunk_size)
        kept: Tensor | None = activations
        if place == "recomputed":
            kept = None
        elif place == "host":
            kept = _pinned(activations)
        return cls(features, references, lengths, kept, chunk_size=chunk_size)

    def reference_activation(self, rows: slice = slice(None)) -> Tensor:
        """Return the activation of the references, or of a chunk of them, on the device."""
        if self.activations is None:
            return _forward(self.features, self.references[rows], self.chunk_size)
        return self.activations[rows].to(self.references.device, non_blocking=True)

    def ready(self) -> ModelObjective:
        """Return the same with the activations on the device: what a turn works with."""
        return replace(self, activations=self.reference_activation())

    def losses(self, images: Tensor) -> Tensor:
        """Return the loss of each image, ``(batch,)``."""
        with torch.no_grad():
            losses = [
                inversion_loss(
                    _forward(self.features, images[rows], self.chunk_size),
                    self.reference_activation(rows),
                    self.norms[rows],
                )
                for rows in self._chunks()
            ]
        return _joined(losses)

    def gradient(self, images: Tensor, difference: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the gradient of each image's own loss, and the losses.

        The derivative of `inversion_loss` by the activation is written out, which saves passes over
        the activation and memory.

        Parameters
        ----------
        images
            ``(batch, 3, height, width)``.
        difference
            Memory to work in, of the shape of a chunk's activation, float32.
        """
        if self.replay is not None:
            return self.replay(images)
        parts = [self._gradient(images[rows], rows, difference) for rows in self._chunks()]
        gradients, losses = zip(*parts, strict=True)
        return _joined(gradients), _joined(losses)

    def _chunks(self) -> list[slice]:
        size = self.chunk_size
        return [slice(start, start + size) for start in range(0, len(self.references), size)]

    def _gradient(
        self, images: Tensor, rows: slice, difference: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return gradient and losses of one chunk: ``images`` are those of ``rows``."""
        leaf = images.detach().requires_grad_(True)
        found = self.features(leaf)
        with torch.no_grad():
            difference = None if difference is None else difference[: len(found)]
            difference = torch.sub(found, self.reference_activation(rows), out=difference)
            lengths = torch.linalg.vector_norm(difference, dim=tuple(range(1, found.dim())))
            losses = lengths / self.norms[rows]
            # As torch defines the gradient of a norm: zero where the norm is.
            weights = (1 / self.norms[rows] / lengths).masked_fill_(lengths == 0, 0)
            difference.mul_(weights.view(-1, *[1] * (found.dim() - 1)))
        (gradient,) = torch.autograd.grad(found, leaf, difference.to(found.dtype))
        return gradient, losses

    def select(self, rows: Tensor) -> ModelObjective:
        """Return the same for some images of the batch."""
        kept = self.activations
        return replace(
            self,
            references=self.references[rows],
            norms=self.norms[rows],
            activations=None if kept is None else kept[rows.to(kept.device)],
            replay=None,
        )


@dataclass(frozen=True)
class Assignment:
    """A model's part in a turn: all images of the batch (``rows`` is None), or some."""

    model: int
    target: ModelObjective
    rows: Tensor | None = None


def worst_model_assignments(targets: Sequence[ModelObjective], images: Tensor) -> list[Assignment]:
    """Return each image's assignment with the model that has the largest loss for it."""
    losses = torch.stack([target.losses(images) for target in targets])
    choice = losses.argmax(dim=0)
    assignments = []
    for index in choice.unique().tolist():
        rows = torch.nonzero(choice == index).flatten()
        whole = padded_rows(len(rows), targets[index].chunk_size)
        rows = rows[torch.from_numpy(whole).to(rows.device)]
        assignments.append(Assignment(index, targets[index].select(rows), rows))
    return assignments


@dataclass(frozen=True)
class Workspace:
    """What the steps of a turn write into, so that they need not ask for it again.

    Attributes
    ----------
    differences
        For each assignment, of its activation's shape; None where the activation is not kept on
        the device, for want of room, or the gradient is replayed.
    total
        For the gradient, where each image has its own assignment.
    """

    differences: Sequence[Tensor | None]
    total: Tensor | None

    @classmethod
    def allocate(cls, assignments: Sequence[Assignment], images: Tensor) -> Workspace:
        """Allocate the memory for a turn."""
        kept = [
            one.target.activations if one.target.replay is None else None for one in assignments
        ]
        differences = [
            torch.empty_like(one[: assignment.target.chunk_size])
            if one is not None and one.device == images.device
            else None
            for assignment, one in zip(assignments, kept, strict=True)
        ]
        split = any(assignment.rows is not None for assignment in assignments)
        return cls(differences, torch.empty_like(images) if split else None)


class Evaluation(NamedTuple):
    """What one evaluation of a batch gives.

    Attributes
    ----------
    gradient
        By the images, ``(batch, 3, height, width)``; may lie in the workspace.
    losses
        Of each assignment, one for each of its images.
    """

    gradient: Tensor
    losses: list[Tensor]


def combined_gradient(
    assignments: Sequence[Assignment],
    images: Tensor,
    workspace: Workspace | None = None,
    squared: bool = False,
) -> Evaluation:
    """Return the gradient that the assignments agree on, and the losses of each.

    The mean over the assignments that cover the whole batch; elsewhere each image's own.

    Parameters
    ----------
    assignments
        Either all cover the batch, or each image has one.
    images
        ``(batch, 3, height, width)``.
    workspace
        That of the turn.
    squared
        Whether the gradient is that of the losses' squares.
    """
    workspace = workspace or Workspace.allocate(assignments, images)
    total, all_losses = workspace.total, []
    for assignment, difference in zip(assignments, workspace.differences, strict=True):
        part = images if assignment.rows is None else images[assignment.rows]
        gradient, losses = assignment.target.gradient(part, difference)
        all_losses.append(losses)
        if squared:
            gradient.mul_(2 * losses.view(-1, 1, 1, 1))
        if assignment.rows is not None:
            torch.as_tensor(total)[assignment.rows] = gradient
        elif total is None:
            total = gradient.mul_(1 / len(assignments)) if len(assignments) > 1 else gradient
        else:
            total.add_(gradient, alpha=1 / len(assignments))
    return Evaluation(torch.as_tensor(total), all_losses)


def _forward(features: Activations, images: Tensor, chunk_size: int) -> Tensor:
    with torch.no_grad():
        return _joined([features(chunk).float() for chunk in images.split(chunk_size)])


def _joined(chunks: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(chunks)) if len(chunks) > 1 else chunks[0]


def _pinned(activations: Tensor) -> Tensor:
    """Return a copy in the host's memory, from where a GPU can fetch it without waiting."""
    if not activations.is_cuda:
        return activations
    return torch.empty_like(activations, device="cpu", pin_memory=True).copy_(activations)
