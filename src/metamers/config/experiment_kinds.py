"""Kinds of experiments: what one may hold, and what is tabulated and drawn of it.

A kind is added here. Its tables are declared in `metamers.storage` and made in
`metamers.analysis.tabulate`, its figures are drawn in `metamers.figures.registry`, each with a
caption in `workflow/report/`; tests say what is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

AXES = ("recipes", "model_sets", "stages", "bounds")


@dataclass(frozen=True)
class Kind:
    """What the experiments of one kind have in common.

    Attributes
    ----------
    compares
        What its figures compare, in words.
    one
        The axes that have one value: tables and figures could not tell several apart.
    draws
        Whether its model sets may be drawn.
    tables
        The tables that exist for this kind alone.
    figures
        The figures, drawn of each experiment.
    shows_images
        Whether a figure shows metamers themselves.
    until_loss
        Whether synthesis has to end at a loss.
    """

    compares: str
    one: tuple[str, ...] = ()
    draws: bool = True
    tables: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()
    shows_images: bool = False
    until_loss: bool = False


KINDS: Mapping[str, Kind] = {
    "model_sets": Kind(
        "model sets (Fig 2 to 5)",
        one=("recipes", "bounds"),
        draws=False,
        figures=(
            "examples",
            "recognizability",
            "ensemble_gain",
            "transfer",
            "image_metrics",
            "similarity",
            "optimisation",
            "losses",
        ),
        shows_images=True,
    ),
    "bounds": Kind("bounds on pixels (Fig 6)", one=("recipes",), figures=("bounds",)),
    "mixed_sets": Kind(
        "many sets of models that are drawn (Fig 7, Table 5)",
        one=("recipes", "stages", "bounds"),
        tables=("mixed_sets", "difference_in_means", "mixed_regression"),
        figures=("mixed_sets", "difference_in_means"),
    ),
    "power": Kind("numbers of images (section 4.5)", figures=("power",)),
    "recipes": Kind("recipes of the solver", one=("bounds",), figures=("recipes",)),
    "equal_loss": Kind(
        "model sets at equal loss",
        one=("recipes", "bounds"),
        draws=False,
        until_loss=True,
        tables=("equal_loss",),
        figures=("equal_loss",),
    ),
    "tables": Kind("nothing: its conditions are in the tables, and in no figure"),
}


def problems(name: str, experiment: Mapping[str, Any]) -> Iterator[str]:
    """Yield what an experiment holds that its kind cannot tabulate or draw."""
    if experiment["kind"] not in KINDS:
        listed = "; ".join(f"{key!r} compares {kind.compares}" for key, kind in KINDS.items())
        yield f"key 'experiments.{name}.kind': {experiment['kind']!r} is not a kind; {listed}"
        return
    kind = KINDS[experiment["kind"]]
    for axis in kind.one:
        if len(experiment.get(axis, ())) > 1:
            yield (
                f"key 'experiments.{name}.{axis}': {experiment[axis]}, but an experiment of kind "
                f"{experiment['kind']!r} has one: its figures could not tell several "
                "apart; declare an experiment of this kind for each"
            )
    if "draw" in experiment and not kind.draws:
        yield (
            f"key 'experiments.{name}.draw': figures of kind {experiment['kind']!r} name the sets; "
            "give 'model_sets'"
        )
