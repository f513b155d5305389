"""Count the gradient evaluations until a loss is reached, by solver, and write convergence.json.

python benchmarks/convergence.py                      the preset `fast`, on the CPU
python benchmarks/convergence.py --device cuda:0 --solvers all --starts 2         all, on a GPU
python benchmarks/convergence.py --images 4 --stages late        a bounded run

The paper's rule and the quickstart's say which losses are to be reached: what the former has after
its evaluations (2,400), and the latter after its own (240). A loss is the mean over members and
images, of the 8-bit images. At each of them a solver's metamers are compared with those of the
rule, by models that are in no set. A solver whose rate falls is run for several budgets, and the
least number of evaluations counts that any of them needs.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import cases
import numpy as np
import page
import run
import torch
import yaml
from effects import recognised
from torch import Tensor

from metamers import bootstrap
from metamers.execution.loading import prepare_features
from metamers.execution.settings import ExecutionSettings
from metamers.models import classifier
from metamers.storage import provenance
from metamers.synthesis.chunks import CHUNK_SIZE
from metamers.synthesis.objective import Activations, inversion_loss, norms
from metamers.synthesis.settings import Bound, SynthesisSettings, complete, turns
from metamers.synthesis.solver import synthesize, to_8_bits
from metamers.synthesis.state import State

RESULTS = Path(__file__).parent / "convergence.json"
PACKAGES = ("torch", "torchvision", "timm", "numpy")
LITE0, LITE1, SQUEEZENET = "efficientnet_lite0", "efficientnet_lite1", "squeezenet1_1"
SETS = [[LITE0], [SQUEEZENET], [LITE0, SQUEEZENET], [LITE0, LITE1, SQUEEZENET]]
BUDGETS = [30, 45, 60, 90, 120, 150, 180, 240, 360]
# Recipes without their budgets. ``per_turn``: steps of a turn, after which losses are read.
BASELINES: dict[str, dict[str, Any]] = {
    "paper": {},
    "default": {
        "gradient": "l2_normalised",
        "schedule": {"kind": "exponential", "start": 2.0, "stop": 0.01},
    },
}
NESTEROV = {"optimizer": "nesterov", "gradient": "smoothed"}


def _cosine(start: float) -> dict[str, Any]:
    return {"schedule": {"kind": "cosine", "start": start, "stop": start / 200}}


SOLVERS: dict[str, dict[str, Any]] = {
    "fast": {"preset": "fast"},
    "fast, rate from 0.002": NESTEROV | _cosine(0.002),
    "fast, turns of 3": NESTEROV | _cosine(0.003) | {"per_turn": 3},
    "fast, not smoothed": NESTEROV | _cosine(0.003) | {"gradient": "rms_normalised"},
    "adam": {"optimizer": "adam", "per_turn": 1} | _cosine(0.04),
    "lbfgs": {"optimizer": "lbfgs", "schedule": {"kind": "constant", "start": 5.0}}
    | {"ensemble": "mean_gradient", "per_turn": 5},
}


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
        The 8-bit images, uint8, one batch for each turn.
    seconds
        Time of an evaluation: of the process, on a GPU by the clock.
    """

    evaluations: np.ndarray
    losses: np.ndarray
    images: Sequence[Tensor]
    seconds: float

    def first_at(self, target: float) -> int | None:
        """Return the first turn whose loss is at a target."""
        reached = np.flatnonzero(self.losses <= target)
        return int(reached[0]) if len(reached) else None


@dataclass(frozen=True)
class Task:
    """What all solvers are given: a set of models at a stage, and references on the device."""

    members: Sequence[str]
    stage: str
    features: Mapping[str, Activations]
    references: Tensor
    image_ids: Sequence[str]

    def follow(self, recipe: Mapping[str, Any], budget: int) -> Course:
        """Return how a solver came along with a number of gradient evaluations."""
        settings = settings_of(recipe, budget)
        made: list[Tensor] = []

        def on_turn(state: State) -> None:
            found = state.memory.get("point", state.images)  # L-BFGS: the images it has accepted
            made.append(to_8_bits(found.view(len(found), *self.references.shape[1:])))

        on_gpu = self.references.is_cuda
        began = _now(on_gpu)
        synthesize(
            self.features,
            self.references,
            self.image_ids,
            Bound(),
            settings,
            on_turn=on_turn,
            graphs=list(self.features) if on_gpu else (),
            chunk_size=len(self.references) if on_gpu else CHUNK_SIZE,
        )
        seconds = _now(on_gpu) - began
        made = [images[: len(self.references)] for images in made]  # without the padding
        plan, _ = turns(settings, len(self.features), seed=0)
        evaluations = np.cumsum([turn.evaluations for turn in plan])
        return Course(evaluations, self.losses(made), made, seconds / evaluations[-1])

    def losses(self, made: Sequence[Tensor]) -> np.ndarray:
        """Return the mean loss over members and images of each batch, ``(batches,)``."""
        at_once = 16 if self.references.is_cuda else 1
        total = np.zeros(len(made))
        with torch.no_grad():
            for function in self.features.values():
                targets = function(self.references)
                lengths = norms(targets)
                found = []
                for first in range(0, len(made), at_once):
                    group = made[first : first + at_once]
                    n = len(group)
                    images = _laid_out_as(self.references, torch.cat(list(group)).float() / 255)
                    losses = inversion_loss(
                        function(images), targets.repeat(n, 1, 1, 1), lengths.repeat(n)
                    )
                    found.append(losses.view(n, -1).mean(1).double())
                total += torch.cat(found).cpu().numpy()
        return total / len(self.features)


