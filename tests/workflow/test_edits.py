"""An edited run's tables are those of a fresh one, and no more is made anew than the README says.

Runs are real, and as small as they can be (`tiny_runs`). Pairs of edits are made at once, since
Snakemake does not examine jobs behind one that reruns: one edit may hide another. Here a few edits
at a time cover all kinds; ``make edits`` makes every one alone, then every pair of two kinds.
"""

from __future__ import annotations

import copy
import itertools
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import tiny_runs
import warm_workflow

pytestmark = pytest.mark.workflow

ALL = "METAMERS_ALL_EDITS" in os.environ
TABLES = {"tabulate_recognizability", "tabulate_measurements", "compare_with_paper"}
EVALUATION = {"evaluate_models", "measure_images", "measure_baselines"}
ANSWERS = {"predict_references", "check_accuracy"}
SYNTHESIS = {"synthesize_metamers"} | EVALUATION
IMAGES = {"prepare_references", "prepare_null_pool"}
EVERYTHING = IMAGES | {"fetch_weights"} | ANSWERS | SYNTHESIS


@dataclass(frozen=True)
class Edit:
    """A change of the configuration and the zoo, and the rules that may run again for it."""

    kind: str
    change: Callable[[dict[str, Any], dict[str, Any]], None]
    remade: set[str]


def _evaluators(*names: str) -> Callable[..., None]:
    return lambda config, rows: config.update(evaluators=list(names))


def _set(name: str, members: list[str] | None) -> Callable[..., None]:
    def change(config: dict[str, Any], rows: dict[str, Any]) -> None:
        if members:
            config["model_sets"][name] = members
        wanted = config["experiments"]["tiny"]["model_sets"]
        wanted[:] = [n for n in wanted if n != name] + ([name] if members else [])

    return change


def _axis(axis: str, *names: str) -> Callable[..., None]:
    return lambda config, rows: config["experiments"]["tiny"].update({axis: list(names)})


def _key(*path: str, value: Any) -> Callable[..., None]:
    def change(config: dict[str, Any], rows: dict[str, Any]) -> None:
        for key in path[:-1]:
            config = config.setdefault(key, {})
        config[path[-1]] = value

    return change


def _weights(name: str) -> Callable[..., None]:
    return lambda config, rows: rows[name]["weights"].update(seed=100)


def _note(name: str) -> Callable[..., None]:
    return lambda config, rows: rows[name]["weights"].update(note="None that matters")


JUDGED = {"fetch_weights", "evaluate_models", "measure_baselines"} | ANSWERS
EDITS = {
    "evaluator added": Edit("evaluator", _evaluators("a", "b", "c", "d"), JUDGED),
    "evaluator changed": Edit("evaluator", _evaluators("a", "b", "d"), JUDGED),
    "evaluator removed": Edit("evaluator", _evaluators("a", "b"), JUDGED),
    "set added": Edit("set", _set("other", ["b"]), SYNTHESIS),
    "set changed": Edit("set", _set("pair", ["a", "c"]), SYNTHESIS),
    "set removed": Edit("set", _set("pair", None), EVALUATION),
    "stage added": Edit("stage", _axis("stages", "late", "early"), SYNTHESIS),
    "stage changed": Edit("stage", _key("stages", "late", value=0.6), SYNTHESIS),
    "stage replaced": Edit("stage", _axis("stages", "early"), SYNTHESIS),
    "bound added": Edit("bound", _axis("bounds", "unbounded", "initial_8"), SYNTHESIS),
    "bound changed": Edit("bound", _key("bounds", "unbounded", "radius", value=0.2), SYNTHESIS),
    "bound replaced": Edit("bound", _axis("bounds", "initial_8"), SYNTHESIS),
    "steps": Edit("steps", _key("recipes", "main", "budget", "total_steps", value=6), SYNTHESIS),
    "seed": Edit("seed", _key("seed", value=1), EVERYTHING),
    "batch of synthesis": Edit("batch", _key("engine", "batch_size", value=2), set()),
    "batch of evaluation": Edit("batch", _key("evaluation", "batch_size", value=2), set()),
    "conditions a job": Edit(
        "batch", _key("evaluation", "conditions_per_job", value=1), EVALUATION
    ),
    "margin": Edit("margin", _key("accuracy_gate", "margin", value=0.0001), {"check_accuracy"}),
    "label added": Edit("labels", _key("recipe_labels", "main", value="Ours"), set()),
    "label changed": Edit("labels", _key("set_labels", "pair", value="Two of them"), set()),
    "label removed": Edit("labels", lambda config, rows: config.pop("set_labels"), set()),
    "crop": Edit("preprocessing", _key("preprocessing", "crop", value=0.8), EVERYTHING),
    "size": Edit("preprocessing", _key("preprocessing", "size", value=72), EVERYTHING),
    "weights of a member": Edit("weights", _weights("a"), EVERYTHING - IMAGES),
    "weights of a judge": Edit("weights", _weights("c"), JUDGED),
    "note on weights": Edit("note", _note("a"), set()),
}  # fmt: skip

