"""Mixed sets: evaluators' effects are removed, and each model's effect is found."""

import itertools

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from judged import MEMBERS, condition, recognition
from scipy import stats

from metamers.analysis.mixed_regression import fitted, regression
from metamers.analysis.mixed_sets import difference_in_means, mixed_sets
from metamers.config.model_sets import draw_sets
from metamers.models.weights.row import WeightsRow
from metamers.models.zoo import ModelSpec, Normalisation
from metamers.storage import result_tables, tables

N_IMAGES = 200


def subsets(models, sizes):
    found = [c for size in sizes for c in itertools.combinations(models, size)]
    return {f"mixed_{k:03d}": list(c) for k, c in enumerate(found)}


def made(members, evaluators, share):
    """Return the frame of recognition where ``share(members, evaluator)`` is recognised."""
    shares = {
        condition(name, "middle"): {e: share(models, e) for e in evaluators}
        for name, models in members.items()
    }
    return recognition(shares, members, N_IMAGES), list(shares)


def spec(name, family="cnn", training="standard"):
    return ModelSpec(
        name=name,
        label=name,
        family=family,
        training=training,
        architecture="own:none",
        parameters=0,
        blocks=(),
        normalisation=Normalisation((0, 0, 0), (1, 1, 1)),
        weights=WeightsRow("random"),
    )


def mixed_frame(members, values):
    """Return a frame of mixed sets with these adjusted values."""
    return pd.DataFrame(
        {"experiment": "mixed"}
        | condition("mixed", "middle").columns()
        | {
            "members": list(members.values()),
            "size": [len(models) for models in members.values()],
            "mean": values,
            "adjusted": values,
        }
    )


STRICTNESS = {"a": 0.3, "b": 0.0, "c": -0.1, "d": -0.2}


@pytest.fixture(scope="module")
def strict():
    """Sets that do not differ, judged by evaluators that do."""
    members = subsets("abcd", (1, 2, 3))
    judged, conditions = made(members, "abcd", lambda _, e: 0.5 + STRICTNESS[e])
    return members, judged, conditions


def test_means_are_those_of_held_out_evaluators(strict):
    members, judged, conditions = strict
    frame = mixed_sets(judged, conditions, members).set_index("model_set")
    assert members["mixed_004"] == ["a", "b"]
    assert frame.loc["mixed_004", "mean"] == pytest.approx(0.5 - 0.15)
    assert frame.loc["mixed_004", "n_evaluators"] == 2
    assert frame.loc["mixed_004", "sd"] == pytest.approx(np.std([0.4, 0.3], ddof=1))


def test_adjusted_means_do_not_differ_where_only_evaluators_do(strict):
    members, judged, conditions = strict
    frame = mixed_sets(judged, conditions, members)
    np.testing.assert_allclose(frame["adjusted"], 0.5, atol=1e-12)
    assert frame["mean"].std() > 0.05


def test_raw_difference_credits_a_lenient_evaluator_and_the_adjusted_one_does_not(strict):
    members, judged, conditions = strict
    frame = difference_in_means(mixed_sets(judged, conditions, members)).set_index("model")
    assert frame.loc["a", "difference"] < -0.1
    assert frame.loc["d", "difference"] > 0.05
    np.testing.assert_allclose(frame["adjusted"], 0, atol=1e-12)


def test_adjusted_means_agree_with_a_fit_by_formula():
    members = subsets("abcde", (2, 3))
    rng = np.random.default_rng(0)
    judged, conditions = made(members, "abcde", lambda *_: rng.uniform(0.1, 0.9))
    frame = mixed_sets(judged, conditions, members)
    held_out = judged[~judged["member"]]
    shares = held_out.groupby(["model_set", "evaluator"])["recognised"].mean().reset_index()
    fit = smf.ols("recognised ~ C(model_set) + C(evaluator)", shares).fit()
    grid = pd.MultiIndex.from_product(
        [sorted(members), list("abcde")], names=["model_set", "evaluator"]
    )
    theirs = (
        fit.predict(grid.to_frame(index=False)).to_numpy().reshape(len(members), 5).mean(axis=1)
    )
    np.testing.assert_allclose(frame.sort_values("model_set")["adjusted"], theirs, atol=1e-9)