def settings_of(recipe: Mapping[str, Any], budget: int) -> SynthesisSettings:
    """Return the settings of a recipe without budget; its turns, if not said, are its preset's."""
    changes = dict(recipe)
    per_turn = changes.pop("per_turn", complete(changes)["budget"]["steps_per_turn"])
    given = {"total_steps": budget, "steps_per_turn": per_turn}
    return SynthesisSettings.of(changes | {"budget": given})


def _now(on_gpu: bool) -> float:
    if not on_gpu:
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def _laid_out_as(other: Tensor, images: Tensor) -> Tensor:
    last = other.is_contiguous(memory_format=torch.channels_last)
    return images.contiguous(memory_format=torch.channels_last) if last else images


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", help="members joined by '+'; by default four sets")
    parser.add_argument("--stages", nargs="+", default=["early", "middle", "late"])
    parser.add_argument("--side", type=int, default=112, help="of the images, in pixels")
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--starts", type=int, default=1, help="noises that each image starts from")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--solvers", nargs="+", default=["fast"], help="names, or all")
    parser.add_argument("--recipe", action="append", default=[], help="name={YAML}: one more")
    parser.add_argument("--paper-evaluations", type=int, default=2400)
    parser.add_argument("--default-evaluations", type=int, default=240)
    parser.add_argument("--budgets", type=int, nargs="+", default=BUDGETS)
    parser.add_argument("--commit", help="of the code, where git does not know it")
    parser.add_argument("--join", type=Path, nargs="+", help="files of parts: measure nothing")
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, default=cases.ROOT / "docs/performance.md")
    asked = parser.parse_args(words)
    known = SOLVERS | {
        name: yaml.safe_load(recipe) for name, recipe in (one.split("=", 1) for one in asked.recipe)
    }
    names = list(known) if asked.solvers == ["all"] else asked.solvers
    names += [name for name in known if name not in SOLVERS and name not in names]
    if unknown := [name for name in names if name not in known]:
        parser.error(f"--solvers: {unknown} are not known; known are {', '.join(known)}")
    asked.solvers = {name: known[name] for name in names}
    return asked


def tasks(asked: argparse.Namespace) -> Iterator[Task]:
    """Return the cases, each with its networks on the device."""
    engine = cases.engine(asked.device, asked.images)
    photographs = cases.photographs(asked.images, asked.side)
    references = photographs.repeat(asked.starts, 1, 1, 1).to(engine.torch_device())
    references = references.contiguous(memory_format=engine.memory_format)
    ids = [f"image-{i}-{start}" for start in range(asked.starts) for i in range(asked.images)]
    sets = [one.split("+") for one in asked.sets] if asked.sets else SETS
    for members in sets:
        for stage in asked.stages:
            features = {name: _features(name, stage, engine, photographs) for name in members}
            yield Task(members, stage, features, references, ids)


def _features(name: str, stage: str, engine: ExecutionSettings, photographs: Tensor) -> Activations:
    return prepare_features(
        cases.SPECS[name],
        stage,
        cases.CONFIG["stages"][stage],
        engine,
        cases.cache(),
        photographs,
        identity_relu=False,
    )


