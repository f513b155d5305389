"""Ensemble metamers by projected gradient descent (Algorithm 1 of the paper)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from metamers import initializers, schedules
from metamers.bounds import Bound
from metamers.losses import inversion_loss, norms
from metamers.recipes import GRADIENTS, Settings, Turn, turns

Activations = Callable[[Tensor], Tensor]
SMALLEST_BATCH = 2  # a batch of one takes other kernels, with other rounding


@dataclass(frozen=True)
class Target:
    """What one model wants of the metamers of a batch.

    Attributes
    ----------
    features
        Images, ``(batch, 3, height, width)``, to the activation at the stage.
    activations
        That of the references, ``(batch, …)``.
    norms
        Its norm for each reference, ``(batch,)``.
    """

    features: Activations
    activations: Tensor
    norms: Tensor

    @classmethod
    def of(cls, features: Activations, references: Tensor) -> Target:
        """Return what a model wants, from the references of the batch."""
        with torch.no_grad():
            activations = features(references)
        return cls(features, activations, norms(activations))

    def losses(self, images: Tensor) -> Tensor:
        """Return the loss of each image, ``(batch,)``."""
        with torch.no_grad():
            return inversion_loss(self.features(images), self.activations, self.norms)

    def gradient(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradient of each image's own loss, and the losses."""
        leaf = images.detach().requires_grad_(True)
        losses = inversion_loss(self.features(leaf), self.activations, self.norms)
        (gradient,) = torch.autograd.grad(losses.sum(), leaf)
        return gradient, losses.detach()

    def select(self, rows: Tensor) -> Target:
        """Return the same for some images of the batch."""
        return Target(self.features, self.activations[rows], self.norms[rows])


@dataclass(frozen=True)
class Record:
    """Losses of the images of a batch at the last step of a turn.

    ``models`` and ``losses`` are ``(batch,)``: the index of the model, and its loss.
    """

    turn: int
    step: int
    rate: float
    models: np.ndarray
    losses: np.ndarray


@dataclass
class State:
    """All that changes during the synthesis of a batch: enough to go on from here."""

    turn: int
    images: Tensor
    records: list[Record] = field(default_factory=list)


@dataclass(frozen=True)
class Synthesis:
    """Metamers, and how well they were optimised.

    Attributes
    ----------
    metamers
        ``(n, 3, height, width)``, float32, on the CPU.
    losses_before, losses_after, losses_stored
        Loss of each image for each model, ``(n, models)``: at the start, at the end, and of
        the image rounded to 8 bits, which is what is evaluated.
    records
        Losses along the way, for each batch of images.
    """

    metamers: Tensor
    losses_before: np.ndarray
    losses_after: np.ndarray
    losses_stored: np.ndarray
    records: list[Record]


def to_8_bits(images: Tensor) -> Tensor:
    """Return images in [0, 1] as the nearest 8-bit values, ``uint8``."""
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


class Interrupted(Exception):  # noqa: N818  (a request that was obeyed, not an error)
    """Synthesis was asked to stop; the state is that of the last whole turn."""


