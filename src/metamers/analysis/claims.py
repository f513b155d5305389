"""The paper's claims, judged on the run at hand. No verdict without an interval."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from metamers.analysis import claim_effects, human_alignment
from metamers.analysis.claim_effects import Effect, RunResults
from metamers.storage import tables
from metamers.storage.provenance import RANDOM_WEIGHTS

UNTESTABLE = "not testable with these models"
FEW = 5


@dataclass(frozen=True)
class Claim:
    """What the paper says, and the effect that decides it.

    Attributes
    ----------
    measure
        The effect in words.
    confirms
        On which side of the threshold the whole interval must lie.
    of_recognition
        Whether it rests on the table `recognition`, and so on the rule that counts.
    of_run
        Whether it rests on the run, and not on published answers alone.
    """

    name: str
    statement: str
    place: str
    measure: str
    effect: Callable[[RunResults], Effect | str]
    confirms: Literal["above", "below"] = "above"
    threshold: float = 0.0
    of_recognition: bool = True
    of_run: bool = True


CLAIMS = (
    Claim(
        "ensembles transfer better",
        "Metamers of several models are recognised better by other models than those of one.",
        "section 1 and 5.4",
        "recognizability of an ensemble less that of its members alone, or of single models of "
        "its family and training, by trained models held out for both, families of these "
        "counted alike; in the family of ensembles that gains least",
        claim_effects.ensemble_gain,
    ),
    Claim(
        "CNN ensembles transfer better",
        "Metamers of several CNNs are recognised better by other models than those of one.",
        "section 5.1",
        "the same, of CNN ensembles",
        lambda evidence: claim_effects.gain_within(evidence, "cnn"),
    ),
    Claim(
        "transformer ensembles transfer better",
        "Metamers of several transformers are recognised better than those of one.",
        "section 5.2",
        "the same, of transformer ensembles",
        lambda evidence: claim_effects.gain_within(evidence, "transformer"),
    ),
    Claim(
        "transformers gain less",
        "The advantage of an ensemble is smaller for transformers than for CNNs.",
        "section 5.2",
        "gain of CNN ensembles less gain of transformer ensembles, by models held out for all",
        claim_effects.gain_difference,
    ),
    Claim(
        "late stages stay recognisable",
        "CNN ensembles keep their recognizability at the late stage.",
        "section 4.5, Figure 3",
        "recognizability late less early, of CNN ensembles, by held-out models; a loss of at "
        "most 0.10 counts as kept",
        claim_effects.kept_late,
        threshold=-0.1,
    ),
    Claim(
        "robust ensembles look natural",
        "Metamers of robust ensembles look more natural than those of standard ensembles.",
        "section 4.5, Figure 4",
        "CLIP-IQA of robust ensembles less that of standard ones, late stage, image by image",
        claim_effects.naturalness,
        of_recognition=False,
    ),
    Claim(
        "transformers transfer worse",
        "Metamers of transformer ensembles are recognised less than those of CNN ensembles.",
        "section 5.1 and 5.2",
        "recognizability of CNN ensembles less that of transformer ensembles of the same "
        "training, by models held out for both",
        claim_effects.transformer_deficit,
    ),
    Claim(
        "a bound of 8/255 breaks recognition",
        "Kept within 8/255 of their start, metamers are severely limited.",
        "section 4.6, Figure 6",
        "recognizability without a bound less that within 8/255, by all models; a loss of "
        "more than 0.10 counts as severe",
        claim_effects.bound_loss,
        threshold=0.1,
    ),
    Claim(
        "80 images suffice",
        "More than 80 images suffice for distributions of activations.",
        "section 4.5",
        "standard deviation of a Jensen-Shannon divergence of 80 images, of divergences between "
        "0.05 and 0.95, which have room to spread; less than 0.05 bits counts as enough",
        claim_effects.spread,
        "below",
        0.05,
        of_recognition=False,
    ),
    Claim(
        "robust members help",
        "Robust models raise the recognizability of the sets that they are members of.",
        "Appendix B, Table 5",
        "change of a mixed set's recognizability from no robust member to all, with size and "
        "families held fixed",
        claim_effects.robust_members,
        of_recognition=False,
    ),
    Claim(
        "recognizability predicts human recognition",
        "Whether people recognise metamers is strongly predicted by whether other models do.",
        "section 1",
        "Spearman's correlation, over metamers of single networks by layer, of people's share "
        "and the share of networks that did not make them, both as published by Feather et al. "
        "(2023), with people, networks and layers resampled; more than 0.7 counts as strong",
        human_alignment.effect,
        threshold=0.7,
        of_recognition=False,
        of_run=False,
    ),
)


def judge(evidence: RunResults) -> pd.DataFrame:
    """Return a verdict on each claim.

    Confirmed or refuted where the whole interval lies on one side of the threshold, undecided
    where it holds the threshold, untestable where there is no interval, or weights are random.

    Returns
    -------
    pandas.DataFrame
        The columns of the table `claims`, in the order of `CLAIMS`.
    """
    rows = [judged_by(claim, evidence) for claim in CLAIMS]
    frame = pd.DataFrame(rows, columns=tables.CLAIMS.schema.names)
    if evidence.plan.config["random_weights"]:
        drawn = frame["claim"].isin([claim.name for claim in CLAIMS if claim.of_run])
        frame.loc[drawn, ["verdict", "reason"]] = UNTESTABLE, "the weights are random"
    return frame


def verdict(effect: Effect, confirms: str, threshold: float) -> str:
    """Return what an interval says of a threshold."""
    above, below = effect.low > threshold, effect.high < threshold
    if not above and not below:
        return "undecided"
    return "confirmed" if (confirms == "above") == above else "refuted"


def markdown(judged: pd.DataFrame, run: Mapping[str, str], grid: pd.DataFrame | None = None) -> str:
    """Return the page ``docs/claims.md``.

    Parameters
    ----------
    judged
        Frame with the columns of the table `claims`.
    run
        What made it, as `tables.provenance_of` gives it: ``run``, ``version``, ``commit``.
    grid
        How many analyses give each verdict, by claim and stage (`multiverse.grid`).
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
        "interval lies on one side of the threshold, undecided where it does not. Where these",
        "models and images give no interval, there is no verdict. How the intervals are made:",
        "[evaluation.md](evaluation.md).",
        "",
        "| claim | effect | 95 % interval | n | verdict |",
        "|---|---|---|---|---|",
    ]
    rows = [dict(row) for _, row in judged.iterrows()]
    lines += [
        f"| {row['claim']} | {_number(row['effect'])} | {_interval(row)} | {row['n'] or '–'} "
        f"| {row['verdict']} |"
        for row in rows
    ]
    for row in rows:
        lines += ["", f"## {row['claim'][0].upper()}{row['claim'][1:]}", "", *_paragraph(row)]
    if grid is not None and len(grid):
        lines += ["", *_multiverse(grid)]
    return "\n".join(lines) + "\n"


