"""Worlds whose truth is known get the right verdicts, by the command that anyone can run."""

import json

import pytest
import simulated_worlds
from simulated_worlds import RANDOM, SETS, family, related
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


def small_effect(members, evaluator, stage):
    return 0.43 if len(members) > 1 else 0.4


def relatives_see_ensembles(members, evaluator, stage):
    shared = related(evaluator) & set().union(*map(related, members))
    return 0.7 if len(members) > 1 and shared else 0.3


def fading(members, evaluator, stage):
    return 0.7 if stage == "early" else 0.05


def judged(folder, share, *options, seed=0, **sizes):
    configfile = simulated_worlds.write(folder, share, seed, **sizes)
    arguments = ["claims", "--tables", str(folder), "--configfile", str(configfile), "--json"]
    found = CliRunner().invoke(app, [*arguments, *options])
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


def verdicts(folder, share, seed=0, **sizes):
    return {row["claim"]: row for row in judged(folder, share, seed=seed, **sizes)}


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
        confirmed = found[claim]["verdict"] == "confirmed"
        assert confirmed == (shown.get(claim) == "confirmed"), found[claim]


def test_effect_is_the_one_that_was_put_in(tmp_path):
    row = verdicts(tmp_path, ensembles_of_both)[OF_CNN]
    assert row["low"] < 0.3 < row["high"]  # logistic effects shrink it a little
    assert row["effect"] == pytest.approx(0.3, abs=0.05)


def test_effect_smaller_than_what_is_of_interest_confirms_nothing(tmp_path):
    row = verdicts(tmp_path, small_effect, images=2000)[OF_CNN]
    assert row["effect"] == pytest.approx(0.03, abs=0.01)
    assert row["verdict"] == "refuted"  # .05 is the smallest of interest
    assert row["high"] < row["threshold"] == 0.05


def test_effect_on_judges_of_shared_lineage_is_not_one_on_others(tmp_path):
    rows = judged(tmp_path, relatives_see_ensembles, "--multiverse")
    found = {r["judges"]: r for r in rows if r["claim"] == OF_CNN and r["stage"] == "all"}
    assert found["trained"]["effect"] > 0.1
    assert found["unrelated"]["effect"] == pytest.approx(0, abs=0.03)
    assert found["unrelated"]["verdict"] != "confirmed"


def test_world_that_fades_has_unrecognisable_late_metamers(tmp_path):
    found = verdicts(tmp_path, fading)
    for claim in ("single models become unrecognisable", "all sets are recognisable early"):
        assert found[claim]["verdict"] == "confirmed", found[claim]
    for claim in ("late stages stay recognisable", "CNN ensembles gain late what they lose early"):
        assert found[claim]["verdict"] == "refuted", found[claim]


def test_worlds_without_an_effect_are_rarely_given_one(tmp_path):
    wrong = 0
    for seed in range(10):
        found = verdicts(tmp_path, nothing, seed)
        wrong += sum(found[c]["verdict"] == "confirmed" for c in (OF_CNN, WORSE))
    assert wrong <= 3  # of 20 at 5 %


def test_folder_without_judgements_is_refused(tmp_path):
    configfile = simulated_worlds.write(tmp_path, nothing)
    (tmp_path / "recognition.parquet").unlink()
    arguments = ["claims", "--tables", str(tmp_path), "--configfile", str(configfile)]
    found = CliRunner().invoke(app, arguments)
    assert found.exit_code == 2
    said = " ".join(found.output.replace("│", " ").split())
    assert "no recognition.parquet" in said
