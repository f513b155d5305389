"""The page of claims: verdicts, where they hold, and which metamers are none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from metamers.analysis.success import SHARE
from metamers.storage.columns import CONDITION_KEY
from metamers.storage.provenance import RANDOM_WEIGHTS


def markdown(
    judged: pd.DataFrame,
    run: Mapping[str, str],
    grid: pd.DataFrame | None = None,
    success: pd.DataFrame | None = None,
    controls: pd.DataFrame | None = None,
) -> str:
    """Return the page ``docs/claims.md``.

    Parameters
    ----------
    judged
        Frame with the columns of the table `claims`.
    run
        What made it, as `tables.provenance_of` gives it: ``run``, ``version``, ``commit``.
    grid
        How many analyses give each verdict, by claim and stage (`multiverse.grid`).
    success
        Frame with the columns of the table `success`.
    controls
        Rows of the table `recognizability_by_set`, of sets of models without training.
    """
    made = ", ".join(f"{key} `{run[key]}`" for key in ("run", "version", "commit") if key in run)
    warning = [RANDOM_WEIGHTS, ""] if run.get("weights") == RANDOM_WEIGHTS else []
    lines = [
        "# The paper's claims on this run",
        "",
        *warning,
        f"Made from the table `claims` ({made}); do not edit.",
        "",
        "An effect with a 95 % interval decides each claim: confirmed or refuted where the whole",
        "interval lies on one side of the threshold (the smallest effect of interest, declared in",
        "the configuration), also after Holm's correction over the claims; undecided where not.",
        "Where these models and images give no interval, there is no verdict. How the intervals",
        "are made: [evaluation.md](evaluation.md). The last column is the verdict of the interval",
        "on those images alone that are metamers for each member of their set.",
        "",
        "| claim | effect | 95 % interval | n | verdict | of metamers alone |",
        "|---|---|---|---|---|---|",
    ]
    known = judged.astype(object).where(judged.notna(), None)
    rows = [dict(row) for _, row in known.iterrows()]
    lines += [
        f"| {row['claim']} | {_number(row['effect'])} | {_interval(row)} | {row['n'] or '–'} "
        f"| {row['verdict']} | {row['verdict_successful'] or '–'} |"
        for row in rows
    ]
    for row in rows:
        lines += ["", f"## {row['claim'][0].upper()}{row['claim'][1:]}", "", *_paragraph(row)]
    if success is not None and len(success):
        lines += ["", *_failures(success)]
    if controls is not None and len(controls):
        lines += ["", *_controls(controls)]
    if grid is not None and len(grid):
        lines += ["", *_multiverse(grid)]
    return "\n".join(lines) + "\n"


def _failures(success: pd.DataFrame) -> list[str]:
    """Return the section on members for whom a condition's metamers are none."""
    failed, n = success[~success["are_metamers"]], len(success)
    said = [
        "## Which metamers are metamers",
        "",
        f"By the criterion of Feather et al. (2023), {n - len(failed)} of {n} pairs of a condition",
        f"and a member succeed: at least {SHARE:g} of the images keep their class and lie closer",
        f"to their reference than any of {success['n_pairs'].min():,} pairs of unrelated images.",
    ]
    if failed.empty:
        return said
    keys = [*CONDITION_KEY[1:], "model"]
    shares = ["share", "kept", "beyond_spearman", "beyond_snr"]
    rows = failed[[*keys, *shares]].itertuples(index=False)
    return [
        *said,
        "The others, which claims rest on all the same (share of images; each criterion alone):",
        "",
        f"| {' | '.join(keys)} | success | class | Spearman | SNR |".replace("_", " "),
        "|---" * (len(keys) + len(shares)) + "|",
        *(
            f"| {' | '.join(map(str, row[: len(keys)]))} "
            f"| {' | '.join('–' if pd.isna(v) else f'{v:.2f}' for v in row[len(keys) :])} |"
            for row in rows
        ),
    ]


def _controls(rows: pd.DataFrame) -> list[str]:
    return [
        "## Controls",
        "",
        "Metamers of networks that were never trained, which enter no contrast and no mean over",
        "sets: what matching activations gives without learned features. Share recognised by held",
        "out models with trained weights, who all are strangers to them.",
        "",
        "| set | stage | bound | recognised | 95 % interval | n |",
        "|---|---|---|---|---|---|",
        *(
            f"| {row.model_set} | {row.stage} | {row.bound} | {row.mean:.3f} "
            f"| {row.low:.3f} to {row.high:.3f} "
            f"| {row.n_evaluators} evaluators, {row.n_images} images |"
            for row in rows.itertuples(index=False)
        ),
    ]


def _multiverse(grid: pd.DataFrame) -> list[str]:
    verdicts = [str(name) for name in grid.columns[2:]]
    return [
        "## Where the verdicts hold",
        "",
        "Number of analyses whose interval gives each verdict: three rules, three label spaces;",
        "judges with trained weights, of these those unrelated to the members, or all; references",
        "that the judge gets right, images that are metamers for each member of their set, or all.",
        "They share their metamers: a count is no test.",
        "",
        f"| claim | stage | {' | '.join(verdicts)} |",
        "|---|---" + "|---" * len(verdicts) + "|",
        *(f"| {' | '.join(map(str, row))} |" for row in grid.itertuples(index=False)),
    ]


def _paragraph(row: Mapping[str, Any]) -> list[str]:
    side = f"{row['confirms']} {row['threshold']:g}"
    found = f"- Found: {_number(row['effect'])}, interval {_interval(row)}, from {row['n']}."
    return [
        f"{row['statement']} ({row['place']})",
        "",
        f"- Effect: {row['measure']}. Confirmed where the interval lies {side}.",
        *([found] if row["n"] else []),
        f"- Verdict: **{row['verdict']}**: {row['reason']}.",
        *_of_metamers(row),
    ]


def _of_metamers(row: Mapping[str, Any]) -> list[str]:
    """Return what those images alone say that are metamers, where it is known which are."""
    alone = {name: row[f"{name}_successful"] for name in ("effect", "low", "high", "n", "verdict")}
    if alone["verdict"] is None:
        return []
    number = f"{_number(alone['effect'])}, interval {_interval(alone)}, from "
    found = f"{number if alone['low'] is not None else ''}{alone['n']}"
    return [f"- Of metamers alone: {found}; **{alone['verdict']}**."]


def _number(value: float | None) -> str:
    return "–" if value is None or pd.isna(value) else f"{value:+.3f}"


def _interval(row: Mapping[str, Any]) -> str:
    if pd.isna(row["low"]):
        return "–"
    return f"{_number(row['low'])} to {_number(row['high'])}"
