"""What decides each file of a run: all values that a rule's job depends on. No torch here.

The rule has them as its one parameter `decided_by`, so that Snakemake makes its files anew when
they change; the files carry them, so that anyone can tell (`metamers.config.integrity`). What
does not decide must not be here: paths of caches, sizes of batches, devices, shards, margins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from metamers import seals
from metamers.config import revisions
from metamers.config.canonical import canonical
from metamers.config.plain_data import plain
from metamers.config.plan import Condition, Plan
from metamers.images import null_pool, references
from metamers.images.errors import ImagesError, UnreadableImageError
from metamers.models.weights import contents
from metamers.models.weights.cache import cache_folder

Wildcards = Mapping[str, str]

# Of the configuration, what no table and no figure shows.
_SECTIONS = ("weights_cache", "zoo", "shards", "accuracy_gate")
_EVALUATION = ("conditions_per_job", "evaluators_per_job", "batch_size")


def by(plan: Plan, rule: str, wildcards: Wildcards) -> dict[str, Any]:
    """Return all that decides the files of a job, besides its inputs, as plain data.

    A rule that is not listed below is one that is made of tables: all that tables show decides it.
    What cannot be known here, since photographs or weights lie elsewhere, is None.

    Raises
    ------
    LookupError
        If the plan has no such job.
    """
    if rule in RULES:
        return dict(canonical(RULES[rule](plan, wildcards)))
    return dict(plain(_shown(plan, rule)))


def param(plan: Plan, rule: str, recorded: str = "") -> Callable[[Wildcards], dict[str, Any]]:
    """Return the function that gives a rule's parameter `decided_by`.

    It is of wildcards alone: Snakemake does not record parameters that are made of inputs or
    outputs, and would never see them change.

    Parameters
    ----------
    plan, rule
        As for `by`.
    recorded
        Path, with wildcards, of a file that the rule makes. What cannot be known is what it says:
        whoever has results but no photographs can go on from them.
    """

    def of(wildcards: Wildcards) -> dict[str, Any]:
        found = by(plan, rule, dict(wildcards))
        if recorded and None in found.values():
            return _filled(found, _recorded(Path(recorded.format(**dict(wildcards)))))
        return found

    return of


def _recorded(path: Path) -> Mapping[str, Any]:
    try:
        return seals.opened(path)[0].decided_by
    except (OSError, seals.SealError):
        return {}


def _filled(found: Mapping[str, Any], recorded: Mapping[str, Any]) -> dict[str, Any]:
    return {key: recorded.get(key) if found[key] is None else found[key] for key in found}


def _references(plan: Plan, wildcards: Wildcards) -> dict[str, Any]:
    config, name = plan.config, wildcards["references"]
    draw = config["references"][name]
    try:
        photographs = references.contents(config["data"], name, draw, config["seed"])
    except (ImagesError, UnreadableImageError):
        photographs = None
    return {
        "revision": revisions.REFERENCES,
        "photographs": photographs,
        "preprocessing": config["preprocessing"],
        "draw": draw,
        "seed": config["seed"],
    }


def _null_pool(plan: Plan, _: Wildcards) -> dict[str, Any]:
    try:
        photographs = null_pool.contents(plan.config)
    except (ImagesError, UnreadableImageError):
        photographs = None
    return {
        "revision": revisions.REFERENCES,
        "photographs": photographs,
        "preprocessing": plan.config["preprocessing"],
        "images": plan.config["null_pool"]["images"],
        "seed": plan.config["seed"],
    }


def _baselines(plan: Plan, wildcards: Wildcards) -> dict[str, Any]:
    return {
        "revision": revisions.BASELINES,
        "models": plan.identities(plan.model_groups[wildcards["models"]]),
        "depths": plan.depths,
        "draws": plan.reference_sets,
        "chunk_size": plan.config["engine"]["chunk_size"],
    }


def _weights(plan: Plan, wildcards: Wildcards) -> dict[str, Any]:
    row = plan.zoo[wildcards["model"]]
    weights = plan.identities([wildcards["model"]])[0]["weights"]
    return {"weights": weights} | contents.hashes_of(
        row, cache_folder(plan.config["weights_cache"])
    )


def _answers(plan: Plan, wildcards: Wildcards) -> dict[str, Any]:
    headless = wildcards["model"] in plan.headless
    return ({"depths": plan.depths} if headless else {}) | {
        "revision": revisions.PREDICTION,
        "model": plan.identities([wildcards["model"]])[0],
        "chunk_size": plan.config["engine"]["chunk_size"],
    }


def _metamers(plan: Plan, wildcards: Wildcards) -> dict[str, Any]:
    condition, config = Condition.of(wildcards), plan.config
    if condition not in plan.conditions or wildcards["shard"] not in plan.shards:
        raise LookupError(f"the plan has no condition {condition} of shard {wildcards['shard']}")
    return {
        "revision": revisions.SYNTHESIS,
        "models": plan.identities(plan.model_sets[condition.model_set]),
        "depth": config["stages"][condition.stage],
        "bound": config["bounds"][condition.bound],
        "recipe": plan.settings(wildcards),
        "engine": revisions.reproducibility_settings(config["engine"]),
        "seed": config["seed"],
    }


def _evaluation(plan: Plan, wildcards: Wildcards) -> dict[str, Any]:
    used = {condition.stage for condition in plan.batches[wildcards["batch"]]}
    stages = sorted(plan.config["stages"] if "cross_stage" in plan.similarities else used)
    group = plan.evaluator_groups[wildcards["evaluators"]]
    further = {
        "similarities": plan.similarities,
        "divergence": plan.divergence,
        "members_only": [name for name in group if name in plan.members_only],
    }
    return {key: value for key, value in further.items() if value} | {
        "revision": revisions.EVALUATION,
        "conditions": plan.batch(wildcards),
        "with_power": plan.batch_power(wildcards),
        "stages": {name: plan.config["stages"][name] for name in stages},
        "models": plan.identities(group),
        "chunk_size": plan.config["engine"]["chunk_size"],
        "seed": plan.config["seed"],
    }


def _measures(plan: Plan, wildcards: Wildcards) -> dict[str, Any]:
    further = {"metrics": plan.further_metrics} if plan.further_metrics else {}
    return further | {
        "revision": revisions.IMAGE_METRICS,
        "conditions": plan.batch(wildcards),
        "networks": plan.identities(plan.feature_networks),
    }


def _accuracy(plan: Plan, _: Wildcards) -> dict[str, Any]:
    return {
        "revision": revisions.ANALYSIS,
        "models": _rows(plan),
        "gate": plan.config["accuracy_gate"],
    }


def _shown(plan: Plan, rule: str) -> dict[str, Any]:
    config = {key: value for key, value in plan.config.items() if key not in _SECTIONS}
    config["engine"] = revisions.reproducibility_settings(config["engine"])
    evaluation = config["evaluation"]
    config["evaluation"] = {key: evaluation[key] for key in evaluation if key not in _EVALUATION}
    config["data"] = {key: value for key, value in config["data"].items() if key != "path"}
    drawn = rule.startswith("draw_")
    return {
        "revision": revisions.FIGURES if drawn else revisions.ANALYSIS,
        "config": config,
        "zoo": _rows(plan),
    }


def _rows(plan: Plan) -> dict[str, Any]:
    """Return the zoo's rows in words and all, but for the place of a local file."""
    rows = plan.used_rows
    return {n["name"]: rows[n["name"]] | {"weights": n["weights"]} for n in plan.identities(rows)}


RULES: dict[str, Callable[[Plan, Wildcards], dict[str, Any]]] = {
    "prepare_references": _references,
    "prepare_null_pool": _null_pool,
    "measure_baselines": _baselines,
    "fetch_weights": _weights,
    "predict_references": _answers,
    "synthesize_metamers": _metamers,
    "evaluate_models": _evaluation,
    "measure_images": _measures,
    "check_accuracy": _accuracy,
}
