"""Count the gradient evaluations until a loss is reached, by solver, and write convergence.json.

python benchmarks/convergence.py                      embedded models on the CPU
python benchmarks/convergence.py --images 4 --stages late        a bounded run

Three recipes side by side: the paper's, today's quickstart, and a fast one. Two losses are to be
reached: what the paper's rule has after its evaluations (2,400), and what the quickstart has after
its own (240); a loss is the mean over members and images, of the 8-bit images. At each of them
the metamers of the fast recipe are compared with those of the other, by models that are in no set.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import cases
import numpy as np
import page
import run
import torch
from contestants import image_ids
from effects import recognised
from torch import Tensor

from metamers import bootstrap
from metamers.execution.loading import prepare_features
from metamers.models import classifier
from metamers.storage import provenance
from metamers.synthesis.objective import Activations, ModelObjective
from metamers.synthesis.settings import Bound, SynthesisSettings, turns
from metamers.synthesis.solver import Interrupted, rounded, synthesize
from metamers.synthesis.state import State

RESULTS = Path(__file__).parent / "convergence.json"
LITE0, LITE1, SQUEEZENET = "efficientnet_lite0", "efficientnet_lite1", "squeezenet1_1"
SETS = [[LITE0], [SQUEEZENET], [LITE0, SQUEEZENET], [LITE0, LITE1, SQUEEZENET]]
FAST = {"optimizer": "lbfgs", "ensemble": "mean_gradient"}
# Steps between readings of the losses.
FAST_TURN = 5


@dataclass(frozen=True)
class Course:
    """How a solver came along: after each turn.

    Attributes
    ----------
    evaluations
        Gradient evaluations so far, ``(turns,)``.
    losses
        Mean loss of the 8-bit images, ``(turns,)``.
    images
        The 8-bit images in [0, 1], one batch for each turn.
    seconds
        Process time of an evaluation, reading the losses not counted.
    """

    evaluations: np.ndarray
    losses: np.ndarray
    images: Sequence[Tensor]
    seconds: float

    def first_at(self, target: float) -> int | None:
        """Return the first turn whose loss is at a target."""
        reached = np.flatnonzero(self.losses <= target)
        return int(reached[0]) if len(reached) else None


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", help="members joined by '+'; by default four sets")
    parser.add_argument("--stages", nargs="+", default=["early", "middle", "late"])
    parser.add_argument("--side", type=int, default=112, help="of the images, in pixels")
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--paper-evaluations", type=int, default=2400)
    parser.add_argument("--default-evaluations", type=int, default=240)
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, default=cases.ROOT / "docs/performance.md")
    return parser.parse_args(words)


def recipe(changes: Mapping[str, Any], evaluations: int, per_turn: int) -> SynthesisSettings:
    """Return a recipe with another number of gradient evaluations."""
    budget = {"total_steps": evaluations, "steps_per_turn": per_turn}
    return SynthesisSettings.of({**changes, "budget": budget})


def follow(
    features: Mapping[str, Activations],
    images: Tensor,
    settings: SynthesisSettings,
    target: float | None = None,
) -> Course:
    """Return how a solver came along, to its end or to a loss."""
    objectives = [ModelObjective.prepare(one, images) for one in features.values()]
    losses: list[float] = []
    made: list[Tensor] = []
    reading = [0.0]

    def on_turn(state: State) -> None:
        began = time.process_time()
        found = state.memory.get("point", state.images)  # L-BFGS: the images it has accepted
        found = found.view(len(found), *images.shape[1:])[: len(images)]  # without the padding
        stored = rounded(torch.empty_like(images).copy_(found))
        losses.append(float(torch.stack([one.losses(stored) for one in objectives]).mean()))
        made.append(stored.cpu())
        reading[0] += time.process_time() - began

    def at_target() -> bool:
        return target is not None and bool(losses) and losses[-1] <= target

    began = time.process_time()
    try:
        ids = image_ids(len(images))
        synthesize(features, images, ids, Bound(), settings, on_turn=on_turn, stop=at_target)
    except Interrupted:
        pass
    spent = time.process_time() - began - reading[0]
    plan, _ = turns(settings, len(features), seed=0)
    evaluations = np.cumsum([turn.evaluations for turn in plan])[: len(losses)]
    return Course(evaluations, np.array(losses), made, spent / evaluations[-1])


def compare(
    members: Sequence[str], stage: str, judges: Mapping[str, Any], asked: argparse.Namespace
) -> list[dict[str, Any]]:
    """Return a row for each of the two losses that are to be reached."""
    images = cases.photographs(asked.images, asked.side)
    engine, depth = cases.engine("cpu", len(images)), cases.CONFIG["stages"][stage]
    features = {
        name: prepare_features(
            cases.SPECS[name], stage, depth, engine, cases.cache(), images, identity_relu=False
        )
        for name in members
    }
    paper = follow(features, images, recipe({}, asked.paper_evaluations, 10))
    main = cases.CONFIG["recipes"]["main"]
    default = follow(features, images, recipe(main, asked.default_evaluations, 10))
    lowest = min(paper.losses[-1], default.losses[-1])
    fast = follow(features, images, recipe(FAST, asked.paper_evaluations, FAST_TURN), lowest)
    held_out = {name: judge for name, judge in judges.items() if name not in members}
    return [
        {"models": list(members), "stage": stage, "reached_by": name}
        | row(course, {"paper": paper, "default": default, "fast": fast}, held_out, images)
        for name, course in (("paper", paper), ("default", default))
    ]


def row(
    other: Course, courses: Mapping[str, Course], judges: Mapping[str, Any], images: Tensor
) -> dict[str, Any]:
    """Return what each solver needs to the last loss of one, and how the fast one's images fare."""
    target, fast = float(other.losses[-1]), courses["fast"]
    found: dict[str, Any] = {"target": target}
    for name, course in courses.items():
        turn = course.first_at(target)
        found[f"{name}_evaluations"] = None if turn is None else int(course.evaluations[turn])
    found["fast_seconds_per_evaluation_ratio"] = fast.seconds / other.seconds
    keys = ("held_out", "held_out_change", "held_out_low", "held_out_high")
    turn = fast.first_at(target)
    if turn is None:
        return found | dict.fromkeys(keys)
    before = recognised(judges, images, other.images[-1]).astype(float)
    change = recognised(judges, images, fast.images[turn]) - before
    low, high = bootstrap.crossed_change_interval(change, np.random.default_rng(0))
    values = (float(before.mean()), float(change.mean()), float(low), float(high))
    return found | dict(zip(keys, values, strict=True))


def main(words: Sequence[str] | None = None) -> None:
    warnings.simplefilter("ignore")
    asked = arguments(words)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.set_num_threads(1)
    judges = {
        name: classifier.fetch_pretrained(cases.SPECS[name], cases.cache())
        for name in cases.CONFIG["evaluators"]
    }
    sets = [one.split("+") for one in asked.sets] if asked.sets else SETS
    rows: list[dict[str, Any]] = []
    for members in sets:
        for stage in asked.stages:
            rows += compare(members, stage, judges, asked)
            print(json.dumps(rows[-2:]), flush=True)
    results = {
        "machine": run.machine("cpu"),
        "versions": run.versions(),
        "commit": provenance.commit(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "fast": FAST,
        "side": asked.side,
        "images": asked.images,
        "cases": rows,
    }
    asked.output.write_text(json.dumps(results, indent=1) + "\n")
    page.update(asked.page, "convergence", page.convergence_table(results))


if __name__ == "__main__":
    main()
