"""People's answers: joined with the key, and set beside those of models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metamers import bootstrap
from metamers.config.finished_run import FinishedRun
from metamers.config.plan import Condition
from metamers.experiment.design import CATCH, TEST, UNCHANGED
from metamers.images.classes import CATEGORIES
from metamers.storage.columns import CONDITION_KEY, PEOPLE

# As in model-vs-human (Geirhos et al. 2021).
COLUMNS = (
    "subj",
    "Session",
    "trial",
    "rt",
    "object_response",
    "category",
    "condition",
    "imagename",
)
_NUMBERS = {"Session": int, "trial": int, "rt": float}
_KEY = ("image_id", "category", "condition", "file", "kind")


class AnswersError(ValueError):
    """Files of answers cannot be scored; the message says which and why."""


def read(files: Iterable[Path], key: Path) -> pd.DataFrame:
    """Return the answers of all files, with what the key knows of each image.

    Returns
    -------
    pandas.DataFrame
        The columns `COLUMNS`, of which ``category`` and ``condition`` are the key's, and
        ``kind`` (test or catch) and ``image_id``.

    Raises
    ------
    AnswersError
        If a file has other columns or answers, an image that the key does not know, or a
        person's trial twice.
    """
    known = _read(key, _KEY).set_index("file")
    parts = [_of_file(path, known) for path in files]
    if not parts:
        raise AnswersError("no file of answers is given")
    answers = pd.concat(parts, ignore_index=True)
    repeated = answers.duplicated(["subj", "imagename"])
    if repeated.any():
        first = answers[repeated].iloc[0]
        raise AnswersError(
            f"{first['subj']!r} answers to {first['imagename']} twice: two files are of one person "
            "or one file is given twice"
        )
    return answers


def attentive(answers: pd.DataFrame, share: float) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return the answers of those who got this share of their catch trials right, and the others.

    Returns
    -------
    answers, left_out
        What was asked of attentive people, catch trials gone; and each other person's share.
    """
    catch = answers[answers["kind"] == CATCH]
    shares = (catch["object_response"] == catch["category"]).groupby(catch["subj"]).mean()
    shares = shares.reindex(answers["subj"].unique(), fill_value=0.0)
    out = {str(name): float(value) for name, value in shares[shares < share].items()}
    kept = answers[(answers["kind"] == TEST) & ~answers["subj"].isin(out)]
    return kept.reset_index(drop=True), out


def human_answers(answers: pd.DataFrame, run: FinishedRun) -> pd.DataFrame:
    """Return the table ``human_answers``: what people said to metamers and to photographs."""
    known = {str(condition): condition.columns() for condition in run.plan.conditions}
    strange = set(answers["condition"]) - set(known) - {UNCHANGED}
    if strange:
        raise AnswersError(f"{run.folder} has no condition {sorted(strange)}: is it another run's?")
    nothing: dict[str, Any] = dict.fromkeys(CONDITION_KEY)
    conditions = pd.DataFrame([known.get(name, nothing) for name in answers["condition"]])
    return pd.DataFrame(
        {
            **{name: conditions[name] for name in CONDITION_KEY},
            "image_id": answers["image_id"],
            "person": answers["subj"],
            "session": answers["Session"],
            "trial": answers["trial"],
            "category": answers["category"],
            "answer": answers["object_response"].where(answers["object_response"] != "na"),
            "right": answers["object_response"] == answers["category"],
            "seconds": answers["rt"],
        }
    )


def with_people(answered: pd.DataFrame, run: FinishedRun) -> pd.DataFrame:
    """Return the run's table ``recognizability_by_set``, rule ``label`` of 16, with people.

    People choose one of 16 categories, so that theirs are the same rows for either way in which
    a model's 1000 probabilities become one of 16. Their interval resamples people and images.

    Parameters
    ----------
    answered
        Table ``human_answers``.
    """
    models = run.table("recognizability_by_set")
    models = models[(models["rule"] == "label") & (models["label_space"] != "1000")]
    rows = []
    of_metamers = answered.dropna(subset="model_set")
    for key, group in of_metamers.groupby(list(CONDITION_KEY)):
        condition = Condition(*map(str, key))
        share = share_of_people(group, run.config["seed"])
        rows += [
            condition.columns()
            | {"experiment": name, "group": PEOPLE, "rule": "label", "label_space": label_space}
            | share
            for name, conditions in run.plan.experiments.items()
            if condition in conditions
            for label_space in ("16_mean", "16_first")
        ]
    people = pd.DataFrame(rows, columns=models.columns)
    return pd.concat([models, people], ignore_index=True) if len(models) else people


