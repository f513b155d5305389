"""Bounds and recipes: the settings of the solver, and the turns that follow. No torch here."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from functools import cache
from importlib import resources
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from torch import Tensor

STRATEGIES = ("round_robin", "random_order", "mean_gradient", "worst_model")
GRADIENTS = ("raw", "l2_normalised", "rms_normalised", "smoothed", "sign")
OPTIMIZERS = ("sgd", "nesterov", "adam", "lbfgs")
# What an optimizer keeps of each image from step to step, in images.
IMAGES_KEPT = {"sgd": 0, "nesterov": 1, "adam": 2, "lbfgs": 22}
RECTIFIERS = ("plain", "identity_gradient")
NORMS = ("linf", "l2")
CENTERS = ("initial", "reference")
# What a budget may say.
BUDGETS = (
    {"total_steps", "steps_per_turn"},
    {"per_model", "steps_per_turn"},
    {"until_loss", "at_most", "steps_per_turn"},
)
# A backward pass through a network costs about two forward passes.
FORWARD_SHARE = 1 / 3
# One objective from step to step, and its true gradient.
LBFGS_NEEDS = {"ensemble": "mean_gradient", "gradient": "raw", "target_relu": "plain"}


def parse_radius(value: str | float) -> float:
    """Return a radius as a number; it may be written as a fraction, such as ``8/255``.

    Raises
    ------
    ValueError
        If it is neither a finite number above 0 nor such a fraction.
    """
    if isinstance(value, str) and not _FRACTION.fullmatch(value):
        raise ValueError(f"the radius {value[:50]!r} is not a fraction such as '8/255'")
    try:
        radius = float(Fraction(value))
    except (OverflowError, ValueError, ZeroDivisionError) as error:
        raise ValueError(f"the radius {str(value)[:50]!r} is not a finite number") from error
    if not radius > 0:
        raise ValueError(f"the radius {str(value)[:50]!r} is not above 0")
    return radius


_FRACTION = re.compile(r"[0-9]{1,4000}/[0-9]{1,4000}")


@dataclass(frozen=True)
class Bound:
    """The set that pixels are kept in: a ball of images (section 3.1). By default all images.

    Attributes
    ----------
    norm
        ``linf`` or ``l2``, over the pixels of one image.
    center
        ``initial``: around the image that synthesis starts from; ``reference``.
    radius
        In units of pixel values in [0, 1]; infinite: no bound.

    Raises
    ------
    ValueError
        If the norm or the center is none of these, or the radius is not above 0.
    """

    norm: str = "linf"
    center: str = "initial"
    radius: float = math.inf

    def __post_init__(self) -> None:
        """Refuse what is no bound."""
        _require_one_of("norm", self.norm, NORMS)
        _require_one_of("center", self.center, CENTERS)
        if not self.radius > 0:
            raise ValueError(f"the radius is {self.radius!r}; it must be above 0")

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Bound:
        """Return a bound of the configuration."""
        return cls(row["norm"], row["center"], parse_radius(row["radius"]))

    def around(self, initial: Tensor, references: Tensor) -> Tensor:
        """Return the centres of the balls, one per image."""
        return initial if self.center == "initial" else references

    def is_idle(self, pixel_range: tuple[float, float] | None, n_pixels: int) -> bool:
        """Return whether every image in the pixel range lies in the ball anyway."""
        if pixel_range is None:
            return math.isinf(self.radius)
        span = pixel_range[1] - pixel_range[0]
        return self.radius >= (span if self.norm == "linf" else span * n_pixels**0.5)


@dataclass(frozen=True)
class SynthesisSettings:
    """Hyperparameters of the solver: a recipe of the configuration, in full.

    Attributes
    ----------
    budget
        ``total_steps`` (shared by the set's models) or ``per_model`` gradient evaluations; or
        ``until_loss``, the loss of the 8-bit image at which it is done for all models, and
        ``at_most`` as many shared evaluations; and ``steps_per_turn``.
    optimizer
        ``sgd`` (Algorithm 1), ``nesterov``, ``adam`` or ``lbfgs``
        (`metamers.synthesis.projected_step`, `metamers.synthesis.lbfgs`).
    gradient
        ``raw``, ``l2_normalised`` or ``rms_normalised`` per image, ``smoothed``, or ``sign``
        (`metamers.synthesis.projected_step`).
    schedule, initializer
        ``kind`` and its keys (`metamers.synthesis.schedules`, `metamers.synthesis.initializers`).
    pixel_range
        Lowest and highest pixel value, clamped after each step; ``None``: no clamp.
    ensemble
        ``round_robin`` (Algorithm 1), ``random_order``, ``mean_gradient`` or ``worst_model``.
    target_relu
        ``plain``, or ``identity_gradient`` at the rectifier that ends the stage.
    agreement_every
        Turns between measurements of how far the set's gradients agree
        (`metamers.synthesis.gradient_agreement`); 0: none. It changes no metamer, and its cost
        counts in no budget.

    Raises
    ------
    ValueError
        If a value is none of those that its key may have.
    """

    budget: Mapping[str, Any]
    optimizer: str
    gradient: str
    schedule: Mapping[str, Any]
    initializer: Mapping[str, Any]
    pixel_range: tuple[float, float] | None
    ensemble: str
    target_relu: str
    agreement_every: int

    def __post_init__(self) -> None:
        """Refuse what would fail later, or would not be read."""
        if set(self.budget) not in BUDGETS:
            raise ValueError(
                f"the budget has the keys {sorted(self.budget)}; "
                f"it must have {' or '.join(str(sorted(keys)) for keys in BUDGETS)}"
            )
        _require_one_of("gradient", self.gradient, GRADIENTS)
        _require_one_of("ensemble", self.ensemble, STRATEGIES)
        _require_one_of("target_relu", self.target_relu, RECTIFIERS)
        _require_one_of("optimizer", self.optimizer, OPTIMIZERS)
        for key, needed in LBFGS_NEEDS.items() if self.optimizer == "lbfgs" else ():
            if getattr(self, key) != needed:
                raise ValueError(
                    f"the optimizer 'lbfgs' needs {key} {needed!r}, and it is "
                    f"{getattr(self, key)!r}: its line search compares values of one function "
                    "with that function's gradient"
                )

    @property
    def until_loss(self) -> float | None:
        """Loss at which an image is done; None: it takes all steps."""
        return self.budget.get("until_loss")

    @classmethod
    def of(cls, recipe: Mapping[str, Any]) -> SynthesisSettings:
        """Return the settings of a recipe: its preset, with the keys that it changes.

        Raises
        ------
        ValueError
            If a key or a value is not known.
        """
        values = complete(recipe)
        for key in values:
            _require_one_of("key of a recipe", key, [field.name for field in fields(cls)])
        if values["pixel_range"] is not None:
            values["pixel_range"] = tuple(values["pixel_range"])
        return cls(**values)

    def stamp(self) -> dict[str, Any]:
        """Return the settings as plain data, to be kept with the results."""
        return asdict(self)


@cache
def presets() -> dict[str, dict[str, Any]]:
    """Return the presets that are shipped: ``paper``, ``feather2023`` and ``fast``."""
    return yaml.safe_load(resources.files("metamers").joinpath("data/presets.yaml").read_text())


def complete(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe with its preset's values for the keys that it does not give.

    A key that the recipe gives replaces the preset's whole value. Without ``preset`` the
    paper's is meant.

    Raises
    ------
    ValueError
        If the preset is unknown.
    """
    name = recipe.get("preset", "paper")
    if name not in presets():
        raise ValueError(f"preset {name!r} is not known; known are {', '.join(presets())}")
    changes = {key: value for key, value in recipe.items() if key != "preset"}
    return {"agreement_every": 0} | presets()[name] | changes


@dataclass(frozen=True)
class Turn:
    """Some steps in which the same models are used.

    Attributes
    ----------
    repetition
        Which step of the schedule it belongs to.
    models
        Indices of the models whose gradients are used; empty: the worst for each image.
    steps
        Steps of descent.
    first_step
        Steps of descent that were done before it.
    """

    repetition: int
    models: tuple[int, ...]
    steps: int
    first_step: int

    @property
    def evaluations(self) -> int:
        """Return the gradients of a model that an image needs in it."""
        return self.steps * max(1, len(self.models))


def turns(settings: SynthesisSettings, n_models: int, seed: int) -> tuple[list[Turn], int]:
    """Return the turns of a synthesis, and the number of repetitions of the schedule.

    Every strategy is given the same number of gradient evaluations: a step on the mean of n
    gradients counts n times, and the forward passes that look for the worst model count as
    thirds of an evaluation.

    Raises
    ------
    ValueError
        If the budget does not give each model a turn.
    """
    per_turn = settings.budget["steps_per_turn"]
    budget, shared = settings.budget, "per_model" not in settings.budget
    evaluations = (
        budget.get("total_steps", budget.get("at_most"))
        if shared
        else budget["per_model"] * n_models
    )
    if settings.ensemble == "mean_gradient":
        lengths = _split(evaluations // n_models, per_turn)
        models = [tuple(range(n_models))] * len(lengths)
    elif settings.ensemble == "worst_model":
        cost = per_turn + n_models * FORWARD_SHARE
        lengths = [per_turn] * int(evaluations / cost)
        models = [()] * len(lengths)
    else:
        lengths = _split(evaluations, per_turn)
        models = [(index,) for index in _order(settings.ensemble, n_models, len(lengths), seed)]
    if evaluations < per_turn * n_models or not lengths:
        raise ValueError(
            f"the budget {dict(budget)} gives {evaluations} gradient evaluations to "
            f"{n_models} models; each needs a turn of {per_turn}"
        )
    one_at_a_time = settings.ensemble in ("round_robin", "random_order")
    per_repetition = n_models if one_at_a_time and not shared else 1
    starts = [0, *accumulate(lengths)]
    plan = [
        Turn(i // per_repetition, models[i], lengths[i], starts[i]) for i in range(len(lengths))
    ]
    return plan, plan[-1].repetition + 1


def _require_one_of(what: str, value: str, known: Collection[str]) -> None:
    if value not in known:
        raise ValueError(f"the {what} {value!r} is not known; known are {', '.join(known)}")


def _split(total: int, part: int) -> list[int]:
    whole, rest = divmod(total, part)
    return [part] * whole + ([rest] if rest else [])


def _order(ensemble: str, n_models: int, n_turns: int, seed: int) -> list[int]:
    order: list[int] = []
    generator = random.Random(f"order/{seed}")
    while len(order) < n_turns:
        cycle = list(range(n_models))
        if ensemble == "random_order":
            generator.shuffle(cycle)
        order.extend(cycle)
    return order[:n_turns]
