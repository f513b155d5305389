"""Which figures there are; how they are drawn and written."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import altair as alt

from metamers.figures import (
    bounds,
    cross_stage,
    differences,
    equal_loss,
    examples,
    gradient_agreement,
    human_alignment,
    image_metrics,
    losses,
    mixed_sets,
    recipes,
    recognizability,
    sample_size,
    shared_invariance,
    similarity,
    style,
    transfer,
)
from metamers.figures.data import NothingToDrawError
from metamers.figures.inputs import FigureInputs
from metamers.snakemake_script import notice
from metamers.storage import provenance

FIGURES: Mapping[str, Callable[[FigureInputs], alt.VConcatChart]] = {
    "examples": examples.examples,
    "recognizability": recognizability.recognizability,
    "human_alignment": human_alignment.human_alignment,
    "ensemble_gain": differences.ensemble_gain,
    "transfer": transfer.transfer,
    "image_metrics": image_metrics.image_metrics,
    "similarity": similarity.similarity,
    "shared_invariance": shared_invariance.shared_invariance,
    "cross_stage": cross_stage.cross_stage,
    "bounds": bounds.bounds,
    "mixed_sets": mixed_sets.mixed_sets,
    "difference_in_means": differences.difference_in_means,
    "power": sample_size.power,
    "optimisation": losses.loss_traces,
    "losses": losses.losses_after,
    "recipes": recipes.recipes,
    "equal_loss": equal_loss.equal_loss,
    "gradient_agreement": gradient_agreement.gradient_agreement,
}


def draw(name: str, inputs: FigureInputs) -> alt.VConcatChart:
    """Return a figure by its name in the plan; of several experiments of a kind it names its own.

    Of a run on random weights, with a warning that it is one. Where the run has nothing that the
    figure could show, it is an empty panel that says why.
    """
    figure, experiment = inputs.plan.figures[name]
    try:
        chart = FIGURES[figure](replace(inputs, experiment=experiment))
    except NothingToDrawError as reason:
        chart = style.empty(_title(figure), str(reason))
    if name != figure:
        chart = style.headed(chart, f"Experiment {experiment}", style.INK)
    if inputs.config["random_weights"]:
        return style.headed(chart, provenance.RANDOM_WEIGHTS, style.MEMBER)
    return chart


def save_all(figures: Sequence[Path], inputs: FigureInputs) -> dict[str, str]:
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
            style.save(draw(path.name, inputs), path)
        except Exception as error:  # one figure's, whatever it is
            logging.exception("the figure %r could not be drawn", path.name)
            notice(f"the figure {path.name!r} could not be drawn: {error}")
            files = style.save(style.failed(_title(path.name), error), path)
            reason = " ".join(f"it could not be drawn: {str(error) or repr(error)}".split())
            failed |= dict.fromkeys(map(str, files), reason)
    return failed


def _title(figure: str) -> str:
    return figure.replace("_", " ").capitalize()