def share_of_people(answered: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Return the share of right answers: columns n_images to high of the table.

    Every answer counts alike; the standard deviation is of people's own shares.
    """
    right = answered["right"].to_numpy(dtype=np.float64)
    person, _ = pd.factorize(answered["person"], sort=True)
    image, _ = pd.factorize(answered["image_id"], sort=True)
    shares = answered.groupby("person")["right"].mean()
    low, high = bootstrap.sparse_share_interval(right, person, image, np.random.default_rng(seed))
    return {
        "n_images": int(image.max()) + 1,
        "n_evaluators": len(shares),
        "mean": float(right.mean()),
        "sd": float(shares.std(ddof=1)) if len(shares) > 1 else None,
        "low": low,
        "high": high,
    }


def human_alignment(answered: pd.DataFrame, run: FinishedRun) -> pd.DataFrame:
    """Return the table ``human_alignment``: published conditions, and those of this run's people.

    The run's have its name and what else sets conditions apart as experiment, the model set as
    network and the stage as layer; networks are those held out, rule ``label`` of 16 (mean).
    A condition that no held-out network judges has no row.
    """
    judged = run.table("recognizability")
    judged = judged[(judged["rule"] == "label") & (judged["label_space"] == "16_mean")]
    held_out = judged[~judged["member"] & ~judged["same_weights"]]
    networks = dict(list(held_out.groupby(list(CONDITION_KEY), observed=True)))
    rows = []
    for key, group in answered.dropna(subset="model_set").groupby(list(CONDITION_KEY)):
        if key not in networks:
            continue
        seed, condition = run.config["seed"], Condition(*map(str, key))
        people = share_of_people(group, seed)
        shares = networks[key].groupby("evaluator", observed=True)["recognizability"].first()
        low, high = bootstrap.bootstrap_interval(shares, np.random.default_rng(seed))
        rows.append(
            {
                "experiment": f"{run.config['run']}: {condition.references}/{condition.recipe}/"
                f"{condition.bound}",
                "network": condition.model_set,
                "layer": condition.stage,
                "n_people": people["n_evaluators"],
                "people": people["mean"],
                "people_low": people["low"],
                "people_high": people["high"],
                "n_networks": len(shares),
                "networks": float(shares.mean()),
                "networks_low": float(low),
                "networks_high": float(high),
            }
        )
    published = run.table("human_alignment")
    own = pd.DataFrame(rows, columns=published.columns)
    return pd.concat([published, own], ignore_index=True) if rows else published


def text(answered: pd.DataFrame, left_out: Mapping[str, float]) -> str:
    """Return what was scored as text: shares by condition with intervals, and who was left out."""
    named = answered.fillna(dict.fromkeys(CONDITION_KEY, ""))
    lines = ["Share of pictures that people put into the right one of 16 categories [95 %]:"]
    for key, group in named.groupby(list(CONDITION_KEY)):
        found = share_of_people(group, seed=0)
        interval = f"[{found['low']:.2f}, {found['high']:.2f}]"
        count = f"({len(group)} answers, {found['n_evaluators']} people)"
        name = str(Condition(*map(str, key))) if all(key) else UNCHANGED
        lines.append(f"{found['mean']:.2f} {interval} {name} {count}")
    for name, share in left_out.items():
        lines.append(f"left out: {name}, {share:.0%} of the catch trials right")
    return "\n".join(lines)


def _of_file(path: Path, known: pd.DataFrame) -> pd.DataFrame:
    frame = _read(path, COLUMNS)
    unknown = sorted(set(frame["imagename"]) - set(known.index))
    if unknown:
        raise AnswersError(f"{path}: the key does not know {unknown[:3]}: is it another task's?")
    strange = sorted(set(frame["object_response"]) - {*CATEGORIES, "na"})
    if strange:
        raise AnswersError(f"{path}: answers are {strange[:3]}; expected {', '.join(CATEGORIES)}")
    try:
        numbers = {name: [kind(value) for value in frame[name]] for name, kind in _NUMBERS.items()}
    except ValueError as error:
        raise AnswersError(f"{path}: Session, trial and rt are numbers; {error}") from error
    truth = known.loc[frame["imagename"]].reset_index(drop=True)
    return frame.assign(
        **numbers,
        **{name: truth[name] for name in ("category", "condition", "kind", "image_id")},
    )


def _read(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise AnswersError(f"{path}: {error}") from error
    if sorted(frame.columns) != sorted(columns):
        raise AnswersError(f"{path}: columns are {list(frame.columns)}; expected {list(columns)}")
    return frame
