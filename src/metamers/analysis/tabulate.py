"""The tables of a run, from the raw ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from metamers.analysis import (
    claims_page as page_of_claims,
)
from metamers.analysis import (
    feather2023_comparison,
    mixed_regression,
    mixed_sets,
    multiverse,
    paper_comparison,
    paper_facts,
    paper_settings,
    success,
    verdicts,
)
from metamers.analysis import recognizability as analysis
from metamers.analysis.chance import chance
from metamers.analysis.equal_loss import equal_loss
from metamers.analysis.human_alignment import human_alignment
from metamers.analysis.recipe_comparison import recipe_effects
from metamers.analysis.recognition import recognition as recognition_of
from metamers.analysis.run_results import EVIDENCE, RunResults
from metamers.analysis.shared_invariance import shared_invariance
from metamers.config.plan import Plan
from metamers.images import classes
from metamers.models import zoo
from metamers.storage import baseline_tables, provenance, similarity_tables, tables
from metamers.storage import metamers as metamer_files
from metamers.storage.columns import CONDITION_KEY, PRIMARY_RULE

RAW = ("references", "reference_predictions", "predictions", "null_distribution", "ceiling")
"""Tables that `recognizability` passes on as they are."""
LIKE_THE_PAPERS = {"main": "model_sets", "mixed": "mixed_sets"}
"""Of the paper's experiments, the kind; a run's first experiment of it is compared with them."""


def recognizability(
    raw: Mapping[str, pd.DataFrame],
    config: Mapping[str, Any],
    rows: Mapping[str, Mapping[str, Any]],
) -> dict[str, pd.DataFrame]:
    """Return the tables on recognizability and success by name.

    Parameters
    ----------
    raw
        The tables of `RAW`, ``likeness`` and ``image_metrics``; ``optimisation``, where an
        experiment compares at equal loss.
    config, rows
        The configuration, and the rows of its models.
    """
    plan = Plan.from_config(config, rows)
    answers, own = raw["predictions"], raw["reference_predictions"]
    recognition = recognition_of(
        answers[answers["evaluator"].isin(config["evaluators"])],
        own,
        raw["references"],
        plan.model_sets,
        {name: weights_identity(rows[name]) for name in plan.models},
        {name: row.get("lineage", ()) for name, row in rows.items()},
        [name for name, row in rows.items() if row["training"] == "random"],
    )
    seed = config["seed"]
    images = success.by_image(
        raw["likeness"], raw["null_distribution"], answers, own, plan.headless
    )
    successes = success.successful(images)
    found = {
        **{name: raw[name] for name in RAW},
        "classes": pd.DataFrame(classes.table()),
        "recognition": recognition,
        "chance": chance(own),
        "image_success": images[baseline_tables.IMAGE_SUCCESS.schema.names],
        "success": success.by_condition(images),
        "image_metrics_by_set": success.metrics_by_set(raw["image_metrics"], successes, seed),
        "recognizability": analysis.recognizability(recognition, plan.experiments, seed),
        "recognizability_by_set": analysis.by_set(
            recognition,
            plan.experiments,
            seed,
            successes,
            {name: row["family"] for name, row in rows.items()},
        ),
        "recognizability_by_stage": analysis.by_stage(recognition, plan.contrasted, seed),
        "ensemble_gain": analysis.ensemble_gain(
            recognition, plan.contrasted, plan.model_sets, seed
        ),
        "human_alignment": human_alignment(seed),
    }
    if "recipe_effects" in plan.recognition_tables:
        found["recipe_effects"] = recipe_effects(recognition, plan.experiments, seed)
    if matched := plan.of_kind("equal_loss"):
        found["equal_loss"] = equal_loss(recognition, raw["optimisation"], matched, seed)
    parts = [_of_mixed(recognition, plan, name, rows) for name in plan.of_kind("mixed_sets")]
    if parts:
        found |= {name: pd.concat([part[name] for part in parts]) for name in parts[0]}
    return found


def _of_mixed(
    recognition: pd.DataFrame, plan: Plan, experiment: str, rows: Mapping[str, Mapping[str, Any]]
) -> dict[str, pd.DataFrame]:
    """Return the tables of an experiment of kind ``mixed_sets``."""
    conditions, seed = plan.experiments[experiment], plan.config["seed"]
    sets = mixed_sets.mixed_sets(
        recognition, conditions, plan.model_sets, experiment=experiment, seed=seed
    )
    return {
        "mixed_sets": sets,
        "difference_in_means": mixed_sets.difference_in_means(sets, seed),
        "mixed_regression": mixed_regression.regression(sets, zoo.specs(rows)),
    }


def compare_with_paper(
    paths: Iterable[str | Path],
    config: Mapping[str, Any],
    rows: Mapping[str, Mapping[str, Any]],
) -> dict[str, pd.DataFrame]:
    """Return the tables ``paper_comparison``, ``claims`` and ``claims_multiverse`` of a run."""
    plan = Plan.from_config(config, rows)
    specs = zoo.specs(rows)
    found = {
        name: tables.read(tables.TABLES[name], path, categories=True)
        for path in paths
        for name in [Path(path).stem]
    }
    images = found["references"].groupby("references", observed=True).size()
    likest = {theirs: plan.first_of_kinds.get(kind) for theirs, kind in LIKE_THE_PAPERS.items()}
    run = {
        theirs: paper_settings.setting_of(
            plan, name, int(images[plan.experiments[name][0].references])
        )
        for theirs, name in likest.items()
        if name
    }
    none = {name: pd.DataFrame(columns=tables.TABLES[name].schema.names) for name in tables.TABLES}

    def like(theirs: str, name: str) -> pd.DataFrame:
        table = found.get(name, none[name])
        return table[table["experiment"] == likest[theirs]]

    compared = paper_comparison.comparison(
        like("main", "recognizability_by_stage"),
        like("mixed", "mixed_sets"),
        like("mixed", "difference_in_means"),
        specs,
        run,
        config["seed"],
        paper_facts.facts(plan, run),
    )
    theirs = feather2023_comparison.comparison(
        plan,
        found["recognizability"],
        found["recognizability_by_set"],
        {str(name): int(n) for name, n in images.items()},
    )
    return {
        "paper_comparison": pd.concat([compared, theirs], ignore_index=True),
        "claims": _judged(plan, specs, found),
        "claims_multiverse": (
            none["claims_multiverse"]
            if config["random_weights"]
            else multiverse.multiverse(plan, specs, found["recognition"], found["image_success"])
        ),
    }


def claims_of(folder: Path, plan: Plan) -> pd.DataFrame:
    """Return the table ``claims`` of a folder of tables.

    Parameters
    ----------
    folder
        Has ``recognition.parquet`` for every condition of the plan, and those of
        `run_results.EVIDENCE` that there are; claims on others are not testable. With
        ``image_success.parquet`` there are verdicts of metamers alone, too.

    Raises
    ------
    FileNotFoundError
        If there is no table ``recognition``.
    """
    return _judged(plan, zoo.specs(plan.used_rows), _evidence(folder))


def _judged(
    plan: Plan, specs: Mapping[str, zoo.ModelSpec], found: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    successful = None
    if len(found.get("image_success", ())):
        successful = RunResults.of(plan, specs, found, images="metamers")
    return verdicts.judge(RunResults.of(plan, specs, found), successful)


def multiverse_of(folder: Path, plan: Plan) -> pd.DataFrame:
    """Return the table ``claims_multiverse`` of such a folder."""
    found = _evidence(folder)
    specs = zoo.specs(plan.used_rows)
    return multiverse.multiverse(plan, specs, found["recognition"], found.get("image_success"))


def verdict_counts(found: pd.DataFrame) -> pd.DataFrame:
    """Return how many rows of a table ``claims_multiverse`` have each verdict."""
    return multiverse.grid(found)


def _evidence(folder: Path) -> dict[str, pd.DataFrame]:
    if not (folder / "recognition.parquet").exists():
        raise FileNotFoundError(f"{folder} has no recognition.parquet, which claims rest on")
    names = ("recognition", "image_success", "optimisation", *EVIDENCE)
    paths = {name: folder / f"{name}.parquet" for name in names}
    return {
        name: tables.read(tables.TABLES[name], path, categories=True)
        for name, path in paths.items()
        if path.exists()
    }


def claims_page(
    judged: pd.DataFrame,
    config: Mapping[str, Any],
    found: pd.DataFrame | None = None,
    succeeded: pd.DataFrame | None = None,
    controls: pd.DataFrame | None = None,
) -> str:
    """Return the page of claims, in Markdown.

    Parameters
    ----------
    judged, found, succeeded
        The tables ``claims``, ``claims_multiverse`` and ``success``.
    controls
        What `of_controls` returned.
    """
    grid = None if found is None else multiverse.grid(found)
    return page_of_claims.markdown(judged, provenance.stamp(config), grid, succeeded, controls)


def of_controls(by_set: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Return the rows of `recognizability_by_set` on controls, by the primary rule."""
    rows = tables.matching(by_set, group="trained", **PRIMARY_RULE)
    return rows[rows["model_set"].isin(plan.controls)].drop_duplicates(list(CONDITION_KEY))


