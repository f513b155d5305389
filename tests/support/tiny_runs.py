"""A run of the whole workflow that is as small as it can be: four networks of random weights."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import warm_workflow
import yaml

ROOT = Path(__file__).parents[2]
NOTHING = {"main": None, "bounds": None, "mixed": None}


def zoo() -> dict[str, dict[str, Any]]:
    """Return rows of four networks of one architecture, each of its own seed."""
    row = yaml.safe_load((ROOT / "config/models.yaml").read_text())["squeezenet"]
    made = {}
    for seed, name in enumerate("abcd"):
        made[name] = copy.deepcopy(row) | {"label": f"Network {name}"}
        made[name]["weights"] = {"source": "random", "seed": seed}
    return made


def config(**changes: Any) -> dict[str, Any]:
    """Return the configuration, to be laid over the default one."""
    axes = {"references": "photographs", "recipes": ["main"], "model_sets": ["one", "pair"]}
    late = {"stages": ["late"], "bounds": ["unbounded"]}
    return {
        "run": "tiny",
        "zoo": "models.yaml",
        "preprocessing": {"size": 64},
        "references": {"photographs": {"limit": 3}},
        "recipes": {"main": {"budget": {"total_steps": 4, "steps_per_turn": 2}}},
        "model_sets": {"one": ["a"], "pair": ["a", "b"]},
        "set_labels": {"one": "One", "pair": "Two"},
        "evaluators": ["a", "b", "c"],
        "experiments": NOTHING | {"tiny": axes | late | {"kind": "model_sets"}},
        "accuracy_gate": {"margin": 0},
        "engine": {"checkpoint_every": 1},
        "evaluation": {"feature_networks": []},
    } | changes


def write(folder: Path, values: dict[str, Any], rows: dict[str, Any]) -> list[str]:
    """Write configuration and zoo into a folder, and return the arguments of Snakemake."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "models.yaml").write_text(yaml.safe_dump(rows))
    (folder / "tiny.yaml").write_text(
        yaml.safe_dump(values | {"zoo": str(folder / "models.yaml")}, sort_keys=False)
    )
    return ["--configfile", str(folder / "tiny.yaml")]


def run(
    server: warm_workflow.Server,
    folder: Path,
    values: dict[str, Any],
    rows: dict[str, Any],
    *arguments: str,
) -> dict[str, int]:
    """Run the workflow in a folder to its end; return how many jobs of each rule there were."""
    (folder / "snakemake.out").unlink(missing_ok=True)
    made = server.start(folder, *write(folder, values, rows), *arguments)
    status = made.wait()
    assert status == 0, made.said[-6000:]
    return jobs(made.said)


def jobs(said: str) -> dict[str, int]:
    """Return how many jobs of each rule Snakemake announced."""
    found = re.findall(r"^(\w+) +(\d+)$", said.partition("job ")[2], flags=re.MULTILINE)
    return {rule: int(count) for rule, count in found if rule not in ("total", "all")}


def tables(folder: Path, name: str = "tiny") -> dict[str, Any]:
    """Return the tables of a run, with what is written into their files."""
    files = (folder / "results" / name / "tables").glob("*.parquet")
    return {path.stem: pq.read_table(path) for path in files}


def differing(one: Path, other: Path) -> list[str]:
    """Return the names of the tables that two runs do not have alike."""
    mine, theirs = tables(one), tables(other)
    alike = [n for n in mine.keys() & theirs.keys() if mine[n].equals(theirs[n])]
    return sorted((mine.keys() | theirs.keys()) - set(alike))
