"""What a schema cannot say of a configuration: names that are declared, counts that suffice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import prod
from typing import Any

from metamers.config import experiment_kinds, model_sets
from metamers.config.experiment_kinds import AXES
from metamers.synthesis import settings

MOST_CONDITIONS = 10_000
MOST_TURNS = 1_000_000
# So many turns give one to each model of any set: the turns need not be made to see it.
MANY_TURNS = 10_000

Section = Mapping[str, Any]


def used_sets(config: Section) -> set[str]:
    """Return the names of the declared sets that experiments name."""
    wanted = (e.get("model_sets", []) for e in config.get("experiments", {}).values() if e)
    return {name for names in wanted for name in names}


def used_models(config: Section) -> list[str]:
    """Return the models that the sections name: members of used sets, judges, feature networks."""
    sets = config.get("model_sets", {})
    members = [name for used in sorted(used_sets(config)) for name in sets.get(used, [])]
    networks = config.get("evaluation", {}).get("feature_networks", [])
    return list(dict.fromkeys([*config.get("evaluators", []), *networks, *members]))


def check(config: Section, declared: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """Yield what is wrong with the sections of a configuration that its schema found right.

    Parameters
    ----------
    config
        The sections and named entries that are right by the schema; others are left out.
    declared
        Names that are known, of each section and, as ``zoo``, of the zoo: those of entries that
        are wrong, too. As ``headless``, rows of the zoo whose networks have no head.
    """
    yield from _models(config, declared)
    for name, bound in config.get("bounds", {}).items():
        try:
            settings.parse_radius(bound["radius"])
        except ValueError as error:
            yield f"key 'bounds.{name}.radius': {error}"
    for name, recipe in config.get("recipes", {}).items():
        chosen = _settings(recipe)
        if isinstance(chosen, str):
            yield f"key 'recipes.{name}': {chosen}"
        else:
            yield from _recipe(name, settings.complete(recipe))
    engine = config.get("engine", {})
    if engine.get("precision") == "tf32" and engine.get("device") == "cpu":
        yield "key 'engine.precision': 'tf32' needs a GPU, and 'engine.device' is 'cpu'"
    for name, experiment in config.get("experiments", {}).items():
        if experiment is not None:
            yield from _experiment(config, declared, name, experiment)
    yield from _jobs(config)


def _models(config: Section, declared: Mapping[str, Iterable[str]]) -> Iterator[str]:
    zoo = declared["zoo"]
    evaluators = config.get("evaluators", [])
    yield from _unknown("evaluators", evaluators, zoo, "model", "the zoo")
    if evaluators and set(evaluators) <= set(declared.get("headless", ())):
        yield (
            "key 'evaluators': none of them has a head (zoo, key 'head'), so no metamer could be "
            "recognised; at least one must answer with ImageNet's classes"
        )
    networks = config.get("evaluation", {}).get("feature_networks", [])
    yield from _unknown("evaluation.feature_networks", networks, zoo, "model", "the zoo")
    used = used_sets(config)
    for name, members in config.get("model_sets", {}).items():
        key = f"model_sets.{name}"
        if not members:
            yield f"key {key!r}: the set has no members; at least one is needed"
        for member in sorted({m for m in members if members.count(m) > 1}):
            yield f"key {key!r}: the model {member!r} is listed {members.count(member)} times"
        if name in used:
            yield from _unknown(key, members, zoo, "model", "the zoo")


def _recipe(name: str, recipe: Section) -> Iterator[str]:
    pixel_range, budget = recipe["pixel_range"], recipe["budget"]
    if pixel_range and not pixel_range[0] < pixel_range[1]:
        yield f"key 'recipes.{name}.pixel_range': {pixel_range} is not [low, high]"
    turns = _evaluations(budget, 1) // budget["steps_per_turn"]
    if turns > MOST_TURNS:
        yield f"key 'recipes.{name}.budget': {turns} turns; at most {MOST_TURNS} can be planned"


def _experiment(
    config: Section, declared: Mapping[str, Iterable[str]], name: str, experiment: Section
) -> Iterator[str]:
    key = f"experiments.{name}"
    yield from _unknown(
        f"{key}.references", [experiment["references"]], declared["references"], "draw",
        "references",
    )  # fmt: skip
    for axis in AXES:
        values = experiment.get(axis)
        if values is None:
            continue
        if not values:
            yield f"key '{key}.{axis}': the list is empty, so the experiment makes nothing"
        kind = axis[:-1].replace("_", " ")
        yield from _unknown(f"{key}.{axis}", values, declared[axis], kind, axis)
        for value in sorted({v for v in values if values.count(v) > 1}):
            yield f"key '{key}.{axis}': {value!r} is listed {values.count(value)} times"
    if "draw" in experiment and "evaluators" in config:
        try:
            model_sets.count_sets(name, experiment["draw"], len(config["evaluators"]))
        except ValueError as error:
            yield f"key '{key}.draw': {error}"
    yield from experiment_kinds.problems(name, experiment)
    if experiment.get("members_alone"):
        sets = config.get("model_sets", {})
        members = {m for used in experiment.get("model_sets", ()) for m in sets.get(used, ())}
        for member in sorted(members):
            if f"alone_{member}" in declared["model_sets"]:
                yield (
                    f"key 'model_sets.alone_{member}': experiment {name!r} has members_alone, "
                    "which makes a set of this name"
                )
    for declared_set in declared["model_sets"] if "draw" in experiment else ():
        prefix, _, number = declared_set.rpartition("_")
        if prefix == name and number.isdigit():
            yield f"key 'model_sets.{declared_set}': experiment {name!r} draws sets of such names"
    yield from _budgets(config, name, experiment)


def _budgets(config: Section, name: str, experiment: Section) -> Iterator[str]:
    sets, recipes = config.get("model_sets", {}), config.get("recipes", {})
    largest = max((len(sets.get(m, [])) for m in experiment.get("model_sets", [])), default=0)
    if "draw" in experiment:
        largest = min(experiment["draw"]["sizes"][1], len(config.get("evaluators", [])))
    kind = experiment_kinds.KINDS.get(experiment["kind"])
    for recipe in experiment["recipes"]:
        if recipe not in recipes or not largest:
            continue
        chosen = _settings(recipes[recipe])
        if isinstance(chosen, str):
            continue
        if chosen.optimizer == "lbfgs":
            for bound in _balls(config, experiment["bounds"], chosen):
                yield (
                    f"experiment {name!r}: the recipe {recipe!r} has the optimizer 'lbfgs', which "
                    f"needs a bound in linf, or none, and the bound {bound!r} is an l2 ball"
                )
        if kind and kind.until_loss and chosen.until_loss is None:
            yield (
                f"key 'recipes.{recipe}.budget', in experiment {name!r}: {dict(chosen.budget)}; "
                f"an experiment of kind {experiment['kind']!r} needs 'until_loss' and 'at_most'"
            )
        turns = _evaluations(chosen.budget, largest) // chosen.budget["steps_per_turn"]
        if turns > MOST_TURNS and "per_model" in chosen.budget:  # `_recipe` counts one model's
            yield (
                f"key 'recipes.{recipe}.budget', in experiment {name!r}: {turns} turns for sets of "
                f"{largest}; at most {MOST_TURNS} can be planned"
            )
        if turns > MANY_TURNS * largest:
            continue
        try:
            settings.turns(chosen, largest, 0)
        except ValueError as error:
            yield f"key 'recipes.{recipe}.budget', in experiment {name!r}: {error}"


def _evaluations(budget: Mapping[str, int], n_models: int) -> int:
    if "per_model" in budget:
        return budget["per_model"] * n_models
    return budget["total_steps"] if "total_steps" in budget else budget["at_most"]


def _balls(
    config: Section, names: Iterable[str], chosen: settings.SynthesisSettings
) -> Iterator[str]:
    """Yield which of some bounds are l2 balls that bind."""
    n_pixels = 3 * config.get("preprocessing", {}).get("size", 1) ** 2
    for name in names:
        if name in config.get("bounds", {}):
            bound = settings.Bound.of(config["bounds"][name])
            if bound.norm == "l2" and not bound.is_idle(chosen.pixel_range, n_pixels):
                yield name


def _settings(recipe: Section) -> settings.SynthesisSettings | str:
    """Return the settings of a recipe, or what is wrong with it."""
    try:
        return settings.SynthesisSettings.of(recipe)
    except ValueError as error:
        return str(error)


def _jobs(config: Section) -> Iterator[str]:
    """Yield what makes too many conditions or jobs: the names of jobs have so many digits."""
    n_evaluators = len(config.get("evaluators", []))
    conditions = 0
    for name, experiment in config.get("experiments", {}).items():
        if experiment is None:
            continue
        try:
            count = _count(name, experiment, n_evaluators)
        except ValueError:
            continue  # `_experiment` says it
        conditions += count
        if count > MOST_CONDITIONS:
            yield f"key 'experiments.{name}': {count} conditions; at most {MOST_CONDITIONS}"
    if "experiments" in config and not any(config["experiments"].values()):
        yield "key 'experiments': no experiment is left, so there is nothing to make"
    if "evaluation" not in config:
        return
    per_job, models = config["evaluation"]["conditions_per_job"], used_models(config)
    for key, n, size, most in (
        ("conditions_per_job", min(conditions, MOST_CONDITIONS), per_job, 999),
        ("evaluators_per_job", len(models), config["evaluation"]["evaluators_per_job"], 99),
    ):
        if -(-n // size) > most:
            yield f"key 'evaluation.{key}': {size} cuts {n} into more than {most} jobs"


def _count(name: str, experiment: Section, n_evaluators: int) -> int:
    drawn = experiment.get("draw")
    sets = model_sets.count_sets(name, drawn, n_evaluators) if drawn else 1
    return sets * prod(len(experiment[axis]) for axis in AXES if axis in experiment)


def _unknown(
    key: str, names: Iterable[str], known: Iterable[str], kind: str, where: str
) -> Iterator[str]:
    known = list(known)
    shown = ", ".join(map(repr, known[:40])) + (", ..." if len(known) > 40 else "")
    for name in names:
        if name not in known:
            yield (
                f"key {key!r}: the {kind} {name!r} is not declared in {where}; declared are {shown}"
            )