def synthesize(
    features: Mapping[str, Activations],
    references: Tensor,
    image_ids: Sequence[str],
    bound: Bound,
    settings: Settings,
    seed: int = 0,
    state: State | None = None,
    on_turn: Callable[[State], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Synthesis:
    """Return one metamer per reference: images that every model confuses with it.

    An image's metamer does not depend on the others of the batch, nor on their order.

    Parameters
    ----------
    features
        For each model of the set, by name and in order, the function from images to the
        activation at the stage (`metamers.stages.Features`).
    references
        ``(n, 3, height, width)`` in [0, 1], float32, on the models' device.
    image_ids
        One per reference; with the seed they decide where each metamer starts.
    bound, settings
        The set that pixels are kept in, and the solver's hyperparameters.
    seed
        Seed of the run.
    state
        Where to go on from, if the work was interrupted.
    on_turn
        Called with the state after each turn.
    stop
        Asked after each step whether to give up the turn and raise `Interrupted`.

    Raises
    ------
    FloatingPointError
        If a loss is not a finite number.
    Interrupted
        If ``stop`` said so.
    """
    n_images = len(references)
    references = _pad(references)
    ids = list(image_ids) + [image_ids[0]] * (len(references) - n_images)
    start = initializers.initialize(settings.initializer, references, ids, seed)
    if settings.pixel_range is not None:
        start.clamp_(*settings.pixel_range)
    solver = Solver(
        targets=[Target.of(function, references) for function in features.values()],
        centers=bound.around(start, references),
        bound=bound,
        settings=settings,
        names=list(features),
        image_ids=ids,
    )
    state = state or State(0, start.clone())
    plan, repetitions = turns(settings, len(features), seed)
    while state.turn < len(plan):
        turn = plan[state.turn]
        rate = schedules.rate(settings.schedule, turn.repetition, repetitions, turn.first_step)
        solver.take(turn, rate, state, stop or (lambda: False))
        if on_turn:
            on_turn(state)
    return solver.result(start, state, n_images)


@dataclass(frozen=True)
class Share:
    """A model's part in a turn: all images of the batch (``rows`` is None), or some."""

    model: int
    target: Target
    rows: Tensor | None = None


@dataclass(frozen=True)
class Solver:
    """The parts of a batch's synthesis that do not change."""

    targets: Sequence[Target]
    centers: Tensor
    bound: Bound
    settings: Settings
    names: Sequence[str]
    image_ids: Sequence[str]

    def take(self, turn: Turn, rate: float, state: State, stop: Callable[[], bool]) -> None:
        """Do the steps of one turn, and write them into the state."""
        if turn.models:
            shares = [Share(index, self.targets[index]) for index in turn.models]
        else:
            shares = self.worst(state.images)
        images = state.images.clone()
        for _ in range(turn.steps):
            gradient, losses = combined_gradient(shares, images)
            self.step(images, gradient, rate)
            if stop():
                raise Interrupted
        records = self.records(turn, rate, state.turn, shares, losses)
        self.require_finite(records)
        state.images, state.turn = images, state.turn + 1
        state.records.extend(records)

    def step(self, images: Tensor, gradient: Tensor, rate: float) -> None:
        """Move the images against the gradient, in place, and project them."""
        images.sub_(direction(self.settings.gradient, gradient), alpha=rate)
        if not self.bound.is_idle(self.settings.pixel_range, images[0].numel()):
            self.bound.project_(images, self.centers)
        if self.settings.pixel_range is not None:
            images.clamp_(*self.settings.pixel_range)

    def worst(self, images: Tensor) -> list[Share]:
        """Return each image's share with the model that has the largest loss for it."""
        losses = torch.stack([target.losses(images) for target in self.targets])
        choice = losses.argmax(dim=0)
        shares = []
        for index in choice.unique().tolist():
            rows = torch.nonzero(choice == index).flatten()
            rows = rows if len(rows) >= SMALLEST_BATCH else rows.repeat(SMALLEST_BATCH)
            shares.append(Share(index, self.targets[index].select(rows), rows))
        return shares

    def records(
        self, turn: Turn, rate: float, index: int, shares: Sequence[Share], losses: Sequence[Tensor]
    ) -> list[Record]:
        """Return the losses of a turn's last step, read back from the device."""
        step = turn.first_step + turn.steps
        n_images = len(self.image_ids)
        whole = [share.rows is None for share in shares]
        if all(whole):
            return [
                Record(index, step, rate, np.full(n_images, share.model), loss.cpu().numpy())
                for share, loss in zip(shares, losses, strict=True)
            ]
        models, values = np.zeros(n_images, dtype=np.int64), np.zeros(n_images, dtype=np.float32)
        for share, loss in zip(shares, losses, strict=True):
            rows = torch.as_tensor(share.rows).cpu().numpy()
            models[rows], values[rows] = share.model, loss.cpu().numpy()
        return [Record(index, step, rate, models, values)]

    def require_finite(self, records: Sequence[Record]) -> None:
        """Raise `FloatingPointError` if a loss is not a finite number."""
        for record in records:
            for image in np.flatnonzero(~np.isfinite(record.losses)):
                raise FloatingPointError(
                    f"the loss of image {self.image_ids[int(image)]!r} for model "
                    f"{self.names[int(record.models[image])]!r} is {record.losses[image]} at step "
                    f"{record.step}; see docs/troubleshooting.md, 'non-finite values'"
                )

    def result(self, start: Tensor, state: State, n_images: int) -> Synthesis:
        """Return the finished metamers with their losses."""
        stored = to_8_bits(state.images).to(state.images.dtype) / 255
        before, after, rounded = (
            np.stack([target.losses(images).cpu().numpy() for target in self.targets], axis=1)
            for images in (start, state.images, stored)
        )
        return Synthesis(
            metamers=state.images[:n_images].cpu().contiguous(),
            losses_before=before[:n_images],
            losses_after=after[:n_images],
            losses_stored=rounded[:n_images],
            records=[
                replace(record, models=record.models[:n_images], losses=record.losses[:n_images])
                for record in state.records
            ],
        )


def combined_gradient(shares: Sequence[Share], images: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return the gradient that the shares agree on, and the losses of each share.

    The mean over the shares that cover the whole batch; elsewhere each image's own share.
    """
    if len(shares) == 1 and shares[0].rows is None:
        gradient, losses = shares[0].target.gradient(images)
        return gradient, [losses]
    total, all_losses = torch.zeros_like(images), []
    for share in shares:
        if share.rows is None:
            gradient, losses = share.target.gradient(images)
            total.add_(gradient, alpha=1 / len(shares))
        else:
            gradient, losses = share.target.gradient(images[share.rows])
            total[share.rows] = gradient
        all_losses.append(losses)
    return total, all_losses


def direction(rule: str, gradient: Tensor) -> Tensor:
    """Return the direction of a step, from the gradient of each image's loss.

    ``raw``: the gradient. ``l2_normalised``: over its norm per image, plus 1e-10 as in
    Feather et al. 2023. ``sign``: its sign.
    """
    if rule == "raw":
        return gradient
    if rule == "l2_normalised":
        lengths = torch.linalg.vector_norm(gradient, dim=(1, 2, 3), keepdim=True)
        return gradient / (lengths + 1e-10)
    if rule == "sign":
        return gradient.sign()
    raise ValueError(f"the gradient rule {rule!r} is not known; known are {', '.join(GRADIENTS)}")


def _pad(references: Tensor) -> Tensor:
    missing = max(0, SMALLEST_BATCH - len(references))
    return torch.cat([references, *[references[:1]] * missing]) if missing else references
