"""Is the configuration right? All that is wrong with it, before any work is done."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError

from metamers.config import model_sets
from metamers.models import zoo
from metamers.synthesis import settings


class ConfigurationError(ValueError):
    """The configuration is wrong; the message lists everything that is."""


def find(path: str, base: str | Path) -> Path:
    """Return a file that is named relative to the working directory, or to the Snakefile."""
    here = Path(path)
    return here if here.exists() or here.is_absolute() else Path(base) / path


def require(
    config: Mapping[str, Any], rows: Mapping[str, Mapping[str, Any]], base: str | Path
) -> None:
    """Check a configuration and its zoo.

    Parameters
    ----------
    config
        As Snakemake read it.
    rows
        The rows of the zoo.
    base
        Folder of the Snakefile, where the schemas are.

    Raises
    ------
    ConfigurationError
        Listing each error: the key, the value met, and what is allowed.
    """
    schemas = Path(base) / "workflow" / "schemas"
    errors = list(_by_schema(config, schemas / "config.schema.yaml", "configuration"))
    if (schemas / "models.schema.yaml").exists():
        errors += _by_schema(rows, schemas / "models.schema.yaml", "zoo")
    if not errors:
        errors = [*_names(config, rows), *_recipes(config), *_engine(config["engine"])]
    if errors:
        listed = "\n".join(f"  {number}. {error}" for number, error in enumerate(errors, 1))
        raise ConfigurationError(
            f"the configuration has {len(errors)} error{'s' * (len(errors) > 1)} "
            f"(each key is explained in config/README.md):\n{listed}"
        )


def _by_schema(value: Mapping[str, Any], path: Path, what: str) -> Iterator[str]:
    validator = Draft202012Validator(yaml.safe_load(path.read_text()))
    for error in sorted(validator.iter_errors(_plain(value)), key=lambda e: list(map(str, e.path))):
        key, message = _deepest(error)
        yield f"{what}, key {key or '(top level)'!r}: {message}"


def _deepest(error: ValidationError) -> tuple[str, str]:
    """Return key and message of an error; of alternatives, of those that come furthest."""
    if not error.context:
        return ".".join(map(str, error.absolute_path)), error.message
    found = [_deepest(inner) for inner in error.context]
    furthest = max(key.count(".") for key, _ in found)
    chosen = [(key, message) for key, message in found if key.count(".") == furthest]
    return chosen[0][0], "; or ".join(dict.fromkeys(message for _, message in chosen))


def _names(config: Mapping[str, Any], rows: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    sets = config["model_sets"]
    yield from _unknown("evaluators", config["evaluators"], rows, "model", "the zoo")
    networks = config["evaluation"]["feature_networks"]
    yield from _unknown("evaluation.feature_networks", networks, rows, "model", "the zoo")
    for name, members in sets.items():
        key = f"model_sets.{name}"
        if not members:
            yield f"key {key!r}: the set has no members; at least one is needed"
        for member in sorted({m for m in members if members.count(m) > 1}):
            yield f"key {key!r}: the model {member!r} is there {members.count(member)} times"
        yield from _unknown(key, members, rows, "model", "the zoo")
    for name, experiment in config["experiments"].items():
        if experiment is not None:
            yield from _experiment(config, name, experiment)


def _experiment(
    config: Mapping[str, Any], name: str, experiment: Mapping[str, Any]
) -> Iterator[str]:
    key = f"experiments.{name}"
    declared = {
        "recipes": config["recipes"],
        "model_sets": config["model_sets"],
        "stages": config["stages"],
        "bounds": config["bounds"],
    }
    yield from _unknown(
        f"{key}.references", [experiment["references"]], config["references"], "draw", "references"
    )
    for member in {
        m for s in experiment.get("model_sets", ()) for m in declared["model_sets"].get(s, ())
    }:
        if experiment.get("members_alone") and f"alone_{member}" in declared["model_sets"]:
            yield f"key '{key}.members_alone' makes the set 'alone_{member}', which is declared too"
    for axis, known in declared.items():
        values = experiment.get(axis)
        if values is None:
            continue
        if not values:
            yield f"key '{key}.{axis}': the list is empty, so the experiment makes nothing"
        yield from _unknown(f"{key}.{axis}", values, known, axis[:-1].replace("_", " "), axis)
    if "draw" in experiment:
        try:
            model_sets.draw_sets(name, experiment["draw"], config["evaluators"], config["seed"])
        except ValueError as error:
            yield f"key '{key}.draw': {error}"
    yield from _budgets(config, name, experiment)


def _budgets(config: Mapping[str, Any], name: str, experiment: Mapping[str, Any]) -> Iterator[str]:
    sets = config["model_sets"]
    chosen = [m for m in experiment.get("model_sets", []) if sets.get(m)]
    largest = max((len(sets[m]) for m in chosen), default=0)
    if "draw" in experiment:
        largest = min(experiment["draw"]["sizes"][1], len(config["evaluators"]))
    for recipe in [one for one in experiment["recipes"] if largest and one in config["recipes"]]:
        solver = _settings(config["recipes"][recipe])
        if isinstance(solver, str):
            continue
        try:
            settings.turns(solver, largest, 0)
        except ValueError as error:
            yield f"experiment {name!r}, recipe {recipe!r}: {error}"
        if solver.optimizer == "lbfgs":
            for bound in _balls(config, experiment["bounds"], solver):
                yield (
                    f"experiment {name!r}: the recipe {recipe!r} has the optimizer 'lbfgs', which "
                    f"needs a bound in linf, or none, and the bound {bound!r} is an l2 ball"
                )


def _balls(
    config: Mapping[str, Any], names: Iterable[str], chosen: settings.SynthesisSettings
) -> Iterator[str]:
    """Yield which of some bounds are l2 balls that bind."""
    n_pixels = 3 * config["preprocessing"]["size"] ** 2
    for name in names:
        if name in config["bounds"]:
            bound = settings.Bound.of(config["bounds"][name])
            if bound.norm == "l2" and not bound.is_idle(chosen.pixel_range, n_pixels):
                yield name


def _settings(recipe: Mapping[str, Any]) -> settings.SynthesisSettings | str:
    """Return the settings of a recipe, or what is wrong with it."""
    try:
        return settings.SynthesisSettings.of(recipe)
    except ValueError as error:
        return str(error)


def _recipes(config: Mapping[str, Any]) -> Iterator[str]:
    for name, recipe in config["recipes"].items():
        chosen = _settings(recipe)
        if isinstance(chosen, str):
            yield f"key 'recipes.{name}': {chosen}"
        elif chosen.pixel_range and not chosen.pixel_range[0] < chosen.pixel_range[1]:
            yield f"key 'recipes.{name}.pixel_range': {[*chosen.pixel_range]} is not [low, high]"


def _engine(engine: Mapping[str, Any]) -> Iterator[str]:
    if engine["precision"] == "tf32" and engine["device"] == "cpu":
        yield "key 'engine.precision': 'tf32' needs a GPU, and 'engine.device' is 'cpu'"


def _unknown(
    key: str, names: Iterable[str], known: Iterable[str], kind: str, where: str
) -> Iterator[str]:
    for name in names:
        if name not in known:
            yield (
                f"key {key!r}: the {kind} {name!r} is not declared in {where}; "
                f"declared are {', '.join(map(repr, known))}"
            )


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Return nested mappings as plain dictionaries, which is what jsonschema knows."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def rows_of(config: Mapping[str, Any], base: str | Path) -> dict[str, dict[str, Any]]:
    """Return the rows of the configuration's zoo."""
    return zoo.read(find(config["zoo"], base))