def compare(
    task: Task, judges: Mapping[str, Any], asked: argparse.Namespace
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return a row for each solver and loss to be reached, and one for each course's end."""
    commit = asked.commit or provenance.commit()
    case = {"models": list(task.members), "stage": task.stage}
    case |= {"starts": asked.starts, "commit": commit}
    rules = {
        "paper": task.follow(BASELINES["paper"], asked.paper_evaluations),
        "default": task.follow(BASELINES["default"], asked.default_evaluations),
    }
    ends = [case | {"solver": name} | end(one, judges, task) for name, one in rules.items()]
    rows = []
    for solver, recipe in asked.solvers.items():
        budgets = asked.budgets if _falls(recipe) else [max(asked.budgets)]
        courses = [task.follow(recipe, budget) for budget in budgets]
        ends += [case | {"solver": solver} | end(one, judges, task) for one in courses]
        for name in rules:
            found = row(name, rules, courses, judges, task)
            rows.append(case | {"solver": solver, "reached_by": name} | found)
    return rows, ends


def _falls(recipe: Mapping[str, Any]) -> bool:
    return settings_of(recipe, 1).schedule["kind"] != "constant"


def row(
    name: str,
    rules: Mapping[str, Course],
    courses: Sequence[Course],
    judges: Mapping[str, Any],
    task: Task,
) -> dict[str, Any]:
    """Return what is needed to the last loss of a rule, and how a solver's images fare there."""
    rule = rules[name]
    target = float(rule.losses[-1])
    found: dict[str, Any] = {"target": target}
    for each, course in rules.items():
        turn = course.first_at(target)
        found[f"{each}_evaluations"] = None if turn is None else int(course.evaluations[turn])
    at = [(course, course.first_at(target)) for course in courses]
    least = min(
        ((int(course.evaluations[t]), course, t) for course, t in at if t is not None),
        key=lambda one: one[0],
        default=None,
    )
    seconds = float(np.mean([course.seconds for course in courses]))
    found["fast_evaluations"] = None if least is None else least[0]
    found["fast_seconds_per_evaluation_ratio"] = seconds / rule.seconds
    keys = ("held_out", "held_out_change", "held_out_low", "held_out_high")
    if least is None:
        return found | dict.fromkeys(keys)
    _, course, turn = least
    before = shares(judges, task, rule.images[-1])
    change = shares(judges, task, course.images[turn]) - before
    low, high = bootstrap.crossed_change_interval(change, np.random.default_rng(0))
    values = (float(before.mean()), float(change.mean()), float(low), float(high))
    return found | dict(zip(keys, values, strict=True))


def end(course: Course, judges: Mapping[str, Any], task: Task) -> dict[str, Any]:
    """Return what a course came to in the end."""
    return {
        "evaluations": int(course.evaluations[-1]),
        "loss": float(course.losses[-1]),
        "seconds_per_evaluation": course.seconds,
        "members": float(shares(judges, task, course.images[-1], members=True).mean()),
        "held_out": float(shares(judges, task, course.images[-1]).mean()),
    }


def shares(
    judges: Mapping[str, Any], task: Task, made: Tensor, *, members: bool = False
) -> np.ndarray:
    """Return the share of an image's starts that each judge recognises, ``(judges, images)``."""
    chosen = {name: one for name, one in judges.items() if (name in task.members) == members}
    plain = task.references.contiguous(), made.contiguous().float() / 255
    found = recognised(chosen, *plain).astype(float)
    starts = len({one.rsplit("-", 1)[1] for one in task.image_ids})
    return found.reshape(len(chosen), starts, -1).mean(axis=1)


def measured(asked: argparse.Namespace) -> dict[str, Any]:
    """Return what was measured; it is written after each case."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.set_num_threads(asked.threads)
    judges = {
        name: classifier.fetch_pretrained(cases.SPECS[name], cases.cache()).to(asked.device)
        for name in cases.CONFIG["evaluators"]
    }
    results: dict[str, Any] = {
        "machine": run.machine(asked.device),
        "versions": run.versions(PACKAGES),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "solvers": asked.solvers,
        "side": asked.side,
        "images": asked.images,
        "cases": [],
        "candidates": [],
        "ends": [],
    }
    for task in tasks(asked):
        rows, ends = compare(task, judges, asked)
        results["cases"] += [one for one in rows if one["solver"] == "fast"]
        results["candidates"] += [one for one in rows if one["solver"] != "fast"]
        results["ends"] += ends
        print(*map(json.dumps, rows + ends), sep="\n", flush=True)
        asked.output.write_text(json.dumps(results, indent=1) + "\n")
    return results


def joined(paths: Sequence[Path]) -> dict[str, Any]:
    """Return the results of several processes, each of which measured some sets, stages or solvers.

    Raises
    ------
    ValueError
        If they were not made alike.
    """
    parts = [json.loads(path.read_text()) for path in paths]
    for name in ("versions", "side", "images"):
        if any(part[name] != parts[0][name] for part in parts):
            raise ValueError(f"{name} differs: {[part[name] for part in parts]}")
    lists = ("cases", "candidates", "ends")
    solvers = {name: recipe for part in parts for name, recipe in part["solvers"].items()}
    rows = {name: [row for part in parts for row in part[name]] for name in lists}
    return parts[0] | {"solvers": solvers} | rows


def main(words: Sequence[str] | None = None) -> None:
    warnings.simplefilter("ignore")
    asked = arguments(words)
    results = joined(asked.join) if asked.join else measured(asked)
    asked.output.write_text(json.dumps(results, indent=1) + "\n")
    page.update(asked.page, "convergence", page.convergence_table(results))


if __name__ == "__main__":
    main()
