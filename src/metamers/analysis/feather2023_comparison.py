"""The published shares of Feather et al. (2023), cell by cell beside the run's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from metamers.analysis import feather2023
from metamers.config.plan import Condition, Plan
from metamers.storage import result_tables
from metamers.storage.columns import CONDITION_KEY
from metamers.synthesis import settings as recipes

PRESET = "feather2023"
SIDE, IMAGES = 224, 400
JUDGED = {"rule": "label", "label_space": "16_mean"}
"""What their share of 16 categories is: by the label, and by the mean probability of a category."""


def comparison(
    plan: Plan, recognizability: pd.DataFrame, by_set: pd.DataFrame, images: Mapping[str, int]
) -> pd.DataFrame:
    """Return rows of the table `paper_comparison`, for sets of one network that they studied.

    There is a row for each layer and judge of theirs, and one for people, whose share the run's
    held-out models are put beside: where a stage of a set's conditions has a layer's name.

    Parameters
    ----------
    plan
        The plan of the run.
    recognizability, by_set
        Tables `recognizability` and `recognizability_by_set`.
    images
        Number of reference images of each draw.
    """
    single = _shares(recognizability, "evaluator", "recognizability")
    mean = _shares(by_set[by_set["group"] == "held_out"], "group", "mean")
    names = {row["feather2023"]: name for name, row in plan.zoo.items() if "feather2023" in row}
    asked, judged = feather2023.people(), feather2023.networks()
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for condition in plan.conditions:
        network = plan.published.get(condition.model_set, "")
        changes = _differing(plan, condition, images[condition.references])
        subject = f"{network}, {condition.stage}"
        cells = judged[(judged["maker"] == network) & (judged["layer"] == condition.stage)]
        for _, cell in cells.iterrows():
            found = single.get((condition, names.get(cell["judge"], "")), {})
            row = _row(f"recognised by {cell['judge']}", subject, cell["correct_16"], found)
            absent = "not in this run: it does not have the judge"
            rows.setdefault(
                (row["quantity"], subject), row | {"differs": changes if found else absent}
            )
        people = asked[(asked["network"] == network) & (asked["layer"] == condition.stage)]["human"]
        if len(people):
            found = mean.get((condition, "held_out"), {})
            row = _row("recognised by people", subject, people.mean(), found)
            differs = f"the run's held-out models for people; {changes}"
            rows.setdefault(
                (row["quantity"], subject), row | {"paper_sd": people.std(), "differs": differs}
            )
    return pd.DataFrame(rows.values(), columns=result_tables.PAPER_COMPARISON.schema.names)


def _shares(
    table: pd.DataFrame, who: str, value: str
) -> dict[tuple[Condition, str], dict[str, Any]]:
    """Return the shares by condition and judge; of several experiments the first counts."""
    for name, wanted in JUDGED.items():
        table = table[table[name] == wanted]
    return {
        (Condition(*(str(row[key]) for key in CONDITION_KEY)), str(row[who])): {
            "run": row[value],
            "run_sd": row.get("sd"),
            "low": row["low"],
            "high": row["high"],
        }
        for row in reversed(table.to_dict("records"))
    }


def _row(quantity: str, subject: str, published: float, found: Mapping[str, Any]) -> dict[str, Any]:
    nothing = {"run": None, "run_sd": None, "low": None, "high": None}
    cell = {"place": feather2023.CITATION, "quantity": quantity, "subject": subject}
    return cell | {"paper": float(published), "paper_sd": None} | nothing | dict(found)


def _differing(plan: Plan, condition: Condition, images: int) -> str:
    """Return in words what differs from their setting; their images are not known by name."""
    own = recipes.complete(plan.config["recipes"][condition.recipe])
    theirs = recipes.complete({"preset": PRESET})
    said = ["random weights for trained ones"] if plan.config["random_weights"] else []
    said += [f"{key}: {own[key]} for {theirs[key]}" for key in theirs if own[key] != theirs[key]]
    for label, one, other in (
        ("images", images, IMAGES),
        ("pixels a side", plan.config["preprocessing"]["size"], SIDE),
    ):
        said += [f"{label}: {one} for {other}"] if one != other else []
    return "; ".join(said) or "nothing but which images, unless data.files lists theirs"
