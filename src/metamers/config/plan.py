"""What is to be made: conditions, shards and batches, with every name resolved. No torch here."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from functools import cached_property
from itertools import product
from typing import Any

from metamers.config.canonical import canonical
from metamers.config.experiment_kinds import KINDS
from metamers.config.model_sets import draw_sets
from metamers.models.zoo import has_head
from metamers.synthesis import settings as recipes

MEASURED_TABLES = [
    "image_metrics",
    "similarity",
    "likeness",
    "power",
    "optimisation",
    "traces",
]
GALLERY_TABLES = [
    "references",
    "predictions",
    "reference_predictions",
    "recognition",
    "image_metrics",
    "image_success",
    "optimisation",
    "traces",
]


@dataclass(frozen=True, order=True)
class Condition:
    """One cell of the experiments: who is inverted, how deep, how, and within which bound."""

    references: str
    recipe: str
    model_set: str
    stage: str
    bound: str

    @classmethod
    def of(cls, row: Mapping[str, str]) -> Condition:
        """Read the condition from wildcards, or from a row of a table."""
        return cls(**{field.name: row[field.name] for field in fields(cls)})

    @classmethod
    def parse(cls, path: str) -> Condition:
        """Read the condition from the path that `str` gives."""
        return cls(*path.split("/"))

    @classmethod
    def pattern(cls) -> str:
        """Return the path pattern whose wildcards are the fields."""
        return "/".join(f"{{{field.name}}}" for field in fields(cls))

    def __str__(self) -> str:
        """Return the path: the pattern, filled in."""
        return "/".join(astuple(self))

    def columns(self) -> dict[str, str]:
        """Return the columns that identify this condition in every table."""
        return asdict(self)


@dataclass(frozen=True)
class Plan:
    """The configuration, checked, with its names resolved.

    Attributes
    ----------
    config
        The configuration as it was read.
    zoo
        The rows of the zoo by name.
    model_sets
        Members of each set, the sets that experiments draw included.
    drawn_sets
        Names of the sets that each experiment draws.
    """

    config: Mapping[str, Any]
    zoo: Mapping[str, Mapping[str, Any]]
    model_sets: Mapping[str, tuple[str, ...]]
    drawn_sets: Mapping[str, tuple[str, ...]]

    @classmethod
    def from_config(cls, config: Mapping[str, Any], zoo: Mapping[str, Mapping[str, Any]]) -> Plan:
        """Return the plan of a configuration that `metamers.config.validation` found right."""
        if config["random_weights"]:
            zoo = {
                name: dict(row) | {"weights": _random_weights(name)} for name, row in zoo.items()
            }
        zoo = {name: _with_stages_in_use(row, config["stages"]) for name, row in zoo.items()}
        sets = {name: tuple(members) for name, members in config["model_sets"].items()}
        drawn = {
            name: draw_sets(name, experiment["draw"], config["evaluators"], config["seed"])
            for name, experiment in config["experiments"].items()
            if experiment and "draw" in experiment
        }
        for found in drawn.values():
            sets |= found
        for experiment in config["experiments"].values():
            sets |= _alone(experiment or {}, sets)
        return cls(config, zoo, sets, {name: tuple(found) for name, found in drawn.items()})

    @property
    def run(self) -> str:
        """Return the name of the run, the folder beneath ``results/``."""
        return self.config["run"]

    @cached_property
    def experiments(self) -> dict[str, tuple[Condition, ...]]:
        """Return the conditions of each experiment."""
        wanted = self.config["experiments"]
        return {name: tuple(self._cells(name)) for name in wanted if wanted[name]}

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """Return the conditions of all experiments, each once."""
        return tuple(dict.fromkeys(c for cells in self.experiments.values() for c in cells))

    @cached_property
    def controls(self) -> frozenset[str]:
        """Return the declared sets of models that were never trained, which enter no contrast.

        Their metamers say what matching activations gives without learned features.
        """
        drawn = {name for found in self.drawn_sets.values() for name in found}
        training = {name: row.get("training") for name, row in self.zoo.items()}
        return frozenset(
            name
            for name, members in self.model_sets.items()
            if name not in drawn and all(training.get(member) == "random" for member in members)
        )

    @cached_property
    def contrasted(self) -> dict[str, tuple[Condition, ...]]:
        """Return the conditions of each experiment without controls, if it has others."""
        return {
            name: tuple(c for c in cells if c.model_set not in self.controls) or cells
            for name, cells in self.experiments.items()
        }

    def of_kind(self, kind: str) -> dict[str, tuple[Condition, ...]]:
        """Return the conditions of each experiment of a kind."""
        wanted = self.config["experiments"]
        return {n: cells for n, cells in self.experiments.items() if wanted[n]["kind"] == kind}

    @property
    def first_of_kinds(self) -> dict[str, str]:
        """Return the experiment of each kind that claims and comparisons rest on.

        It is the first by name: the order of keys decides nothing.
        """
        wanted = self.config["experiments"]
        return {wanted[name]["kind"]: name for name in sorted(self.experiments, reverse=True)}

    def _cells(self, name: str) -> Iterator[Condition]:
        axes = self.config["experiments"][name]
        listed = self.drawn_sets[name] if "draw" in axes else axes["model_sets"]
        model_sets = [*listed, *_alone(axes, self.model_sets)]
        for recipe, model_set, stage, bound in product(
            axes["recipes"], model_sets, axes["stages"], axes["bounds"]
        ):
            yield Condition(axes["references"], recipe, model_set, stage, bound)

    @property
    def shards(self) -> list[str]:
        """Return the names of the slices that the images are dealt into.

        The count is in the name, so that slices of different sizes never mix.
        """
        count = self.config["shards"]
        return [f"{index:03d}-of-{count:03d}" for index in range(count)]

    @property
    def batches(self) -> dict[str, tuple[Condition, ...]]:
        """Return the conditions that one evaluation job takes, so that imports are paid once."""
        size = self.config["evaluation"]["conditions_per_job"]
        chunks = [self.conditions[i : i + size] for i in range(0, len(self.conditions), size)]
        return {f"{i:03d}-of-{len(chunks):03d}": chunk for i, chunk in enumerate(chunks)}

    @property
    def evaluator_groups(self) -> dict[str, tuple[str, ...]]:
        """Return the models that one job loads in turn: evaluators, and members that are none."""
        names = [*self.config["evaluators"], *self.members_only]
        size = self.config["evaluation"]["evaluators_per_job"]
        chunks = [tuple(names[i : i + size]) for i in range(0, len(names), size)]
        return {f"{i:02d}-of-{len(chunks):02d}": chunk for i, chunk in enumerate(chunks)}

    @property
    def members_only(self) -> list[str]:
        """Return the members of sets in use that are no evaluators: they judge their own sets."""
        members = {name for c in self.conditions for name in self.model_sets[c.model_set]}
        return sorted(members - set(self.config["evaluators"]))

    @property
    def model_groups(self) -> dict[str, tuple[str, ...]]:
        """Return the models that one job measures baselines of: evaluators and members."""
        size = self.config["evaluation"]["evaluators_per_job"]
        chunks = [tuple(self.models[i : i + size]) for i in range(0, len(self.models), size)]
        return {f"{i:02d}-of-{len(chunks):02d}": chunk for i, chunk in enumerate(chunks)}

    @property
    def depths(self) -> dict[str, float]:
        """Return the fraction of the depth of each stage in use."""
        used = {condition.stage for condition in self.conditions}
        return {name: depth for name, depth in self.config["stages"].items() if name in used}

    @property
    def reference_sets(self) -> list[str]:
        """Return the draws of reference images that are used."""
        return list(dict.fromkeys(condition.references for condition in self.conditions))

    def rows(self, names: Iterable[str]) -> list[dict[str, Any]]:
        """Return what decides a model's answers of each row of the zoo, with its name.

        A label, a note or a licence that is edited must not make metamers anew.
        """
        return [{"name": name, "label": name} | _essential(self.zoo[name]) for name in names]

    def identities(self, names: Iterable[str]) -> list[dict[str, Any]]:
        """Return of the zoo's rows what decides results: no words, and no place of a file."""
        return [{"name": name} | _identity(self.zoo[name]) for name in names]

    def members(self, wildcards: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return the zoo's rows for the members of a model set, in their order."""
        return self.rows(self.model_sets[wildcards["model_set"]])

    def settings(self, wildcards: Mapping[str, str]) -> dict[str, Any]:
        """Return a recipe in full."""
        return canonical(recipes.complete(self.config["recipes"][wildcards["recipe"]]))

    def evaluators(self, wildcards: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return the zoo's rows for a group of evaluators."""
        return self.rows(self.evaluator_groups[wildcards["evaluators"]])

    @property
    def further_metrics(self) -> list[str]:
        """Return the names of the further image metrics that are wanted."""
        return list(self.config["evaluation"].get("metrics", []))

    @property
    def similarities(self) -> list[str]:
        """Return the names of the further tables on similarity that are wanted."""
        return list(self.config["evaluation"].get("similarities", []))

    @property
    def divergence(self) -> dict[str, Any]:
        """Return the keys of how divergences are computed that differ from the default."""
        return dict(self.config["evaluation"].get("divergence", {}))

    @property
    def similarity_files(self) -> list[str]:
        """Return the names of the raw tables that these are made of."""
        raw = {"shared_invariance": "geometry"}
        return [raw.get(name, name) for name in self.similarities]

    def measured(self, wildcards: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return the zoo's rows for a group of models whose baselines are measured."""
        return self.rows(self.model_groups[wildcards["models"]])

    def of_group(self, pattern: str) -> Callable[[Mapping[str, str]], list[str]]:
        """Return an input function: the pattern, filled, for each model of such a group."""
        return lambda wildcards: [
            pattern.format(model=name) for name in self.model_groups[wildcards["models"]]
        ]

    def row(self, wildcards: Mapping[str, str]) -> dict[str, Any]:
        """Return the zoo's row of one model."""
        return self.rows([wildcards["model"]])[0]

    def of_members(self, pattern: str) -> Callable[[Mapping[str, str]], list[str]]:
        """Return an input function: the pattern, filled, for each member of a model set."""
        return lambda wildcards: [
            pattern.format(**{**dict(wildcards), "model": name})
            for name in self.model_sets[wildcards["model_set"]]
        ]

    def batch(self, wildcards: Mapping[str, str]) -> list[str]:
        """Return the paths of the conditions of a batch."""
        return [str(condition) for condition in self.batches[wildcards["batch"]]]

    def batch_power(self, wildcards: Mapping[str, str]) -> list[str]:
        """Return the paths of a batch's conditions that are of an experiment of kind ``power``."""
        wanted = {c for cells in self.of_kind("power").values() for c in cells}
        return [str(c) for c in self.batches[wildcards["batch"]] if c in wanted]

    def batch_references(self, wildcards: Mapping[str, str]) -> list[str]:
        """Return the draws of reference images that a batch needs."""
        return list(dict.fromkeys(c.references for c in self.batches[wildcards["batch"]]))

    def of_batch(self, pattern: str) -> Callable[[Mapping[str, str]], list[str]]:
        """Return an input function: the pattern for each condition and shard of a batch."""

        def paths(wildcards: Mapping[str, str]) -> list[str]:
            return self._fill(pattern, self.batches[wildcards["batch"]])

        return paths

    def of_all(self, pattern: str) -> list[str]:
        """Return the pattern, filled for every condition and shard."""
        return self._fill(pattern, self.conditions)

    def of_named_sets(self, pattern: str) -> list[str]:
        """Return the pattern for each condition and shard of sets that are not drawn."""
        drawn = {name for found in self.drawn_sets.values() for name in found}
        return self._fill(pattern, [c for c in self.conditions if c.model_set not in drawn])

    def of_batch_references(self, pattern: str) -> Callable[[Mapping[str, str]], list[str]]:
        """Return an input function: the pattern for each draw that a batch needs."""

        def paths(wildcards: Mapping[str, str]) -> list[str]:
            return [pattern.format(references=n) for n in self.batch_references(wildcards)]

        return paths

    def of_shown(self, pattern: str) -> list[str]:
        """Return the pattern for the metamers that a figure may show, each once."""
        kinds = (self.of_kind(kind) for kind in KINDS if KINDS[kind].shows_images)
        shown = dict.fromkeys(c for of in kinds for cells in of.values() for c in cells)
        return self._fill(pattern, shown)

    @property
    def feature_networks(self) -> list[str]:
        """Return the models whose features serve for distances of images."""
        return list(self.config["evaluation"]["feature_networks"])

    @property
    def models(self) -> list[str]:
        """Return the models of the run: evaluators, members of used sets, feature networks."""
        used = {condition.model_set for condition in self.conditions}
        members = [name for model_set in sorted(used) for name in self.model_sets[model_set]]
        return list(dict.fromkeys([*self.config["evaluators"], *members, *self.feature_networks]))

    @property
    def headless(self) -> list[str]:
        """Return the models of the run without a head, which recognition leaves out."""
        return [name for name in self.models if not has_head(self.zoo[name])]

    @property
    def sets_without_judge(self) -> list[str]:
        """Return the sets in use that hold all evaluators with a head: nobody recognises them."""
        judges = set(self.config["evaluators"]) - set(self.headless)
        used = {c.model_set for c in self.conditions}
        return sorted(name for name in used if judges <= set(self.model_sets[name]))

    @property
    def used_rows(self) -> dict[str, dict[str, Any]]:
        """Return the zoo's rows for the models that the run uses, by name."""
        named = set(self.models)
        return {name: dict(row) for name, row in self.zoo.items() if name in named}

    @property
    def recognition_tables(self) -> list[str]:
        """Return the names of the tables on recognizability."""
        always = [
            "references",
            "classes",
            "reference_predictions",
            "predictions",
            "recognition",
            "chance",
            "ceiling",
            "null_distribution",
            "image_success",
            "success",
            "image_metrics_by_set",
            "recognizability",
            "recognizability_by_set",
            "recognizability_by_stage",
            "ensemble_gain",
            "human_alignment",
        ]
        compared = ["recipe_effects"] if self._compares_recipes else []
        return (
            always
            + compared
            + [t for kind in KINDS if self.of_kind(kind) for t in KINDS[kind].tables]
        )

    @property
    def tables(self) -> list[str]:
        """Return the names of all tables that are made of a run's own results."""
        agreement = ["gradient_agreement"] if self.measures_agreement else []
        return [*self.recognition_tables, *MEASURED_TABLES, *self.similarities, *agreement]

    @property
    def measures_agreement(self) -> bool:
        """Return whether a recipe in use measures how far gradients agree."""
        used = {condition.recipe for condition in self.conditions}
        return any(self.settings({"recipe": name})["agreement_every"] for name in used)

    @property
    def figures(self) -> dict[str, tuple[str, str]]:
        """Return what each file of the figures shows: a figure, and an experiment or ``""``.

        The file is called like the figure; where several experiments are of the kind, the
        experiment's name follows behind a hyphen, which no figure's name has.
        """
        found = {
            (f"{figure}-{name}" if len(cells) > 1 else figure): (figure, name)
            for kind in KINDS
            for cells in [self.of_kind(kind)]
            for name in cells
            for figure in self._figures_of(kind)
        }
        whole = ["human_alignment"] if self.published else []
        whole += ["gradient_agreement"] if self.measures_agreement else []
        return found | {figure: (figure, "") for figure in whole}

    def _figures_of(self, kind: str) -> list[str]:
        """Return the figures of a kind; those of further similarities stand beside Fig 5."""
        figures = list(KINDS[kind].figures)
        place = figures.index("similarity") + 1 if "similarity" in figures else 0
        return figures[:place] + self.similarities * bool(place) + figures[place:]

    @property
    def published(self) -> dict[str, str]:
        """Return the name in Feather et al. (2023) of sets in use of one network of theirs."""
        used = {c.model_set: self.model_sets[c.model_set] for c in self.conditions}
        return {
            name: self.zoo[members[0]]["feather2023"]
            for name, members in used.items()
            if len(members) == 1 and "feather2023" in self.zoo[members[0]]
        }

    @property
    def _compares_recipes(self) -> bool:
        """Return whether an experiment has several recipes."""
        return any(len({c.recipe for c in cells}) > 1 for cells in self.experiments.values())

    def _fill(self, pattern: str, conditions: Iterable[Condition]) -> list[str]:
        return [
            pattern.format(condition=condition, shard=shard)
            for condition in conditions
            for shard in self.shards
        ]


def _alone(
    experiment: Mapping[str, Any], sets: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, ...]]:
    """Return a set for each member that an experiment wants alone and has not as it is."""
    if not experiment.get("members_alone"):
        return {}
    listed = [tuple(sets[name]) for name in experiment["model_sets"]]
    members = dict.fromkeys(model for members in listed for model in members)
    return {f"alone_{model}": (model,) for model in members if (model,) not in listed}


def _random_weights(name: str) -> dict[str, Any]:
    """Return weights of a model's own seed: two rows of one architecture stay two models."""
    return {"source": "random", "seed": zlib.crc32(name.encode())}


def _with_stages_in_use(row: Mapping[str, Any], stages: Iterable[str]) -> Mapping[str, Any]:
    """Return a row whose modules for named stages are those of the run: others decide nothing."""
    if "stages" not in row:
        return row
    used = {name: module for name, module in row["stages"].items() if name in set(stages)}
    kept = {key: value for key, value in row.items() if key != "stages"}
    return kept | ({"stages": used} if used else {})


def _essential(row: Mapping[str, Any]) -> dict[str, Any]:
    weights = {k: v for k, v in row["weights"].items() if k not in ("licence", "note")}
    idle = ("label", "note", "accuracy", "input", "lineage", "feather2023")
    kept = {k: v for k, v in row.items() if k not in idle}
    return kept | {"weights": weights}


def _identity(row: Mapping[str, Any]) -> dict[str, Any]:
    kept = {k: v for k, v in _essential(row).items() if k not in ("family", "training")}
    # The content of a local file counts (`metamers.models.weights.contents`), not where it lies.
    local = row["weights"]["source"] in ("local", "factory")
    unnamed = ("path", "file") if local else ()
    return kept | {"weights": {k: v for k, v in kept["weights"].items() if k not in unnamed}}
