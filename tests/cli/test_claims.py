"""Worlds whose truth is known get the right verdicts, by the command that anyone can run."""

import json

import pytest
import simulated_worlds
from simulated_worlds import RANDOM, SETS, family
from typer.testing import CliRunner

from metamers.cli.main import app

ENSEMBLES = "ensembles transfer better"
OF_CNN = "CNN ensembles transfer better"
OF_TRANSFORMER = "transformer ensembles transfer better"
INTERACTION = "transformers gain less"
WORSE = "transformers transfer worse"


def nothing(members, evaluator, stage):
    return 0.4


def random_judges_prefer_ensembles(members, evaluator, stage):
    if evaluator in RANDOM:
        return 0.999 if len(members) > 1 else 0.001
    return 0.4


def own_family_sees_better(members, evaluator, stage):
    return 0.6 if family(members[0]) == family(evaluator) else 0.3


def ensembles_of_both(members, evaluator, stage):
    return 0.6 if len(members) > 1 else 0.3


def ensembles_of_cnns(members, evaluator, stage):
    return 0.6 if members == SETS["cnn"] else 0.3


def verdicts(folder, share, seed=0):
    configfile = simulated_worlds.write(folder, share, seed)
    arguments = ["claims", "--tables", str(folder), "--configfile", str(configfile), "--json"]
    found = CliRunner().invoke(app, arguments)
    assert found.exit_code == 0, found.output
    return {row["claim"]: row for row in json.loads(found.stdout)}


WORLDS = {
    "no effect": (nothing, {}),
    "judges with random weights, which prefer ensembles": (random_judges_prefer_ensembles, {}),
    "a family effect alone": (own_family_sees_better, {}),
    "an ensemble effect": (
        ensembles_of_both,
        {ENSEMBLES: "confirmed", OF_CNN: "confirmed", OF_TRANSFORMER: "confirmed"},
    ),
    "an ensemble effect in one family": (
        ensembles_of_cnns,
        {OF_CNN: "confirmed", INTERACTION: "confirmed", WORSE: "confirmed"},
    ),
}


@pytest.mark.parametrize(("share", "shown"), WORLDS.values(), ids=WORLDS)
def test_world_gets_its_verdicts(tmp_path, share, shown):
    found = verdicts(tmp_path, share)
    for claim in (ENSEMBLES, OF_CNN, OF_TRANSFORMER, INTERACTION, WORSE):
        assert found[claim]["verdict"] == shown.get(claim, "undecided"), found[claim]


def test_effect_is_the_one_that_was_put_in(tmp_path):
    row = verdicts(tmp_path, ensembles_of_both)[OF_CNN]
    assert row["low"] < 0.3 < row["high"]  # logistic effects shrink it a little
    assert row["effect"] == pytest.approx(0.3, abs=0.05)


def test_worlds_without_an_effect_are_rarely_given_one(tmp_path):
    wrong = 0
    for seed in range(10):
        found = verdicts(tmp_path, nothing, seed)
        wrong += sum(found[c]["verdict"] in ("confirmed", "refuted") for c in (OF_CNN, WORSE))
    assert wrong <= 3  # of 20 at 5 %


def test_folder_without_judgements_is_refused(tmp_path):
    configfile = simulated_worlds.write(tmp_path, nothing)
    (tmp_path / "recognition.parquet").unlink()
    arguments = ["claims", "--tables", str(tmp_path), "--configfile", str(configfile)]
    found = CliRunner().invoke(app, arguments)
    assert found.exit_code == 2
    said = " ".join(found.output.replace("│", " ").split())
    assert "no recognition.parquet" in said
