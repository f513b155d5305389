"""The command ``metamers plan``: what a run will take, before it begins."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from tabulate import tabulate

from metamers.cli.options import DEFAULT_CONFIG, ConfigFiles, DefaultConfig
from metamers.config import validation
from metamers.config.plan import Plan
from metamers.models import zoo
from metamers.preflight import estimates, workload
from metamers.preflight.estimates import Estimate, RuleEstimate, Speed

if TYPE_CHECKING:
    from metamers.preflight.flops import StepCost

app = typer.Typer(help="Look at a run before it begins.", no_args_is_help=True)

HEAD = ["jobs", "operations", "time", "disk"]
PREFIXES = ["", "k", "M", "G", "T", "P", "E", "Z"]


@dataclass(frozen=True)
class Outlook:
    """All that is known of a run before it begins."""

    run: str
    speed: str | None
    conditions: Sequence[Estimate]
    rules: Sequence[RuleEstimate]

    def plain(self) -> dict[str, Any]:
        """Return it as plain data."""
        names = dict.fromkeys(e.experiment for e in self.conditions)
        groups = {name: [e for e in self.conditions if e.experiment == name] for name in names}
        return {
            "run": self.run,
            "speed": self.speed,
            "conditions": [
                asdict(e.condition) | {k: v for k, v in asdict(e).items() if k != "condition"}
                for e in self.conditions
            ],
            "experiments": {
                name: estimates.total(group) | {"conditions": len(group)}
                for name, group in groups.items()
            },
            "rules": [asdict(rule) for rule in self.rules],
            "total": estimates.total(self.rules)
            | {"memory_bytes": max(e.memory_bytes for e in self.conditions)},
        }


@app.command("plan")
def show_plan(
    configfile: ConfigFiles = None,
    default: DefaultConfig = DEFAULT_CONFIG,
    probe: Annotated[
        bool, typer.Option("--probe", help="Measure 20 steps of each model on this device.")
    ] = False,
    tflops: Annotated[
        float | None, typer.Option(help="Speed of a device in TFLOP/s, for its hours; above 0.")
    ] = None,
    totals: Annotated[bool, typer.Option("--totals", help="Leave out the conditions.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """Show what a run will take: jobs, operations, hours, memory and disk."""
    if probe and tflops is not None:
        raise typer.BadParameter("--probe and --tflops both say how fast the device is; give one")
    if tflops is not None and not (tflops > 0 and math.isfinite(tflops)):
        raise typer.BadParameter(f"--tflops {tflops} is not a speed; it must be a number above 0")
    try:
        base = default.resolve().parent.parent
        plan = validation.plan_of(validation.read(configfile or [], default), base)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    outlook = outlook_of(plan, probe, tflops)
    typer.echo(json.dumps(outlook.plain(), indent=1) if as_json else text(outlook, totals))


def outlook_of(plan: Plan, probe: bool, tflops: float | None) -> Outlook:
    """Return what a plan will take.

    Parameters
    ----------
    plan
        The plan.
    probe
        Whether to measure the present device.
    tflops
        Speed of a device, where it is not measured; None: hours are not estimated.
    """
    counts = workload.image_counts(plan.config, plan.reference_sets)
    costs, whole = _count(plan)
    speed = _speed(plan, costs, max(counts.values()), probe, tflops)
    conditions = [
        estimates.estimate(plan, condition, costs, counts[condition.references], speed)
        for condition in plan.conditions
    ]
    rules = estimates.of_rules(plan, conditions, whole, counts, speed)
    return Outlook(plan.run, speed.source if speed else None, conditions, rules)


def _count(plan: Plan) -> tuple[dict[tuple[str, str], StepCost], dict[str, int]]:
    """Return the cost of a step of each model at each stage that is used, and of its forward."""
    from metamers.models import classifier
    from metamers.preflight import flops

    wanted: dict[str, dict[str, float]] = {name: {} for name in plan.models}
    for condition in plan.conditions:
        for name in plan.model_sets[condition.model_set]:
            wanted[name][condition.stage] = plan.config["stages"][condition.stage]
    side, specs = plan.config["preprocessing"]["size"], zoo.specs(plan.used_rows)
    costs: dict[tuple[str, str], StepCost] = {}
    whole: dict[str, int] = {}
    with typer.progressbar(wanted.items(), label="counting", file=_terminal()) as models:
        for name, depths in models:
            found = flops.step_costs(specs[name], depths, side)
            costs |= {(name, cost.stage): cost for cost in found}
            whole[name] = (
                found[0].whole_flops
                if found
                else flops.forward_flops(classifier.build(specs[name]), side)
            )
    return costs, whole


def _speed(
    plan: Plan,
    costs: Mapping[tuple[str, str], StepCost],
    most_images: int,
    probe: bool,
    tflops: float | None,
) -> Speed | None:
    if tflops is not None:
        return Speed.of_rate(tflops, costs)
    if not probe:
        return None
    import torch

    from metamers.execution.settings import ExecutionSettings
    from metamers.preflight import speed

    torch.set_num_threads(1)  # as the rule of the workflow has it
    engine = ExecutionSettings(**plan.config["engine"])
    batch = max(engine.chunk_size, min(engine.batch_size, most_images // len(plan.shards)))
    side = plan.config["preprocessing"]["size"]
    return speed.probe(zoo.specs(plan.used_rows), plan.config["stages"], costs, engine, side, batch)


def text(outlook: Outlook, totals: bool) -> str:
    """Return the outlook as tables: conditions, experiments, rules."""
    found = outlook.plain()
    parts = [] if totals else [_conditions(outlook.conditions), ""]
    parts += [_experiments(found["experiments"]), "", _rules(outlook.rules, found["total"]), ""]
    speed = outlook.speed or "not known: --probe measures it here, --tflops takes yours"
    memory = _prefixed(found["total"]["memory_bytes"], "B")
    parts += [
        f"speed: {speed}; time is that of one device",
        f"memory: at most {memory} of tensors on the device, in the largest job",
        "evaluation counts forward passes only; a dash is what is not estimated",
    ]
    return "\n".join(parts)


def duration(hours: float) -> str:
    """Return a duration in the unit that suits it: seconds, minutes or hours."""
    seconds = 3600 * hours
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if hours < 2 else f"{hours:,.0f} h"


def _conditions(rows: Sequence[Estimate]) -> str:
    head = ["condition", "images", "steps", *HEAD, "memory"]
    lines = [
        [str(e.condition), e.images, e.steps, *_cells(asdict(e)), _prefixed(e.memory_bytes, "B")]
        for e in rows
    ]
    return _table(head, lines)


def _experiments(rows: Mapping[str, Mapping[str, Any]]) -> str:
    lines = [[name, row["conditions"], *_cells(row)] for name, row in rows.items()]
    return _table(["experiment", "conditions", *HEAD], lines)


def _rules(rows: Sequence[RuleEstimate], total: Mapping[str, Any]) -> str:
    lines = [[row.rule, *_cells(asdict(row))] for row in rows]
    return _table(["rule", *HEAD], [*lines, ["all", *_cells(total)]])


def _cells(row: Mapping[str, Any]) -> list[Any]:
    return [
        row["jobs"],
        _prefixed(row["flops"], "FLOP"),
        "-" if row["hours"] is None else duration(row["hours"]),
        _prefixed(row["disk_bytes"], "B"),
    ]


def _prefixed(value: float | None, unit: str) -> str:
    """Return a number with a prefix of thousands, as ``3.76 MB``."""
    if value is None:
        return "-"
    power = 0
    while value >= 999.5 and power < len(PREFIXES) - 1:
        value, power = value / 1000, power + 1
    return f"{value:.3g} {PREFIXES[power]}{unit}"


def _table(head: Sequence[str], lines: Sequence[Sequence[Any]]) -> str:
    sides = ["left", *["right"] * (len(head) - 1)]
    return tabulate(lines, head, tablefmt="simple", colalign=sides, disable_numparse=True)


def _terminal() -> Any:  # noqa: ANN401
    """Return the stream for progress: standard error, so that the output stays clean."""
    return typer.get_text_stream("stderr")
