"""Who runs against whom: our solver, the bare limit, the predecessor's rule, plenoptic.

All start from the same images, want the same activations of the same network, and take steps of
the same length. Each is given the network inside a `Clock` and says which of the clock's calls
began its steps.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from timm.models import create_feature_extractor
from torch import Tensor, nn
from tqdm.auto import tqdm

from metamers import snakemake_script
from metamers.synthesis import initializers
from metamers.synthesis.settings import Bound, SynthesisSettings
from metamers.synthesis.solver import synthesize

RATE = 1.0
STEPS_PER_TURN = 10


@dataclass(frozen=True)
class Task:
    """What is wanted: metamers of these references, from these starts."""

    references: Tensor
    start: Tensor

    @classmethod
    def of(cls, references: Tensor) -> Task:
        """Start from the paper's noise."""
        recipe = settings(STEPS_PER_TURN)
        ids = image_ids(len(references))
        return cls(references, initializers.initialize(recipe.initializer, references, ids, 0))

    def first(self, count: int) -> Task:
        """Return the task of the first images alone."""
        return Task(self.references[:count], self.start[:count])


@dataclass(frozen=True)
class Steps:
    """Which calls of the clock began a step: every ``calls``-th, from ``first``."""

    first: int
    calls: int = 1


@dataclass(frozen=True)
class Seconds:
    """Time of one image-step. On a GPU both are the device's own time."""

    process: float
    wall: float


