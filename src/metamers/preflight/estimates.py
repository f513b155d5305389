"""What a run will take: operations, hours, memory and disk, per condition, rule and in all."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from metamers.config.plan import Condition, Plan
from metamers.preflight import workload
from metamers.synthesis.settings import IMAGES_KEPT, SynthesisSettings

if TYPE_CHECKING:
    from metamers.preflight.flops import StepCost

# References, start, centres, metamers before and within the turn, gradient, direction.
IMAGES_HELD = 7
FLOAT, BYTE = 4, 1
# Parquet of the quickstart: a file with its schema, and a row of traces in a large file.
FILE_BYTES, TRACE_ROW_BYTES, TABLE_ROW_BYTES = 9_000, 8, 24
LOCAL_WEIGHTS = ("package", "local", "factory", "random")

Costs = Mapping[tuple[str, str], "StepCost"]


@dataclass(frozen=True)
class Speed:
    """How fast the work goes.

    Attributes
    ----------
    source
        Where it is known from, in words.
    seconds
        Of one step on one image, by model and stage.
    seconds_per_flop
        For what was not measured.
    start
        Seconds that a job takes before it begins: imports.
    """

    source: str
    seconds: Mapping[tuple[str, str], float]
    seconds_per_flop: float
    start: float

    @classmethod
    def of_rate(cls, tflops: float, costs: Costs) -> Speed:
        """Return the speed of a device that does so many TFLOP/s, and starts at once."""
        rate = 1 / (tflops * 1e12)
        seconds = {
            key: rate * (cost.forward_flops + cost.gradient_flops) for key, cost in costs.items()
        }
        return cls(f"{tflops:g} TFLOP/s as given", seconds, rate, 0.0)


@dataclass(frozen=True)
class Estimate:
    """What the synthesis of one condition takes.

    Attributes
    ----------
    images, steps
        Images, and steps with a gradient that each of them gets.
    flops, hours
        In all, with images that fill up the last chunk of a shard; hours of one device, None if its
        speed is not known.
    memory_bytes
        Of the tensors of a job on the device: weights of all members, kept reference
        activations, and the largest step of a batch.
    disk_bytes
        Of metamers and traces.
    """

    condition: Condition
    experiment: str
    images: int
    steps: int
    jobs: int
    flops: float
    hours: float | None
    memory_bytes: int
    disk_bytes: int


def estimate(
    plan: Plan, condition: Condition, costs: Costs, n_images: int, speed: Speed | None
) -> Estimate:
    """Return what one condition takes."""
    settings = SynthesisSettings.of(plan.config["recipes"][condition.recipe])
    members = plan.model_sets[condition.model_set]
    seed = plan.config["seed"]
    of_members = [costs[name, condition.stage] for name in members]
    done = workload.evaluations(settings, len(members), seed)
    chunk_size = plan.config["engine"]["chunk_size"]
    computed = workload.computed_images(n_images, len(plan.shards), chunk_size)
    flops, seconds = 0.0, 0.0
    for cost, counts in zip(of_members, done, strict=True):
        step = cost.forward_flops + cost.gradient_flops
        flops += computed * (counts.gradients * step + counts.forwards * cost.forward_flops)
        if speed:
            in_steps = counts.gradients + counts.forwards * cost.forward_flops / step
            seconds += computed * in_steps * speed.seconds[cost.model, cost.stage]
    n_jobs = len(plan.shards)
    return Estimate(
        condition=condition,
        experiment=workload.experiment_of(plan, condition),
        images=n_images,
        steps=round(sum(counts.gradients for counts in done)),
        jobs=n_jobs,
        flops=flops,
        hours=(seconds + n_jobs * speed.start) / 3600 if speed else None,
        memory_bytes=memory(plan, settings, of_members, n_images),
        disk_bytes=disk(plan, settings, len(members), n_images),
    )


def memory(
    plan: Plan, settings: SynthesisSettings, costs: Sequence[StepCost], n_images: int
) -> int:
    """Return the bytes of a synthesis job's tensors, at their most."""
    in_shard = math.ceil(n_images / len(plan.shards))
    engine = plan.config["engine"]
    chunk = engine["chunk_size"]
    chunks = min(max(1, engine["batch_size"] // chunk), math.ceil(in_shard / chunk))
    step = max(cost.peak_bytes for cost in costs)
    kept = sum(cost.activation_bytes for cost in costs)
    images = IMAGES_HELD + 2 * IMAGES_KEPT[settings.optimizer]  # before the turn, and in it
    pixels = images * FLOAT * 3 * plan.config["preprocessing"]["size"] ** 2
    return sum(cost.weight_bytes for cost in costs) + chunk * (step + chunks * (kept + pixels))


def disk(plan: Plan, settings: SynthesisSettings, n_models: int, n_images: int) -> int:
    """Return the bytes of a condition's metamers and traces."""
    pixels = 3 * plan.config["preprocessing"]["size"] ** 2
    metamers = n_images * (pixels * (FLOAT + BYTE) + 3 * FLOAT * n_models)
    rows = n_images * workload.turn_count(settings, n_models, plan.config["seed"])
    # Once in the job's own file, once in the table of the run.
    return metamers + 2 * rows * TRACE_ROW_BYTES + len(plan.shards) * FILE_BYTES


@dataclass(frozen=True)
class RuleEstimate:
    """What the jobs of one rule take; None where it is not estimated."""

    rule: str
    jobs: int
    flops: float | None = None
    hours: float | None = None
    disk_bytes: int | None = None


def of_rules(
    plan: Plan,
    estimates: Sequence[Estimate],
    whole_flops: Mapping[str, int],
    counts: Mapping[str, int],
    speed: Speed | None,
) -> list[RuleEstimate]:
    """Return what each rule of the workflow takes.

    Of evaluation, the forward passes to the logits count; distances between activations and
    image metrics, which run beside them, do not.

    Parameters
    ----------
    whole_flops
        Of the forward to the logits, by model.
    counts
        Images of each draw.
    """
    jobs = workload.jobs(plan)
    evaluators = plan.config["evaluators"]
    chunk_size = plan.config["engine"]["chunk_size"]
    computed = {name: workload.computed_images(n, 1, chunk_size) for name, n in counts.items()}
    looks = workload.looks_of_evaluators(plan, computed)
    references = sum(computed.values()) * sum(whole_flops[name] for name in plan.models)
    metamers = looks * sum(whole_flops[name] for name in evaluators)
    rows = sum(e.images for e in estimates) * len(evaluators)
    pixels = 3 * plan.config["preprocessing"]["size"] ** 2
    hours = [e.hours for e in estimates if e.hours is not None]
    known = {
        "prepare_references": RuleEstimate("", 0, disk_bytes=sum(counts.values()) * pixels),
        "fetch_weights": RuleEstimate("", 0, disk_bytes=_downloads(plan)),
        "predict_references": _forwards(jobs["predict_references"], references, speed),
        "synthesize_metamers": RuleEstimate(
            "",
            0,
            sum(e.flops for e in estimates),
            sum(hours) if hours else None,
            sum(e.disk_bytes for e in estimates),
        ),
        "evaluate_models": _forwards(
            jobs["evaluate_models"], metamers, speed, 3 * rows * TABLE_ROW_BYTES
        ),
    }
    nothing = RuleEstimate("", 0)
    return [
        RuleEstimate(**asdict(known.get(rule, nothing)) | {"rule": rule, "jobs": count})
        for rule, count in jobs.items()
    ]


def _downloads(plan: Plan) -> int | None:
    """Return the bytes of the weights that are fetched, or unpacked from an archive.

    None where a row tells neither the size of its file nor the number of parameters.
    """
    sizes = [
        row["weights"].get("size")
        or row["weights"].get("size_about")
        or FLOAT * row.get("parameters", 0)
        for row in plan.rows(plan.models)
        if row["weights"]["source"] not in LOCAL_WEIGHTS
    ]
    return sum(sizes) if all(sizes) else None


def _forwards(
    n_jobs: int, flops: float, speed: Speed | None, disk_bytes: int | None = None
) -> RuleEstimate:
    if speed is None:
        return RuleEstimate("", 0, flops, None, disk_bytes)
    hours = (flops * speed.seconds_per_flop + n_jobs * speed.start) / 3600
    return RuleEstimate("", 0, flops, hours, disk_bytes)


def total(rows: Iterable[Estimate | RuleEstimate]) -> dict[str, Any]:
    """Return the sums of jobs, operations, hours and bytes; None where nothing is known."""
    rows = list(rows)
    sums: dict[str, Any] = {"jobs": sum(row.jobs for row in rows)}
    for name in ("flops", "hours", "disk_bytes"):
        values = [getattr(row, name) for row in rows if getattr(row, name) is not None]
        sums[name] = sum(values) if values else None
    return sums