def test_set_of_all_models_has_no_row():
    members = subsets("abc", (2, 3))
    judged, conditions = made(members, "abc", lambda *_: 0.5)
    assert "mixed_003" not in set(mixed_sets(judged, conditions, members)["model_set"])


def test_difference_of_a_helpful_model_is_found():
    members = subsets("abcdef", (2, 3))
    judged, conditions = made(members, "abcdef", lambda m, _: 0.4 + 0.2 * ("b" in m))
    frame = difference_in_means(mixed_sets(judged, conditions, members))
    best = frame.iloc[0]
    assert best["model"] == "b"
    assert best["difference"] == pytest.approx(0.2)
    assert best["adjusted"] == pytest.approx(0.2)
    assert best["p_adjusted"] < 0.01


def test_interval_and_p_value_agree_with_scipy():
    members = subsets("abcd", (2,))
    values = np.array([0.5, 0.7, 0.6, 0.3, 0.2, 0.45])
    row = difference_in_means(mixed_frame(members, values)).set_index("model").loc["a"]
    welch = stats.ttest_ind(values[:3], values[3:], equal_var=False)
    assert (row["low"], row["high"]) == pytest.approx(tuple(welch.confidence_interval()))
    # a's three sets have the largest of 20 splits: 1/20 on each side.
    assert row["p_value"] == pytest.approx(0.1)
    assert row["appearances"] == 3
    assert row["n_sets"] == 6


def test_model_of_one_set_has_a_difference_but_no_interval():
    members = {"s0": ["a", "b"], "s1": ["b", "c"], "s2": ["c", "d"], "s3": ["b", "d"]}
    frame = difference_in_means(mixed_frame(members, np.array([0.9, 0.5, 0.4, 0.3])))
    row = frame.set_index("model").loc["a"]
    assert row["difference"] == pytest.approx(0.5)
    assert row[["low", "high", "p_value", "p_adjusted"]].isna().all()


def test_model_of_every_set_has_no_row():
    members = {"s0": ["a", "b"], "s1": ["a", "c"], "s2": ["a", "d"]}
    frame = difference_in_means(mixed_frame(members, np.array([0.9, 0.5, 0.4])))
    assert "a" not in set(frame["model"])


def test_regression_tells_size_from_robustness_and_family():
    zoo = {n: spec(n) for n in "abcd"} | {n: spec(n, training="robust") for n in "ef"}
    zoo |= {n: spec(n, family="transformer") for n in "gh"}
    members = subsets("abcdefgh", (2, 3))
    shares = [
        (len(m), np.mean([n in "ef" for n in m]), np.mean([n in "gh" for n in m]))
        for m in members.values()
    ]
    rng = np.random.default_rng(0)
    truth = np.array([0.02, 0.3, -0.2])
    values = 0.4 + np.array(shares) @ truth + rng.normal(0, 0.02, len(members))
    frame = regression(mixed_frame(members, values), zoo)
    terms = frame[frame["regression"] == "composition"].set_index("term")
    assert list(terms.index) == ["size", "robust", "random", "transformer"]
    found = terms.loc[["size", "robust", "transformer"]]
    assert ((found["low"] < truth) & (truth < found["high"])).all()
    assert terms.loc["random", "status"] == "not estimable: no set differs in it"
    assert np.isnan(terms.loc["random", "coefficient"])


def test_indicators_hold_size_fixed():
    # Each member adds .02 and b another .1; the raw difference of a is blown up by size.
    members = subsets("abcdef", (1, 2, 3, 4))
    values = np.array([0.3 + 0.02 * len(m) + 0.1 * ("b" in m) for m in members.values()])
    frame = regression(mixed_frame(members, values), {n: spec(n) for n in "abcdef"})
    terms = frame[frame["regression"] == "members"].set_index("term")
    assert terms.loc["a", "coefficient"] == pytest.approx(0.02)
    assert terms.loc["b", "coefficient"] == pytest.approx(0.12)


def test_fit_agrees_with_the_formula_interface():
    rng = np.random.default_rng(1)
    terms = pd.DataFrame({"u": rng.normal(size=20), "v": rng.normal(size=20)})
    values = rng.normal(size=20)
    frame = fitted(values, terms, {"u": "", "v": ""}).set_index("term")
    theirs = smf.ols("y ~ u + v", terms.assign(y=values)).fit(cov_type="HC3", use_t=True)
    np.testing.assert_allclose(frame["coefficient"], theirs.params[["u", "v"]])
    np.testing.assert_allclose(frame[["low", "high"]], theirs.conf_int().loc[["u", "v"]])
    assert set(frame["degrees"]) == {17}


