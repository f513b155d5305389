"""Which figure is drawn from what: the step between a run's files and the figures."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd

from metamers.config.plan import Condition, Plan
from metamers.evaluation.similarity.densities import Convention
from metamers.figures import style
from metamers.figures.bounds import bounds as draw_bounds
from metamers.figures.cross_stage import cross_stage as draw_cross_stage
from metamers.figures.data import NothingToDrawError, within
from metamers.figures.differences import difference_in_means as draw_difference_in_means
from metamers.figures.differences import ensemble_gain as draw_ensemble_gain
from metamers.figures.equal_loss import equal_loss as draw_equal_loss
from metamers.figures.examples import examples as draw_examples
from metamers.figures.gradient_agreement import gradient_agreement as draw_gradient_agreement
from metamers.figures.human_alignment import human_alignment as draw_human_alignment
from metamers.figures.image_metrics import image_metrics as draw_image_metrics
from metamers.figures.losses import loss_traces, losses_after
from metamers.figures.mixed_sets import mixed_sets as draw_mixed_sets
from metamers.figures.recipes import recipes as draw_recipes
from metamers.figures.recognizability import recognizability as draw_recognizability
from metamers.figures.sample_size import power as draw_power
from metamers.figures.shared_invariance import shared_invariance as draw_shared_invariance
from metamers.figures.similarity import similarity as draw_similarity
from metamers.figures.transfer import transfer as draw_transfer
from metamers.snakemake_script import notice
from metamers.storage import provenance, tables

UNDRAWN = ("scc_ceiling",)  # a property of the references alone
_ENDS = ("", "_low", "_high")


class Tables(Mapping[str, pd.DataFrame]):
    """A run's tables by name, each read when it is asked for."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = {Path(path).stem: path for path in paths}
        self._read: dict[str, pd.DataFrame] = {}

    def __getitem__(self, name: str) -> pd.DataFrame:
        """Return a table."""
        if name not in self._read:
            self._read[name] = tables.read(tables.TABLES[name], self._paths[name])
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        """Return the names of the tables."""
        return iter(self._paths)

    def __len__(self) -> int:
        """Return the number of tables."""
        return len(self._paths)


@dataclass(frozen=True)
class FigureInputs:
    """A run's tables and images, and what is needed to name things in figures.

    Attributes
    ----------
    tables
        The tables by name.
    metamers, references
        Files of the metamers of kinds that show images, and of all references.
    plan
        The plan of the run.
    labels
        Printed names of models, sets and recipes.
    experiment
        The experiment that is drawn; empty for a figure of the whole run.
    """

    tables: Mapping[str, pd.DataFrame]
    metamers: Sequence[str]
    references: Sequence[str]
    plan: Plan
    labels: Mapping[str, str]
    experiment: str = ""

    @classmethod
    def read(
        cls,
        table_paths: Sequence[str],
        metamers: Sequence[str],
        references: Sequence[str],
        config: Mapping[str, Any],
        zoo: Mapping[str, Mapping[str, Any]],
    ) -> FigureInputs:
        """Return the material of a run; files are read when a figure needs them."""
        labels = {name: row["label"] for name, row in zoo.items()}
        labels |= config.get("set_labels", {}) | config.get("recipe_labels", {})
        plan = Plan.from_config(config, zoo)
        return cls(Tables(table_paths), metamers, references, plan, labels)

    @property
    def config(self) -> Mapping[str, Any]:
        """Return the configuration."""
        return self.plan.config

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Return the conditions of the experiment."""
        return self.plan.experiments[self.experiment]

    @property
    def stages(self) -> list[str]:
        """Return the names of the stages, from shallow to deep."""
        return sorted(self.config["stages"], key=self.config["stages"].__getitem__)

    @property
    def flagged(self) -> set[tuple[str, ...]]:
        """Return the conditions whose metamers are not metamers for a member of their set."""
        success = self.tables["success"]
        failed = success[~success["are_metamers"]]
        return set(failed[list(tables.CONDITION_KEY)].itertuples(index=False, name=None))

    @property
    def people(self) -> pd.DataFrame:
        """Return what people recognised (Feather et al. 2023) in metamers like those of the run.

        Columns of the table `human_alignment`, with ``model_set`` and ``stage``: where a set's
        network is one of theirs and a stage has the name of its layer. Of several vision
        experiments with the same metamers the first counts.
        """
        sets = pd.DataFrame(self.plan.published.items(), columns=["model_set", "network"])
        if sets.empty:
            return pd.DataFrame(columns=["model_set", "stage"])
        table = self.tables["human_alignment"].drop_duplicates(["network", "layer"])
        found = sets.merge(table, on="network").rename(columns={"layer": "stage"})
        return found[found["stage"].isin(self.config["stages"])].reset_index(drop=True)

    def rows(self, name: str) -> pd.DataFrame:
        """Return a table's rows for the experiment: by name, or by its conditions."""
        table = self.tables[name]
        if "experiment" in table:
            return table[table["experiment"] == self.experiment].reset_index(drop=True)
        if not set(tables.CONDITION_KEY) <= set(table):
            return table  # for the figure to refuse
        return within(table, {astuple(c) for c in self.conditions}).reset_index(drop=True)


