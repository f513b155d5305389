"""Write docs/evidence.md from the tables of the study (config/evidence.yaml).

python tools/evidence/page_of_evidence.py results/evidence/tables docs/evidence.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate as as_markdown

from metamers.analysis import tabulate
from metamers.config import validation
from metamers.config.plan import Plan

CONFIG = Path("config/evidence.yaml")
HEADING = """# A study on what packages carry

Made by `make evidence`: `tools/evidence/fetch_photographs.py` lays out the photographs,
`snakemake --configfile config/evidence.yaml` runs, and `tools/evidence/page_of_evidence.py` writes
this page from its tables; do not edit.

Do metamers of several networks carry further than those of one, within a family and across
families? Four ImageNet classifiers that come inside Python packages, {photographs} photographs of
{size} pixels (foolbox's 20, and 100 of the package ai-benchmark, which does not state their
origin), three stages, the preset `fast` with {steps} steps in all, or until every member's loss is
at {target}. A metamer is recognised if a judge gives it the class that it gives the photograph
(rule `self`, 1000 classes). Judges of a set are the networks that are not in it, so there are one
to three: intervals resample images and judges, and speak for networks like these. Three of the
four are of one family, EfficientNet-Lite; SqueezeNet alone stands for another. The preset's
smoothed gradient favours what is coarse: shares are this solver's, and sets are compared within it.
"""
COST = """
## What it took

Its conditions were made and judged in five and a half minutes of one H100 80GB HBM3 (eight jobs at
a time, torch 2.11.0, 2026-11-27); the tables were computed on a CPU.
"""
SUCCESS = """## Did the optimisation succeed?

Mean relative loss of the 8-bit images over members, and the share of images that meet all three
criteria of Feather et al. ([evaluation.md](evaluation.md)), of the member that is worst off.
"""


def share(mean: float, low: float, high: float) -> str:
    """Return a share with its interval, or a dash where there is none."""
    return f"{mean:.2f} [{low:.2f}, {high:.2f}]" if pd.notna(mean) else "–"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a Markdown table."""
    return as_markdown(list(rows), list(head), tablefmt="pipe", disable_numparse=True)


def by_stage(
    frame: pd.DataFrame, labels: Mapping[str, str], stages: Sequence[str], cell: str
) -> str:
    """Return a column of text as a table of sets by stages."""
    wide = frame.pivot(index="model_set", columns="stage", values=cell)
    rows = [
        [labels[name], *(wide.loc[name, stage] for stage in stages)]
        for name in labels
        if name in wide.index
    ]
    return table(["model set", *stages], rows)


def optimisation(found: pd.DataFrame, success: pd.DataFrame) -> pd.DataFrame:
    """Return the mean loss of each condition, and the share that meets the criterion of success."""
    keys = ["model_set", "stage"]
    losses = found.groupby(keys)["loss_stored"].mean()
    shares = success.groupby(keys)["share"].min()
    joined = pd.concat([losses, shares], axis=1).reset_index()
    joined["cell"] = [
        f"{loss:.3f}, {least:.0%}"
        for loss, least in zip(joined["loss_stored"], joined["share"], strict=True)
    ]
    return joined


def recognised(found: pd.DataFrame, group: str) -> pd.DataFrame:
    """Return recognizability by a group of evaluators, with its interval, as text."""
    chosen = found.query("rule == 'self' and label_space == '1000' and group == @group").copy()
    chosen["cell"] = [share(r.mean, r.low, r.high) for r in chosen.itertuples(name="Row")]
    return chosen


def page(folder: Path, plan: Plan) -> str:
    """Return the page, from a folder of tables.

    Raises
    ------
    FileNotFoundError
        If a table is not there.
    """
    read = {path.stem: pd.read_parquet(path) for path in folder.glob("*.parquet")}
    config, stages = plan.config, list(plan.config["stages"])
    compared = config["experiments"]["main"]["model_sets"]
    labels = {name: config["set_labels"][name] for name in compared}
    fixed = read["optimisation"].query("recipe == 'main'")
    by_set = read["recognizability_by_set"].query("recipe == 'main'")
    same = read["equal_loss"].query("rule == 'self' and label_space == '1000'").copy()
    same["cell"] = [
        f"{share(r.recognizability, r.low, r.high)}, n = {r.n_images}"
        for r in same.itertuples(name="Row")
    ]
    same["more"] = [
        share(r.difference, r.difference_low, r.difference_high)
        for r in same.itertuples(name="Row")
    ]
    claims = tabulate.claims_of(folder, plan)
    decided = claims[~claims["verdict"].str.startswith("not testable")]
    lines = [
        HEADING.format(
            photographs=len(read["references"]),
            size=config["preprocessing"]["size"],
            steps=config["recipes"]["main"]["budget"]["total_steps"],
            target=config["recipes"]["to_loss"]["budget"]["until_loss"],
        ),
        SUCCESS,
        by_stage(
            optimisation(fixed, read["success"].query("recipe == 'main'")), labels, stages, "cell"
        ),
        "\n## Recognised by held-out networks, at equal steps\n",
        by_stage(recognised(by_set, "held_out"), labels, stages, "cell"),
        "\n## Recognised by their own members\n",
        by_stage(recognised(by_set, "members"), labels, stages, "cell"),
        "\n## Recognised by held-out networks, at equal loss\n\nOf the photographs that every set "
        "brought to the target; n says how many.\n",
        by_stage(same, labels, stages, "cell"),
        "\nMore than the first set, with the same photographs and judges:\n",
        by_stage(same[same["model_set"] != same["baseline"]], labels, stages, "more"),
        "\n## The paper's claims\n",
        table(
            ["claim", "effect", "verdict", "why"],
            [
                [c.statement, share(c.effect, c.low, c.high), c.verdict, f"{c.reason} ({c.n})"]
                for c in decided.itertuples(name="Row")
            ],
        ),
        f"\n{len(claims) - len(decided)} further claims cannot be tested with these networks.",
        COST,
    ]
    return "\n".join(lines)


def main(tables: str, output: str) -> None:
    """Write the page ``output`` from a folder of tables."""
    config = validation.read([CONFIG], Path("config/config.yaml"))
    plan = Plan.from_config(config, validation.rows_of(config, Path.cwd()))
    Path(output).write_text(page(Path(tables), plan), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