def test_term_that_one_set_alone_has_is_left_out_with_that_set():
    rng = np.random.default_rng(1)
    terms = pd.DataFrame({"u": rng.normal(size=12), "once": np.eye(12)[3]})
    values = rng.normal(size=12)
    frame = fitted(values, terms, {"u": "", "once": ""}).set_index("term")
    without = fitted(np.delete(values, 3), terms[["u"]].drop(index=3), {"u": ""})
    columns = ["coefficient", "low", "high", "n"]
    np.testing.assert_allclose(
        frame.loc["u", columns].astype(float), without.iloc[0][columns].astype(float)
    )
    assert frame.loc["once", "status"].startswith("not estimable: 12 sets are too few")


def test_terms_that_determine_each_other_are_not_estimated():
    rng = np.random.default_rng(1)
    first = rng.normal(size=12)
    terms = pd.DataFrame({"u": first, "twice": 2 * first, "v": rng.normal(size=12)})
    frame = fitted(rng.normal(size=12), terms, dict.fromkeys(terms, "")).set_index("term")
    assert frame["status"].to_dict() == {
        "u": "not estimable: other terms determine it",
        "twice": "not estimable: other terms determine it",
        "v": "estimated",
    }


def test_three_sets_are_too_few_for_four_models():
    members = subsets("abc", (2,))
    frame = regression(mixed_frame(members, np.array([0.1, 0.5, 0.3])), {n: spec(n) for n in "abc"})
    assert frame["coefficient"].isna().all()
    assert frame["status"].str.startswith("not estimable").all()


def test_frames_are_the_declared_tables(strict, tmp_path):
    members, judged, conditions = strict
    frame = mixed_sets(judged, conditions, members)
    zoo = {name: spec(name) for name in "abcd"}
    tables.write(result_tables.MIXED_SETS, frame, tmp_path / "sets.parquet")
    tables.write(
        result_tables.DIFFERENCE_IN_MEANS, difference_in_means(frame), tmp_path / "d.parquet"
    )
    tables.write(result_tables.MIXED_REGRESSION, regression(frame, zoo), tmp_path / "r.parquet")
    assert (
        len(tables.read(result_tables.MIXED_SETS, tmp_path / "sets.parquet")) == len(members) == 14
    )


def test_the_papers_shape_without_an_effect_has_no_finding():
    # 100 sets of 2 to 10 of 31 models; of 31 corrected p-values none is small, in most seeds
    models = [f"m{k:02d}" for k in range(31)]
    members = draw_sets("mixed", {"count": 100, "sizes": [2, 10]}, models, seed=0)
    values = np.random.default_rng(0).normal(0.75, 0.1, 100)
    frame = mixed_frame(members, values)
    differences = difference_in_means(frame)
    assert len(differences) == 31
    assert differences["n_sets"].unique().tolist() == [100]
    assert differences["p_adjusted"].min() > 0.05
    assert (differences["low"] < differences["high"]).all()
    zoo = {name: spec(name, training="robust" if name < "m08" else "standard") for name in models}
    terms = regression(frame, zoo | {n: spec(n, family="transformer") for n in models[20:]})
    assert (terms["regression"] == "members").sum() == 31
    estimated = terms.set_index("term").loc[["size", "robust", "transformer"]]
    assert set(estimated["status"]) == {"estimated"}
    assert (estimated["p_adjusted"] > 0.05).all()


def test_no_sets_give_empty_tables():
    empty = mixed_sets(recognition({condition("one"): {"a": 0.5}}, MEMBERS), [], MEMBERS)
    assert empty.empty
    assert difference_in_means(empty).empty
    assert regression(empty, {}).empty


def test_two_stages_are_not_compared(strict):
    members, judged, conditions = strict
    frame = mixed_sets(judged, conditions, members)
    both = pd.concat([frame, frame.assign(stage="late")])
    with pytest.raises(ValueError, match=r"differ in their models alone; met were .*'late'"):
        difference_in_means(both)