def losses(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Return the table ``optimisation`` of the metamers in some files."""
    rows: list[dict[str, Any]] = []
    for path in paths:
        metamers = metamer_files.load(path)
        rows.extend(metamer_files.loss_rows(metamers, metamers.notes["condition"]))
    return pd.DataFrame(rows)


def weights_identity(row: Mapping[str, Any]) -> str:
    """Return what two models with the same weights have in common."""
    weights = row["weights"]
    return weights.get("sha256") or provenance.digest([row["architecture"], dict(weights)])


def further_similarities(paths: Mapping[str, Any], plan: Plan) -> dict[str, pd.DataFrame]:
    """Return the tables ``shared_invariance`` and ``cross_stage``, as far as there are files.

    Parameters
    ----------
    paths
        Files of the raw tables ``geometry`` and ``cross_stage``, by name.
    plan
        The plan of the run.
    """
    found = {}
    if "geometry" in paths:
        found["shared_invariance"] = shared_invariance(
            paths["geometry"], plan.model_sets, plan.config["seed"]
        )
    if "cross_stage" in paths:
        found["cross_stage"] = tables.read(similarity_tables.CROSS_STAGE, paths["cross_stage"])
    return found


def write_all(
    found: Mapping[str, pd.DataFrame],
    paths: Mapping[str, str],
    stamp: Mapping[str, str] | None = None,
) -> None:
    """Write each table, by name, to the path of that name."""
    for name, table in found.items():
        tables.write(tables.TABLES[name], table, paths[name], stamp)
