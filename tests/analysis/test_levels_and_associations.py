"""Levels that the paper names, and what goes with recognition, on cases worked by hand."""

import numpy as np
import pandas as pd
import pytest
from judged_runs import SETS, SHARES, evidence

from metamers.analysis import association_effects, image_effects, level_effects
from metamers.storage.columns import CONDITION_KEY


def shares(**late):
    """Return shares of .6 early, and late as given by set."""
    early = {(name, "early", "unbounded"): 0.6 for name in SETS}
    return (
        early
        | {(name, "late", "unbounded"): value for name, value in late.items()}
        | {("cnn", "late", "small"): 0.1}
    )


DIVIDED = shares(single=0.05, cnn=0.7, robust=0.6, transformers=0.05)


def test_level_of_single_models_is_theirs():
    found = level_effects.single_late(evidence(DIVIDED))
    assert found.value == pytest.approx(0.05)
    assert found.high < level_effects.RECOGNISABLE


def test_set_that_is_recognised_least_decides():
    few = DIVIDED | {("transformers", "early", "unbounded"): 0.3}
    found = level_effects.least_early(evidence(few))
    assert found.value == pytest.approx(0.3)
    assert "transformers" in found.n


def test_divide_is_as_far_as_the_set_that_lies_nearest_to_the_wrong_side():
    found = level_effects.divide_late(evidence(DIVIDED, n_images=200))
    assert found.value == pytest.approx(0.15)
    assert found.low > 0
    wrong = DIVIDED | {("transformers", "late", "unbounded"): 0.5}
    assert level_effects.divide_late(evidence(wrong, n_images=200)).high < 0


def test_best_set_is_compared_with_the_one_that_comes_nearest():
    found = level_effects.best_of_sets(evidence(DIVIDED))
    assert found.value == pytest.approx(0.05)  # robust: equal early, .1 less late
    assert "contrasts with robust" in found.n


def test_mixed_sets_have_their_mean():
    rows = pd.DataFrame({"experiment": "mixed", "mean": [0.7, 0.8, 0.75]})
    found = level_effects.mixed_level(evidence(SHARES, mixed_sets=rows))
    assert found.value == pytest.approx(0.75)
    assert found.n == "3 mixed sets"


def test_judges_of_two_families_are_compared_within_the_bound():
    found = level_effects.judges_under_bound(evidence(DIVIDED))
    assert found.value == pytest.approx(0.0)
    assert found.low < 0 < found.high
    assert "2 transformer judges" in found.n


def metric(run, name, values):
    rows = [
        cell.condition.columns() | {"measure": name, "image_id": f"i{k}", "value": value}
        for cell, value in zip(run.recognised["model_sets"], values, strict=True)
        for k in range(3)
    ]
    return pd.DataFrame(rows).assign(status="computed")


def test_metric_that_rises_with_recognition_correlates_with_it():
    run = evidence(SHARES)
    values = [np.nanmean(cell.recognised) for cell in run.recognised["model_sets"]]
    rows = metric(run, "clip_iqa", values)
    found = association_effects.natural_transfer(evidence(SHARES, image_metrics=rows))
    assert found.value == pytest.approx(1.0, abs=0.05)
    assert "8 conditions" in found.n


def test_metric_of_which_less_is_better_is_turned_round():
    run = evidence(SHARES)
    values = [-np.nanmean(cell.recognised) for cell in run.recognised["model_sets"]]
    rows = metric(run, "rase", values)
    found = association_effects.metrics_find_best(evidence(SHARES, image_metrics=rows))
    assert found.value == pytest.approx(1.0, abs=0.05)


def test_divergence_that_falls_with_recognition_correlates_negatively():
    run = evidence(SHARES)
    rows = [
        cell.condition.columns()
        | {"evaluator": name, "comparison": association_effects.ACTIVATIONS}
        | {"divergence": 1 - np.nanmean(row)}
        for cell in run.recognised["model_sets"]
        for name, row in zip(*cell.part("held_out"), strict=True)
    ]
    found = association_effects.activations_go_with_class(
        evidence(SHARES, similarity=pd.DataFrame(rows))
    )
    assert found.value == pytest.approx(-1.0)
    assert found.high < 0


def test_what_is_not_measured_is_said():
    assert association_effects.natural_transfer(evidence(SHARES)) == "clip_iqa: not measured"
    missing = metric(evidence(SHARES), "clip_iqa", [np.nan] * 8).assign(status="weights missing")
    found = association_effects.natural_transfer(evidence(SHARES, image_metrics=missing))
    assert found == "clip_iqa: weights missing"
    assert (
        association_effects.activations_go_with_class(evidence(SHARES)) == "no table 'similarity'"
    )


def test_naturalness_compares_the_sets_that_have_the_traits():
    run = evidence(SHARES)
    values = [
        {"cnn": 0.9, "transformers": 0.2}.get(c.condition.model_set, 0.5)
        for c in run.recognised["model_sets"]
    ]
    rows = metric(run, "clip_iqa", values)
    found = image_effects.naturalness(
        evidence(SHARES, image_metrics=rows),
        {"training": "standard", "family": "cnn"},
        {"training": "standard", "family": "transformer"},
    )
    assert found.value == pytest.approx(0.7)
    assert set(CONDITION_KEY) <= set(rows.columns)