# Every kind in company that has hidden one: of evaluation, of the gate, of what comes before.
COVERING = [
    ("evaluator added", "steps", "batch of evaluation", "note on weights"),
    ("margin", "bound changed", "label changed", "set removed"),
    ("weights of a judge", "stage added", "conditions a job"),
    ("evaluator removed", "seed", "size"),
]
EACH = [(name,) for name in EDITS]


def _pairs() -> list[tuple[str, str]]:
    """Return all pairs of edits of two kinds; one of each two kinds, then another, and so on."""
    rounds: list[list[tuple[str, str]]] = []
    met: Counter[frozenset[str]] = Counter()
    pairs = list(itertools.combinations(EDITS, 2))
    random.Random(0).shuffle(pairs)
    for pair in pairs:
        kinds = frozenset(EDITS[name].kind for name in pair)
        if len(kinds) == 2:
            if met[kinds] == len(rounds):
                rounds.append([])
            rounds[met[kinds]].append(pair)
            met[kinds] += 1
    return list(itertools.chain(*rounds))


CASES = [*EACH, *_pairs()] if ALL else COVERING


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with warm_workflow.serving(tmp_path_factory.mktemp("server")) as ready:
        yield ready


def base():
    """Return a configuration in which every edit is allowed: two bounds need their kind."""
    config = tiny_runs.config()
    config["experiments"]["tiny"]["kind"] = "tables"
    return config, tiny_runs.zoo()


def made(server, folder, config, rows):
    return tiny_runs.run(
        server, folder, config, rows, "--until", "compare_with_paper", "check_accuracy"
    )


@pytest.fixture(scope="module")
def finished(server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "run"
    made(server, folder, *base())
    return folder


def edited(names):
    config, rows = copy.deepcopy(base())
    for name in names:
        EDITS[name].change(config, rows)
    return config, rows


@pytest.mark.parametrize("names", CASES, ids=" and ".join)
def test_an_edited_run_has_the_tables_of_a_fresh_one(server, finished, tmp_path, names):
    shutil.copytree(finished, tmp_path / "edited", copy_function=shutil.copy2)
    jobs = made(server, tmp_path / "edited", *edited(names))
    allowed = TABLES.union(*(EDITS[name].remade for name in names))
    if any(EDITS[name].kind not in ("batch", "margin", "note") for name in names):
        assert jobs.keys() >= TABLES
    assert jobs.keys() <= allowed
    made(server, tmp_path / "fresh", *edited(names))
    assert tiny_runs.differing(tmp_path / "edited", tmp_path / "fresh") == []
    again = made(server, tmp_path / "edited", *edited(names))
    assert again == {}
    shutil.rmtree(tmp_path)


def test_the_edits_at_a_time_cover_all_kinds():
    kinds = {edit.kind for edit in EDITS.values()}
    assert {EDITS[name].kind for names in COVERING for name in names} == kinds