def judged_by(claim: Claim, evidence: RunResults) -> dict[str, Any]:
    """Return the verdict on one claim: a row of the table `claims`."""
    found = claim.effect(evidence)
    said = {
        "claim": claim.name,
        "statement": claim.statement,
        "place": claim.place,
        "measure": claim.measure,
        "confirms": claim.confirms,
        "threshold": claim.threshold,
    }
    if isinstance(found, str):
        nothing = {"effect": None, "low": None, "high": None, "n": ""}
        return said | nothing | {"verdict": UNTESTABLE, "reason": found}
    decided = verdict(found, claim.confirms, claim.threshold)
    numbers = {"effect": found.value, "low": found.low, "high": found.high, "n": found.n}
    return said | numbers | {"verdict": decided, "reason": _reason(found, claim)}


def _multiverse(grid: pd.DataFrame) -> list[str]:
    verdicts = [str(name) for name in grid.columns[2:]]
    return [
        "## Where the verdicts hold",
        "",
        "Number of analyses that give each verdict: three rules, three label spaces, judges with",
        "trained weights or all. They share their metamers, so that a count is no test.",
        "",
        f"| claim | stage | {' | '.join(verdicts)} |",
        "|---|---" + "|---" * len(verdicts) + "|",
        *(f"| {' | '.join(map(str, row))} |" for row in grid.itertuples(index=False)),
    ]


def _reason(found: Effect, claim: Claim) -> str:
    if found.low > claim.threshold:
        where = f"the interval lies above {claim.threshold:g}"
    elif found.high < claim.threshold:
        where = f"the interval lies below {claim.threshold:g}"
    else:
        where = f"the interval holds {claim.threshold:g}"
    if 0 < found.evaluators < FEW:
        these = (
            "evaluator it speaks of this one"
            if found.evaluators == 1
            else "evaluators it speaks of these"
        )
        where += f"; with {found.evaluators} {these}, hardly of others"
    return where


def _paragraph(row: Mapping[str, Any]) -> list[str]:
    side = f"{row['confirms']} {row['threshold']:g}"
    found = f"- Found: {_number(row['effect'])}, interval {_interval(row)}, from {row['n']}."
    return [
        f"{row['statement']} ({row['place']})",
        "",
        f"- Effect: {row['measure']}. Confirmed where the interval lies {side}.",
        *([found] if row["n"] else []),
        f"- Verdict: **{row['verdict']}**: {row['reason']}.",
    ]


def _number(value: float | None) -> str:
    return "–" if value is None or pd.isna(value) else f"{value:+.3f}"


def _interval(row: Mapping[str, Any]) -> str:
    if pd.isna(row["low"]):
        return "–"
    return f"{_number(row['low'])} to {_number(row['high'])}"