Drawing = Callable[[FigureInputs], alt.VConcatChart]


def draw(name: str, material: FigureInputs) -> alt.VConcatChart:
    """Return a figure by its name in the plan; of several experiments of a kind it names its own.

    Of a run on random weights, with a warning that it is one. Where the run has nothing that the
    figure could show, it is an empty panel that says why.
    """
    figure, experiment = material.plan.figures[name]
    try:
        chart = FIGURES[figure](replace(material, experiment=experiment))
    except NothingToDrawError as reason:
        chart = style.empty(_title(figure), str(reason))
    if name != figure:
        chart = style.headed(chart, f"Experiment {experiment}", style.INK)
    if material.config["random_weights"]:
        return style.headed(chart, provenance.RANDOM_WEIGHTS, style.MEMBER)
    return chart


def save_all(figures: Sequence[Path], material: FigureInputs) -> dict[str, str]:
    """Write figures, each under its name, in the forms of `style.save`.

    One that cannot be drawn keeps no other from it: an error is told in the log and on the
    terminal, and in the figure's place.

    Parameters
    ----------
    figures
        Paths without suffix; the last part of each is the figure's name.

    Returns
    -------
    dict
        The files of those that could not be drawn, with the error.
    """
    failed: dict[str, str] = {}
    for path in figures:
        try:
            style.save(draw(path.name, material), path)
        except Exception as error:  # one figure's, whatever it is
            logging.exception("the figure %r could not be drawn", path.name)
            notice(f"the figure {path.name!r} could not be drawn: {error}")
            files = style.save(style.failed(_title(path.name), error), path)
            reason = " ".join(f"it could not be drawn: {str(error) or repr(error)}".split())
            failed |= dict.fromkeys(map(str, files), reason)
    return failed


def _title(figure: str) -> str:
    return figure.replace("_", " ").capitalize()


def examples(material: FigureInputs) -> alt.VConcatChart:
    """Fig 2."""
    from metamers.images import references as images
    from metamers.storage import metamers as metamer_files

    name = material.conditions[0].references
    wanted = set(material.conditions)
    path = next(p for p in material.references if Path(p).stem == name)
    ids, pixels = images.load(path)
    recognition = material.rows("recognition")
    shown = _instructive(ids, recognition)
    references = pd.DataFrame(
        {
            "references": name,
            "image_id": image_id,
            "image": _picture(pixels[ids.index(image_id)]),
        }
        for image_id in shown
    )
    rows = []
    for file in material.metamers:
        metamers = metamer_files.load(file)
        condition = Condition.of(metamers.notes["condition"])
        if condition not in wanted:
            continue
        rows += [
            condition.columns() | {"image_id": image_id, "image": _picture(metamers.pixels[index])}
            for index, image_id in enumerate(metamers.image_ids)
            if image_id in shown
        ]
    return draw_examples(
        pd.DataFrame(rows),
        references,
        labels=dict(material.labels) | _image_labels(material.tables["references"]),
        stages=material.stages,
        recognition=recognition,
        flagged=material.flagged,
    )