class Clock(nn.Module):
    """A function of images that notes when it is called."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.marks: list[tuple[float, float] | torch.cuda.Event] = []

    def forward(self, images: Tensor) -> Tensor:
        """Note the time, and call the function."""
        self.marks.append(_now(images.device))
        return self.function(images)

    def per_image_step(self, steps: Steps, warm: int, timed: int, images: int) -> Seconds:
        """Return the time of the steps after the warm ones."""
        begin = self.marks[steps.first + steps.calls * warm]
        end = self.marks[steps.first + steps.calls * (warm + timed)]
        process, wall = _between(begin, end)
        return Seconds(process / timed / images, wall / timed / images)


def _now(device: torch.device) -> tuple[float, float] | torch.cuda.Event:
    if device.type != "cuda":
        return time.process_time(), time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def _between(begin, end) -> tuple[float, float]:
    if isinstance(begin, tuple):
        return end[0] - begin[0], end[1] - begin[1]
    end.synchronize()
    seconds = begin.elapsed_time(end) / 1000
    return seconds, seconds


@dataclass(frozen=True)
class Contestant:
    """A way to make metamers, with its network.

    Attributes
    ----------
    run
        ``(clock, task, steps)`` to the calls that began its steps.
    network
        What the clock wraps.
    images
        How many of the task's images it takes; 0: all.
    warm, timed
        Steps before the clock counts, and steps that count.
    as_job
        Whether torch is set as it is in a job of a run, deterministic; else as it is at first.
    """

    run: Callable[[Clock, Task, int], Steps]
    network: Callable[[Tensor], Tensor] = field(repr=False)
    images: int = 0
    warm: int = 1
    timed: int = STEPS_PER_TURN
    as_job: bool = False

    def time(self, task: Task) -> Seconds:
        """Return what one image-step takes."""
        task = task.first(self.images) if self.images else task
        clock = Clock(self.network).eval()
        with _torch_as_in_a_job() if self.as_job else contextlib.nullcontext():
            steps = self.run(clock, task, self.warm + self.timed + 1)
        return clock.per_image_step(steps, self.warm, self.timed, len(task.references))


@contextlib.contextmanager
def _torch_as_in_a_job() -> Iterator[None]:
    snakemake_script.prepare_torch(torch.get_num_threads())
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def settings(steps: int) -> SynthesisSettings:
    """Return the recipe of the contest: turns of 10, normalised gradient, clamp."""
    return SynthesisSettings.of(
        {
            "preset": "paper",
            "gradient": "l2_normalised",
            "budget": {"total_steps": steps, "steps_per_turn": STEPS_PER_TURN},
            "schedule": {"kind": "constant", "start": RATE},
        }
    )


def image_ids(count: int) -> list[str]:
    return [f"image-{index}" for index in range(count)]


def ours(clock: Clock, task: Task, steps: int) -> Steps:
    """The solver as the engine calls it: the losses of each turn are read back and checked."""
    begun: list[int] = []

    def on_turn(state) -> None:
        if not begun:
            begun.append(len(clock.marks) - STEPS_PER_TURN)

    synthesize(
        {"model": clock},
        task.references,
        image_ids(len(task.references)),
        Bound(),
        settings(steps),
        on_turn=on_turn,
        stop=lambda: False,
    )
    return Steps(begun[0])


def limit(clock: Clock, task: Task, steps: int) -> Steps:
    """Forward to the stage, gradient by the image, normalise, step, clamp: nothing else."""
    with torch.no_grad():
        target = torch.flatten(clock(task.references), 1)
        norms = torch.linalg.vector_norm(target, dim=1)
    images, first = task.start.clone(), len(clock.marks)
    for _ in range(steps):
        leaf = images.detach().requires_grad_(True)
        difference = torch.flatten(clock(leaf), 1) - target
        loss = (torch.linalg.vector_norm(difference, dim=1) / norms).sum()
        (gradient,) = torch.autograd.grad(loss, leaf)
        lengths = torch.linalg.vector_norm(gradient, dim=(1, 2, 3), keepdim=True)
        images.sub_(gradient / (lengths + 1e-10), alpha=RATE).clamp_(0, 1)
    return Steps(first)


class WithLatent(nn.Module):
    """A whole classifier that also gives the activation of one layer, as the predecessor has it.

    Its parameters ask for gradients, and its normalisation clamps the images once more.
    """

    def __init__(self, classifier: nn.Module, module: str) -> None:
        super().__init__()
        self.classifier = copy.deepcopy(classifier).requires_grad_(True)
        layer = self.classifier.network.get_submodule(module)
        layer.register_forward_hook(self._hold)

    def _hold(self, module, arguments, output: Tensor) -> None:
        self.latent = output.clone()

    def forward(self, images: Tensor) -> Tensor:
        """Run to the logits, and return the activation of the layer."""
        self.classifier(images.clamp(0, 1))
        latent, self.latent = self.latent, None
        return latent


def predecessor(clock: Clock, task: Task, steps: int) -> Steps:
    """Feather et al. 2023, as coded: two forwards to the logits a step, the first unused."""
    with torch.no_grad():
        target = torch.flatten(clock(task.references), 1)
    images = center = task.start.clone()
    first = len(clock.marks)
    for _ in range(steps):
        images = images.clone().detach().requires_grad_(True)
        discarded = clock(images)
        latent = torch.flatten(clock(images), 1)
        distances = torch.linalg.vector_norm(latent - target, dim=1)
        loss = -(distances / torch.linalg.vector_norm(target, dim=1)).mean()
        (gradient,) = torch.autograd.grad(loss, images)
        del discarded
        lengths = torch.linalg.vector_norm(torch.flatten(gradient, 1), dim=1).view(-1, 1, 1, 1)
        with torch.no_grad():
            moved = images + RATE * gradient / (lengths + 1e-10)
            offsets = (moved - center).renorm(p=2, dim=0, maxnorm=100_000)
            images = torch.clamp(center + offsets, 0, 1)
    return Steps(first, calls=2)


def plenoptic(clock: Clock, task: Task, steps: int) -> Steps:
    """`plenoptic.Metamer` with gradient descent, the relative distance, and no progress bar."""
    from plenoptic._synthesize import metamer as module

    def loss(found: Tensor, wanted: Tensor) -> Tensor:
        distances = torch.linalg.vector_norm(torch.flatten(found - wanted, 1), dim=1)
        return (distances / torch.linalg.vector_norm(torch.flatten(wanted, 1), dim=1)).sum()

    # The bar is drawn at every step; without it plenoptic is faster.
    module.tqdm = functools.partial(tqdm, disable=True)
    metamer = module.Metamer(task.references, clock, loss_function=loss)
    metamer.setup(task.start, optimizer=torch.optim.SGD, optimizer_kwargs={"lr": RATE})
    first = len(clock.marks)
    metamer.synthesize(max_iter=steps, stop_criterion=0)
    return Steps(first)


class _Normalised(nn.Module):
    """A classifier's normalisation and network, with nothing that `torch.fx` cannot follow."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.network = classifier.network
        self.register_buffer("mean", classifier.mean)
        self.register_buffer("std", classifier.std)

    def forward(self, images: Tensor) -> Tensor:
        return self.network((images - self.mean) / self.std)


def truncated(classifier: nn.Module, module: str) -> nn.Module:
    """Return the classifier cut off after a module, by `torch.fx`: no later layer is left."""
    whole = _Normalised(classifier).eval()
    cut = create_feature_extractor(whole, {f"network.{module}": "activation"})
    return _Single(cut).eval().requires_grad_(False)


class _Single(nn.Module):
    def __init__(self, extractor: nn.Module) -> None:
        super().__init__()
        self.extractor = extractor

    def forward(self, images: Tensor) -> Tensor:
        return self.extractor(images)["activation"]
