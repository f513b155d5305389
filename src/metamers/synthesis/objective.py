"""What the models of a set want of the metamers of a batch: losses and gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from metamers.synthesis.chunks import CHUNK_SIZE, padded_rows
from metamers.synthesis.losses import inversion_loss, norms

Activations = Callable[[Tensor], Tensor]
Placement = Literal["device", "host", "recomputed"]


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
        What `gradient` does, recorded (`metamers.execution.ways.captured`); None if it is not.
    """

    features: Activations
    references: Tensor
    norms: Tensor
    activations: Tensor | None
    replay: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None
    chunk_size: int = CHUNK_SIZE

    @classmethod
    def of(
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

        What `metamers.synthesis.losses.inversion_loss` is by the activation is written out here,
        which saves passes over the activation and memory.

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
    """Return each image's share with the model that has the largest loss for it."""
    losses = torch.stack([target.losses(images) for target in targets])
    choice = losses.argmax(dim=0)
    shares = []
    for index in choice.unique().tolist():
        rows = torch.nonzero(choice == index).flatten()
        whole = padded_rows(len(rows), targets[index].chunk_size)
        rows = rows[torch.from_numpy(whole).to(rows.device)]
        shares.append(Assignment(index, targets[index].select(rows), rows))
    return shares


@dataclass(frozen=True)
class Workspace:
    """What the steps of a turn write into, so that they need not ask for it again.

    Attributes
    ----------
    differences
        For each share, of the shape of a chunk's activation; None where the activation is not
        kept on the device, for want of room, or the gradient is replayed.
    total
        For the gradient, where each image has its own share.
    """

    differences: Sequence[Tensor | None]
    total: Tensor | None

    @classmethod
    def of(cls, shares: Sequence[Assignment], images: Tensor) -> Workspace:
        """Take the memory for a turn."""
        kept = [s.target.activations if s.target.replay is None else None for s in shares]
        differences = [
            torch.empty_like(one[: share.target.chunk_size])
            if one is not None and one.device == images.device
            else None
            for share, one in zip(shares, kept, strict=True)
        ]
        split = any(share.rows is not None for share in shares)
        return cls(differences, torch.empty_like(images) if split else None)


def combined_gradient(
    shares: Sequence[Assignment], images: Tensor, memory: Workspace | None = None
) -> tuple[Tensor, list[Tensor]]:
    """Return the gradient that the shares agree on, and the losses of each share.

    The mean over the shares that cover the whole batch; elsewhere each image's own share.

    Parameters
    ----------
    shares
        Either all cover the batch, or each image has one.
    images
        ``(batch, 3, height, width)``.
    memory
        That of the turn; what is returned may lie in it.
    """
    memory = memory or Workspace.of(shares, images)
    total, all_losses = memory.total, []
    for share, difference in zip(shares, memory.differences, strict=True):
        part = images if share.rows is None else images[share.rows]
        gradient, losses = share.target.gradient(part, difference)
        all_losses.append(losses)
        if share.rows is not None:
            torch.as_tensor(total)[share.rows] = gradient
        elif total is None:
            total = gradient.mul_(1 / len(shares)) if len(shares) > 1 else gradient
        else:
            total.add_(gradient, alpha=1 / len(shares))
    return torch.as_tensor(total), all_losses


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