def recognizability(material: FigureInputs) -> alt.VConcatChart:
    """Fig 3."""
    return draw_recognizability(
        material.tables["recognizability"],
        material.tables["recognizability_by_set"],
        experiment=material.experiment,
        labels=material.labels,
        stages=material.stages,
        flagged=material.flagged,
        people=material.people,
        limits=_limits(material),
    )


def _limits(material: FigureInputs) -> list[float]:
    """Return chance and ceiling of the evaluators that were trained, as means over them."""
    judged = material.tables["recognizability"]
    trained = set(judged.loc[judged["trained"], "evaluator"])
    found = []
    for name, column in (("chance", "chance"), ("ceiling", "agreement")):
        table = material.tables[name]
        rows = table[(table["label_space"] == "1000") & table["evaluator"].isin(trained)]
        found += [float(rows[column].mean())] if len(rows) else []
    return found


def transfer(material: FigureInputs) -> alt.VConcatChart:
    """Who recognises whose metamers."""
    return draw_transfer(
        material.tables["recognizability"],
        experiment=material.experiment,
        labels=material.labels,
        stages=material.stages,
        families={name: row["family"] for name, row in material.plan.zoo.items()},
        flagged=material.flagged,
    )


def human_alignment(material: FigureInputs) -> alt.VConcatChart:
    """Draw people against networks; the run's own judges by the label, of 16 categories."""
    judged = material.tables["recognizability_by_set"]
    judged = judged[
        (judged["group"] == "trained")
        & (judged["rule"] == "label")
        & (judged["label_space"] == "16_mean")
    ]
    judged = judged.drop_duplicates(["model_set", "stage"])
    both = material.people.drop(columns=["networks", "networks_low", "networks_high"]).merge(
        judged[["model_set", "stage", "mean", "low", "high"]], on=["model_set", "stage"]
    )
    names = {"mean": "networks", "low": "networks_low", "high": "networks_high", "stage": "layer"}
    shown = ["network", "layer", *(n + end for n in ("people", "networks") for end in _ENDS)]
    run = both.rename(columns=names)[shown]
    return draw_human_alignment(material.tables["human_alignment"], run)


def image_metrics(material: FigureInputs) -> alt.VConcatChart:
    """Fig 4."""
    table = material.rows("image_metrics")
    return draw_image_metrics(
        table[~table["measure"].isin(UNDRAWN)].reset_index(drop=True),
        labels=material.labels,
        stages=material.stages,
        flagged=material.flagged,
    )


def bounds(material: FigureInputs) -> alt.VConcatChart:
    """Fig 6."""
    return draw_bounds(
        material.tables["recognizability"],
        material.config["bounds"],
        experiment=material.experiment,
        labels=material.labels,
        stages=material.stages,
        flagged=material.flagged,
    )


def mixed_sets(material: FigureInputs) -> alt.VConcatChart:
    """Fig 7."""
    return draw_mixed_sets(
        material.rows("mixed_sets"),
        material.tables["recognizability"],
        experiment=material.experiment,
        labels=material.labels,
        flagged=material.flagged,
    )


def difference_in_means(material: FigureInputs) -> alt.VConcatChart:
    """Table 5."""
    return draw_difference_in_means(material.rows("difference_in_means"), labels=material.labels)


def similarity(material: FigureInputs) -> alt.VConcatChart:
    """Fig 5."""
    drawn = partial(draw_similarity, convention=Convention(**material.plan.divergence))
    return _of_rows(drawn, "similarity")(material)


def power(material: FigureInputs) -> alt.VConcatChart:
    """How many images a divergence needs."""
    return draw_power(
        material.rows("power"),
        stages=material.stages,
        flagged=material.flagged,
        convention=Convention(**material.plan.divergence),
    )


