"""Put what recipes change, by a run of config/ablation.yaml, into docs/reproduction.md.

snakemake --cores all --configfile config/ablation.yaml
python benchmarks/ablation.py results/ablation
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import cases
import numpy as np
import page
import pandas as pd
import yaml

from metamers import bootstrap
from metamers.storage import raw_tables, tables

CONFIG = cases.ROOT / "config/ablation.yaml"
GROUPS = {"trained": "held-out models", "members": "members"}


def text(folder: Path, config: Mapping[str, Any]) -> str:
    """Return the tables of all experiments that compare recipes, as Markdown."""
    found = {
        name: tables.read(tables.TABLES[name], folder / f"tables/{name}.parquet")
        for name in ("recipe_effects", "recognizability_by_set", "optimisation")
    }
    agreement = folder / "tables/gradient_agreement.parquet"
    commit = tables.provenance_of(folder / "tables/recipe_effects.parquet")["commit"]
    parts = [f"From the tables of run `{config['run']}` at commit `{commit[:12]}`."]
    for name, axes in config["experiments"].items():
        if axes and len(axes["recipes"]) > 1:
            parts += [
                part
                for stage in axes["stages"]
                for part in experiment(found, config, name, axes["recipes"], stage)
            ]
    if agreement.exists():
        parts.append(cosines(tables.read(raw_tables.GRADIENT_AGREEMENT, agreement)))
    return "\n\n".join(parts)


def experiment(
    found: Mapping[str, pd.DataFrame],
    config: Mapping[str, Any],
    name: str,
    recipes: Sequence[str],
    stage: str,
) -> list[str]:
    """Return heading and table of one experiment at one stage; its first recipe comes first."""
    chosen = {
        key: frame[(frame["stage"] == stage) & frame["recipe"].isin(recipes)]
        for key, frame in found.items()
    }
    effects = chosen["recipe_effects"]
    effects = effects[
        (effects["experiment"] == name)
        & (effects["rule"] == "self")
        & (effects["label_space"] == "1000")
    ]
    means = chosen["recognizability_by_set"]
    means = means[
        (means["experiment"] == name) & (means["rule"] == "self") & (means["label_space"] == "1000")
    ]
    losses = chosen["optimisation"].pivot_table(
        index=["image_id", "model"], columns="recipe", values="loss_stored", observed=True
    )
    rows = []
    for recipe in recipes:
        label = config["recipe_labels"].get(recipe, recipe)
        cells = [label, f"{losses[recipe].median():.3f}", _ratio(losses, recipe, recipes[0])]
        for group in GROUPS:
            (mean,) = means[(means["recipe"] == recipe) & (means["group"] == group)]["mean"]
            effect = effects[(effects["recipe"] == recipe) & (effects["group"] == group)]
            cells += [f"{mean:.2f}", *map(_change, effect.itertuples())]
            if effect.empty:
                cells.append("")
        rows.append(cells)
    head = ["recipe", "loss, median", "ratio"]
    for label in GROUPS.values():
        head += [f"recognised by {label}", "change"]
    n = effects.iloc[0]
    sizes = effects.groupby("group", observed=True)["n_evaluators"].max()
    title = (
        f"Experiment `{name}`, {stage} stage, {n['model_set']}: {n['n_images']} images, "
        f"{sizes['trained']} held-out models, {sizes['members']} members; ratio of "
        "losses (geometric mean) and change of recognizability against the first row, with 95 % "
        "intervals:"
    )
    return [title, page.table(head, rows)]


def cosines(frame: pd.DataFrame) -> str:
    """Return how far the gradients of pairs agree: at the start, and later."""
    frame = frame[frame["recipe"] == "round_robin"]
    last = frame["step"].max()
    rows = []
    for (stage, model, other), pair in frame.groupby(["stage", "model", "other"], observed=True):
        cells = [stage, f"{model}, {other}"]
        for step in (0, last // 2, last):
            at = pair[pair["step"] == step]["cosine"]
            low, middle, high = at.quantile([0.25, 0.5, 0.75])
            cells.append(f"{middle:+.3f} ({low:+.3f} to {high:+.3f})")
        rows.append(cells)
    head = ["stage", "models", *(f"step {step}" for step in (0, last // 2, last))]
    n = frame["image_id"].nunique()
    return (
        f"Cosine between the gradients of two members during round robin, median and quartiles of "
        f"{n} images:\n\n{page.table(head, rows)}"
    )


def _ratio(losses: pd.DataFrame, recipe: str, first: str) -> str:
    """Return how many times the first recipe's losses are; the interval resamples images."""
    if recipe == first:
        return ""
    by_image = np.log(losses[recipe] / losses[first]).groupby("image_id", observed=True).mean()
    low, high = bootstrap.bootstrap_interval(by_image, np.random.default_rng(0))
    mean, low, high = np.exp([by_image.mean(), float(low), float(high)])
    return f"{mean:.2f} [{low:.2f}, {high:.2f}]"


def _change(effect: Any) -> str:
    return f"{effect.difference:+.3f} [{effect.low:+.3f}, {effect.high:+.3f}]"


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("results/ablation"))
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("--page", type=Path, default=cases.ROOT / "docs/reproduction.md")
    asked = parser.parse_args(words)
    found = text(asked.folder, yaml.safe_load(asked.config.read_text()))
    print(found)
    page.update(asked.page, "ablation", found)


if __name__ == "__main__":
    main()
