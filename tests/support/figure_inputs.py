"""Made-up inputs of figures, of any size, and what a test reads from a drawn chart."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import synthetic_tables as synthetic
import torch

from metamers.analysis.human_alignment import human_alignment
from metamers.config.plan import Plan
from metamers.figures.inputs import FigureInputs
from metamers.images import references
from metamers.storage import metamers, tables

SIZE = synthetic.QUICKSTART
BOUNDS = {
    "unbounded": {"norm": "linf", "center": "initial", "radius": 10000},
    "initial_8": {"norm": "linf", "center": "initial", "radius": "8/255"},
    "reference_8": {"norm": "linf", "center": "reference", "radius": "8/255"},
}
FAMILIES = ("cnn", "transformer")
MADE = {
    "recognizability": synthetic.recognizability,
    "recognizability_by_set": synthetic.recognizability_by_set,
    "mixed_sets": synthetic.mixed_sets,
    "ensemble_gain": synthetic.ensemble_gain,
    "equal_loss": synthetic.equal_loss,
    "difference_in_means": synthetic.difference_in_means,
    "similarity": synthetic.similarity,
    "shared_invariance": synthetic.shared_invariance,
    "cross_stage": synthetic.cross_stage,
    "image_metrics": synthetic.image_metrics,
    "power": synthetic.power,
    "traces": synthetic.traces,
    "optimisation": synthetic.optimisation,
    "gradient_agreement": synthetic.gradient_agreement,
    "recognition": synthetic.recognition,
}


class Tables(dict):
    """Tables that are made when they are asked for; those that none makes up have no rows."""

    def __init__(self, size, experiment, given):
        super().__init__(given)
        self.size, self.experiment = size, experiment

    def __missing__(self, name):
        found = MADE[name](self.size) if name in MADE else empty(name)
        if "experiment" in found and name != "human_alignment":
            found = found.assign(experiment=self.experiment)
        return self.setdefault(name, found)


def empty(name):
    """Return a table without rows."""
    frame = tables.TABLES[name].schema.empty_table().to_pandas()
    return frame.astype({"are_metamers": bool}) if name == "success" else frame


def figure_inputs(
    size=SIZE, kind="model_sets", *, flagged=(), bounds=BOUNDS, zoo=None, divergence=None, **given
):
    """Return the inputs of the figures of one experiment, which is called like its kind."""
    given = {"human_alignment": human_alignment(0)} | given
    if flagged:
        rows = [synthetic.key(condition) | {"are_metamers": False} for condition in flagged]
        given["success"] = pd.DataFrame(rows)
    plan = plan_of(size, kind, bounds, zoo or {}, divergence or {})
    return FigureInputs(Tables(size, kind, given), [], [], plan, size.labels, kind)


def plan_of(size, kind, bounds, zoo, divergence):
    """Return a plan of one experiment, which is called like its kind, over a size's conditions."""
    axes = {"kind": kind, "references": "quick", "recipes": ["ours"], "stages": list(size.stages)}
    experiments = {kind: axes | {"model_sets": list(size.members), "bounds": list(size.bounds)}}
    config = {
        "random_weights": False,
        "stages": {name: place / 10 for place, name in enumerate(size.stages)},
        "bounds": bounds,
        "recipes": {"ours": {"preset": "paper"}},
        "evaluators": size.models,
        "evaluation": {"feature_networks": [], "divergence": divergence},
        "experiments": experiments,
    }
    rows = {name: {"family": FAMILIES[k % 2]} for k, name in enumerate(size.models)}
    rows = {name: row | zoo.get(name, {}) for name, row in rows.items()}
    sets = {name: tuple(members) for name, members in size.members.items()}
    return Plan(config, rows, sets, {})


def with_pictures(inputs, folder, images=3, side=8):
    """Return inputs whose files of references and metamers are written into a folder."""
    shown, ids = synthetic.pictures(images, side), [f"image_{k}" for k in range(images)]
    references.save(folder / "quick.safetensors", ids, shown)
    unread = {name: np.zeros((images, 1)) for name in metamers.PER_IMAGE}
    unread["floats"] = torch.zeros(images)
    files = [folder / f"{place}.safetensors" for place in range(len(inputs.conditions))]
    for file, condition in zip(files, inputs.conditions, strict=True):
        notes = {"condition": condition.columns()}
        pixels = torch.from_numpy(255 - shown)
        metamers.save(
            file, metamers.Metamers(ids, ["model_00"], pixels=pixels, notes=notes, **unread)
        )
    return replace(inputs, metamers=files, references=[folder / "quick.safetensors"])


def svg(chart):
    """Return a chart as SVG."""
    buffer = io.StringIO()
    chart.save(buffer, format="svg")
    return buffer.getvalue()


def rows_of(chart, column):
    """Return the rows of the data, among a chart's, that have the column."""
    found = [rows for rows in chart.to_dict()["datasets"].values() if rows and column in rows[0]]
    return pd.DataFrame([row for rows in found for row in rows])
