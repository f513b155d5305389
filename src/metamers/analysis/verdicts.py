"""Verdicts on the paper's claims by the run at hand. None without an interval."""

from __future__ import annotations

from typing import Any

import pandas as pd
from scipy.stats import norm

from metamers import bootstrap
from metamers.analysis.claims import CLAIMS, Claim
from metamers.analysis.run_results import Effect, RunResults
from metamers.storage import result_tables

UNTESTABLE = "not testable with these models"
FEW = 5
ALPHA = 1 - bootstrap.LEVEL


def judge(evidence: RunResults, successful: RunResults | None = None) -> pd.DataFrame:
    """Return a verdict on each claim.

    Confirmed or refuted where the whole interval lies on one side of the threshold, and the
    p-value that goes with it holds after Holm's correction over the claims; undecided where not,
    untestable where there is no interval, or weights are random.

    Parameters
    ----------
    evidence
        The run's results.
    successful
        The same of those images alone that are metamers (``images="metamers"``): a second verdict
        on the claims that rest on recognition, by its interval alone. None: it is not known
        which are.

    Returns
    -------
    pandas.DataFrame
        The columns of the table `claims`, in the order of `CLAIMS`.
    """
    rows = [judged_by(claim, evidence) | _of_metamers(claim, successful) for claim in CLAIMS]
    frame = pd.DataFrame(rows, columns=result_tables.CLAIMS.schema.names)
    if evidence.plan.config["random_weights"]:
        drawn = frame["claim"].isin([claim.name for claim in CLAIMS if claim.of_run])
        frame.loc[drawn, ["verdict", "reason"]] = UNTESTABLE, "the weights are random"
        frame.loc[drawn & frame["verdict_successful"].notna(), "verdict_successful"] = UNTESTABLE
        return frame
    frame["p_adjusted"] = bootstrap.holm(frame["p_value"].astype(float))
    lost = frame["verdict"].isin(["confirmed", "refuted"]) & ~(frame["p_adjusted"] < ALPHA)
    pairs = frame[["p_value", "p_adjusted"]].itertuples(index=False)
    after = [f", but p = {p:.3f} is {holm:.3f} after Holm's correction" for p, holm in pairs]
    frame["reason"] = frame["reason"].where(~lost, frame["reason"] + pd.Series(after))
    frame["verdict"] = frame["verdict"].where(~lost, "undecided")
    return frame


def _of_metamers(claim: Claim, successful: RunResults | None) -> dict[str, Any]:
    """Return the columns ``effect_successful`` to ``verdict_successful`` of a claim."""
    names = ("effect", "low", "high", "n", "verdict")
    row: dict[str, Any] = dict.fromkeys(names) | {"n": ""}
    if claim.of_recognition and successful is not None:
        row = judged_by(claim, successful)
        row["n"] = row["n"] or row["reason"]
    return {f"{name}_successful": row[name] for name in names}


def verdict(effect: Effect, confirms: str, threshold: float) -> str:
    """Return what an interval says of a threshold."""
    above, below = effect.low > threshold, effect.high < threshold
    if not above and not below:
        return "undecided"
    return "confirmed" if (confirms == "above") == above else "refuted"


def p_value(effect: Effect, threshold: float) -> float:
    """Return the two-sided p-value of a threshold.

    Of the normal distribution whose 95 % interval ends where the effect's does, on the side of
    the threshold: below 0.05 if and only if the interval leaves the threshold out.
    """
    end = effect.low if effect.value > threshold else effect.high
    distance = abs(effect.value - threshold)
    if end == effect.value:
        return float(distance == 0)
    error = abs(effect.value - end) / norm.ppf(bootstrap.TAILS[1])
    return float(2 * norm.sf(distance / error))


def judged_by(claim: Claim, evidence: RunResults) -> dict[str, Any]:
    """Return the verdict of the interval on one claim: a row of the table `claims`."""
    found, threshold = claim.effect(evidence), claim.threshold(evidence)
    said = {
        "claim": claim.name,
        "statement": claim.statement,
        "place": claim.place,
        "measure": claim.measure,
        "confirms": claim.confirms,
        "threshold": threshold,
        "p_adjusted": None,
    }
    if isinstance(found, str):
        nothing = {"effect": None, "low": None, "high": None, "n": "", "p_value": None}
        return said | nothing | {"verdict": UNTESTABLE, "reason": found}
    decided = verdict(found, claim.confirms, threshold)
    numbers = {"effect": found.value, "low": found.low, "high": found.high, "n": found.n}
    numbers |= {"p_value": p_value(found, threshold)}
    return said | numbers | {"verdict": decided, "reason": _reason(found, threshold)}


def _reason(found: Effect, threshold: float) -> str:
    if found.low > threshold:
        where = f"the interval lies above {threshold:g}"
    elif found.high < threshold:
        where = f"the interval lies below {threshold:g}"
    else:
        where = f"the interval holds {threshold:g}"
    if 0 < found.evaluators < FEW:
        these = (
            "evaluator it speaks of this one"
            if found.evaluators == 1
            else "evaluators it speaks of these"
        )
        where += f"; with {found.evaluators} {these}, hardly of others"
    return where
