"""How much work a plan is: jobs by rule, images, gradient evaluations. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from metamers.config.plan import Condition, Plan
from metamers.images import sampling, sources
from metamers.synthesis import settings as recipes
from metamers.synthesis.settings import SynthesisSettings

# Beside the steps, a model looks at the references, and at the metamers at the start, at the
# end and in 8 bits (`metamers.synthesis.solver`).
LOOKS = 4


@dataclass(frozen=True)
class Evaluations:
    """What one member of a set does for one image.

    Attributes
    ----------
    gradients
        Steps with its gradient. With the strategy ``worst_model``, whose choices are not known
        beforehand, the members' equal share.
    forwards
        Forward passes to the stage alone.
    """

    gradients: float
    forwards: float


def evaluations(settings: SynthesisSettings, n_models: int, seed: int) -> list[Evaluations]:
    """Return what each member of a set of models does for one image."""
    plan, _ = recipes.turns(settings, n_models, seed)
    gradients, forwards = [0.0] * n_models, [float(LOOKS)] * n_models
    for turn in plan:
        for index in turn.models:
            gradients[index] += turn.steps
        if not turn.models:
            gradients = [count + turn.steps / n_models for count in gradients]
            forwards = [count + 1 for count in forwards]
    return [Evaluations(*pair) for pair in zip(gradients, forwards, strict=True)]


def turn_count(settings: SynthesisSettings, n_models: int, seed: int) -> int:
    """Return the number of losses that are recorded for an image: one per turn and model."""
    plan, _ = recipes.turns(settings, n_models, seed)
    return sum(max(1, len(turn.models)) for turn in plan)


def image_counts(config: Mapping[str, Any], draws: list[str]) -> dict[str, int]:
    """Return the number of images of each named draw.

    From the draw's own numbers where they say it; else the source is looked into.

    Raises
    ------
    metamers.images.errors.ImagesError
        If the source is not there, or has too few images.
    """
    return {name: _image_count(config, name) for name in draws}


def _image_count(config: Mapping[str, Any], name: str) -> int:
    draw = config["references"][name]
    if "limit" in draw:
        return draw["limit"]
    if {"categories", "per_class"} <= draw.keys():
        return draw["categories"] * draw["per_class"]
    return len(sampling.draw(sources.candidates(config["data"]), draw, config["seed"], name))


def computed_images(n_images: int, n_shards: int, chunk_size: int) -> int:
    """Return how many images are computed for some: each shard's last chunk is filled up.

    Parameters
    ----------
    n_images
        The images.
    n_shards
        Jobs that share them; every n-th image belongs to one (`metamers.execution.runner.deal`).
    chunk_size
        Images that a network is given at a time.
    """
    sizes = [len(range(shard, n_images, n_shards)) for shard in range(n_shards)]
    return sum(-(-size // chunk_size) * chunk_size for size in sizes)


def jobs(plan: Plan) -> dict[str, int]:
    """Return the number of jobs of each rule of the workflow, for a run from the beginning."""
    return {
        "prepare_references": len(plan.reference_sets),
        "fetch_weights": len(plan.models),
        "prepare_null_pool": 1,
        "measure_baselines": len(plan.model_groups),
        "predict_references": len(plan.models) * len(plan.reference_sets),
        "check_accuracy": 1,
        "synthesize_metamers": len(plan.conditions) * len(plan.shards),
        "evaluate_models": len(plan.batches) * len(plan.evaluator_groups),
        "measure_images": len(plan.batches),
        "tabulate_recognizability": 1,
        "tabulate_measurements": 1,
        **({"tabulate_agreement": 1} if plan.measures_agreement else {}),
        "compare_with_paper": 1,
        "draw_figures": 1,
        "draw_gallery": 1,
        "verify_results": 1,
    }


def experiment_of(plan: Plan, condition: Condition) -> str:
    """Return the experiment that a condition is counted with: the first that asks for it."""
    return next(name for name, cells in plan.experiments.items() if condition in cells)


def looks_of_evaluators(plan: Plan, counts: Mapping[str, int]) -> int:
    """Return how many images each evaluator sees: metamers, and references once per stage."""
    metamers = sum(counts[condition.references] for condition in plan.conditions)
    references = sum(
        counts[name]
        for batch in plan.batches.values()
        for name, _ in {(condition.references, condition.stage) for condition in batch}
    )
    return metamers + references