def ensemble_gain(material: FigureInputs) -> alt.VConcatChart:
    """How much better ensembles transfer."""
    if material.rows("ensemble_gain").empty:
        raise NothingToDrawError(
            "no ensemble stands beside a single model, with a model held out for both"
        )
    return draw_ensemble_gain(
        material.tables["ensemble_gain"],
        experiment=material.experiment,
        labels=material.labels,
        stages=material.stages,
        flagged=material.flagged,
    )


def recipes(material: FigureInputs) -> alt.VConcatChart:
    """Recipes of the solver side by side."""
    return draw_recipes(
        material.tables["recognizability_by_set"],
        material.tables["optimisation"],
        experiment=material.experiment,
        labels=material.labels,
        stages=material.stages,
        order=material.config["experiments"][material.experiment]["recipes"],
    )


def equal_loss(material: FigureInputs) -> alt.VConcatChart:
    """Model sets at equal loss."""
    return draw_equal_loss(
        material.tables["equal_loss"],
        experiment=material.experiment,
        labels=material.labels,
        stages=material.stages,
        order=list(dict.fromkeys(one.model_set for one in material.conditions)),
    )


def gradient_agreement(material: FigureInputs) -> alt.VConcatChart:
    """Draw how far the gradients of a set's models agree."""
    order = [
        name for axes in material.config["experiments"].values() if axes for name in axes["recipes"]
    ]
    return draw_gradient_agreement(
        material.tables["gradient_agreement"],
        labels=material.labels,
        stages=material.stages,
        order=list(dict.fromkeys(order)),
    )


def _of_rows(figure: Callable[..., alt.VConcatChart], table: str) -> Drawing:
    """Return what draws a figure of one table's rows for the experiment."""

    def drawn(material: FigureInputs) -> alt.VConcatChart:
        return figure(
            material.rows(table),
            labels=material.labels,
            stages=material.stages,
            flagged=material.flagged,
        )

    return drawn


FIGURES: dict[str, Drawing] = {
    "examples": examples,
    "recognizability": recognizability,
    "human_alignment": human_alignment,
    "ensemble_gain": ensemble_gain,
    "transfer": transfer,
    "image_metrics": image_metrics,
    "similarity": similarity,
    "shared_invariance": _of_rows(draw_shared_invariance, "shared_invariance"),
    "cross_stage": _of_rows(draw_cross_stage, "cross_stage"),
    "bounds": bounds,
    "mixed_sets": mixed_sets,
    "difference_in_means": difference_in_means,
    "power": power,
    "optimisation": _of_rows(loss_traces, "traces"),
    "losses": _of_rows(losses_after, "optimisation"),
    "recipes": recipes,
    "equal_loss": equal_loss,
    "gradient_agreement": gradient_agreement,
}


def _picture(pixels: Any) -> Any:  # noqa: ANN401
    return pixels.permute(1, 2, 0).numpy()


def _image_labels(references: pd.DataFrame) -> dict[str, str]:
    """Return the name of each image's class beside its id, where it has a label."""
    from torchvision.models import AlexNet_Weights

    labelled = references.dropna(subset=["label"])
    names = AlexNet_Weights.IMAGENET1K_V1.meta["categories"]
    pairs = zip(labelled["image_id"].astype(str), labelled["label"].astype(int), strict=True)
    return {image_id: f"{names[label]} ({image_id})" for image_id, label in pairs}


def _instructive(ids: Sequence[str], recognition: pd.DataFrame) -> list[str]:
    """Return the photographs to show, of those whose metamers held-out models judge.

    The one whose metamers they recognise most often, the middle one of those of which they
    recognise any, and the one that they recognise least; of equals, the first by name.
    """
    primary = (recognition["rule"] == "self") & (recognition["label_space"] == "1000")
    held_out = recognition[primary & ~recognition["member"] & ~recognition["same_weights"]]
    shares = held_out.groupby("image_id", observed=True)["recognised"].mean().reindex(list(ids))
    ranked = shares.fillna(0).sort_index().sort_values(ascending=False, kind="stable")
    some = int((ranked > 0).sum())
    places = sorted({0, max(some // 2, 1), len(ranked) - 1})
    names = [str(name) for name in ranked.index]
    return [names[place] for place in places if place < len(names)]
