"""Each claim is decided by its interval, or says why there is none."""

from dataclasses import replace

import pandas as pd
import pytest
from judged import recognition
from judged_runs import EMBEDDED, MODELS, SETS, SHARES, evidence, plan

from metamers.analysis import claim_effects, claims, claims_page, image_effects, verdicts
from metamers.analysis.run_results import Effect, RunResults
from metamers.config.plan import Condition
from metamers.storage import result_tables, tables
from metamers.storage.columns import COMPARISONS, CONDITION_KEY
from metamers.storage.provenance import RANDOM_WEIGHTS


@pytest.fixture(scope="module")
def run():
    return evidence(SHARES)


def test_gain_is_over_the_ensembles_own_members(run):
    found = claim_effects.ensemble_gain(run)
    assert found.value == pytest.approx((0.7 - 0.3 + 0.9 - 0.1) / 2)
    assert found.low < found.value < found.high
    assert found.evaluators == 7  # nine models less c1 and c2
    n = "2 contrasts of an ensemble with single models, 7 evaluators of 2 families, 40 images"
    assert found.n == n


def test_gain_without_own_members_is_over_single_models_of_the_same_family_and_training():
    found = claim_effects.ensemble_gain(evidence(SHARES, SETS | {"single": ["e1"]}))
    assert found.n.startswith("2 contrasts of an ensemble with single models")  # not robust ones
    assert found.value == pytest.approx((0.7 - 0.3 + 0.9 - 0.1) / 2)


def test_late_recognizability_is_compared_with_early_of_cnn_ensembles(run):
    found = claim_effects.kept_late(run)
    assert found.n.startswith("2 CNN ensembles, 7 to 9 evaluators of 2 families")
    assert found.value == pytest.approx((0.2 + 0.4) / 2)


def test_transformers_are_compared_with_cnns_of_the_same_training(run):
    found = claim_effects.transformer_deficit(run)
    assert found.n.startswith("2 pairs of ensembles, 5 evaluators of 1 family")
    assert found.value == pytest.approx((0.3 + 0.7) / 2)


def test_bound_is_compared_with_none_by_all_models(run):
    found = claim_effects.bound_loss(run)
    assert found.value == pytest.approx(0.8)
    assert found.evaluators == 9


def test_bound_of_another_radius_is_not_the_claims(run):
    other = RunResults(plan(SETS, 0.3), run.zoo, run.recognised, "held_out", *[pd.DataFrame()] * 5)
    assert claim_effects.bound_loss(other) == "no bound of 8/255 beside a wider one"


def of_metamers(successful):
    """Return verdicts on a run whose images are metamers for all members as ``successful`` says."""
    run = evidence(SHARES)
    rows = [
        c.columns() | {"image_id": f"image{k:03d}", "model": m, "success": successful(c, k)}
        for c in run.plan.conditions
        for k in range(40)
        for m in run.plan.model_sets[c.model_set]
    ]
    judged = recognition(
        {c: dict.fromkeys(MODELS, SHARES[c.model_set, c.stage, c.bound])
         for c in run.plan.conditions}, SETS, 40
    )  # fmt: skip
    found = {"recognition": judged, "image_success": pd.DataFrame(rows)}
    alone = RunResults.of(run.plan, run.zoo, found, images="metamers")
    return verdicts.judge(run, alone).set_index("claim")


def test_metamers_alone_have_a_verdict_of_their_own():
    judged = of_metamers(lambda condition, k: k < 30)
    late = judged.loc["single models become unrecognisable"]
    assert "40 images" in late["n"]
    assert "30 images" in late["n_successful"]
    assert late["low_successful"] <= late["effect_successful"] <= late["high_successful"]
    assert pd.isna(judged.loc["robust ensembles look natural", "verdict_successful"])
    page = claims_page.markdown(judged.reset_index(), {"run": "quick"})
    assert f"- Of metamers alone: {late['effect_successful']:+.3f}, interval" in page
    assert f"{late['n_successful']}; **{late['verdict_successful']}**." in page


def test_without_metamers_there_is_no_verdict_of_them():
    judged = of_metamers(lambda condition, k: condition.stage == "early")
    for claim in ("single models become unrecognisable", "late stages stay recognisable"):
        assert judged.loc[claim, "verdict_successful"] == verdicts.UNTESTABLE
        assert judged.loc[claim, "n_successful"] == "0 images to compare; an interval needs 5"
        assert judged.loc[claim, "verdict"] != verdicts.UNTESTABLE


def test_frame_with_metamers_is_the_declared_table(tmp_path):
    judged = of_metamers(lambda condition, k: k < 30).reset_index()
    path = tmp_path / "claims.parquet"
    tables.write(result_tables.CLAIMS, judged[result_tables.CLAIMS.schema.names], path)
    assert tables.read(result_tables.CLAIMS, path)["verdict_successful"].notna().sum() > 10


def at_equal_loss(reached):
    """Return effects of a run of kind equal_loss; ``reached`` is of model set and image."""
    run = evidence(SHARES)
    main = run.plan.config["experiments"]["main"] | {"kind": "equal_loss"}
    config = run.plan.config | {"experiments": {"matched": main}}
    plan = replace(run.plan, config=config)
    judged = recognition({c: dict.fromkeys(MODELS, 0.5) for c in plan.conditions}, SETS, 40)
    first = judged["image_id"] < "image020"  # the ensemble's are recognised there alone
    alone = judged["model_set"] == "single"
    judged["recognised"] = (judged["model_set"] == "cnn") & first | alone & ~first
    rows = [
        c.columns() | {"image_id": f"image{k:03d}", "model": m, "reached": reached(c.model_set, k)}
        for c in plan.conditions
        for k in range(40)
        for m in plan.model_sets[c.model_set]
    ]
    found = {"recognition": judged, "optimisation": pd.DataFrame(rows)}
    return [
        claim_effects.gain_at_equal_loss(RunResults.of(plan, run.zoo, tables))
        for tables in (found, {"recognition": judged})
    ]


def test_gain_at_equal_loss_is_of_images_that_all_brought_there():
    (found, without) = at_equal_loss(lambda name, k: name == "single" or k < 10)
    assert found.value == pytest.approx(1)
    assert found.n.endswith("10 images")
    assert without == "no experiment of kind 'equal_loss'; config/equal_loss.yaml has one"
    (every, _) = at_equal_loss(lambda name, k: True)
    assert every.value == pytest.approx(0)


def test_control_enters_no_effect(run):
    shares = SHARES | {("random", stage, "unbounded"): 1.0 for stage in ("early", "late")}
    with_control = verdicts.judge(evidence(shares, SETS | {"random": ["x1", "x2"]}))
    effects = ["claim", "effect", "n"]  # other images are drawn where there are more conditions
    pd.testing.assert_frame_equal(with_control[effects], verdicts.judge(run)[effects])


def test_controls_are_on_the_page(run):
    row = {"model_set": "random", "stage": "late", "bound": "unbounded", "mean": 0.01}
    row |= {"low": 0.0, "high": 0.03, "n_evaluators": 7, "n_images": 40}
    page = claims_page.markdown(verdicts.judge(run), {"run": "q"}, controls=pd.DataFrame([row]))
    assert (
        "| random | late | unbounded | 0.010 | 0.000 to 0.030 | 7 evaluators, 40 images |" in page
    )
    assert "## Controls" not in claims_page.markdown(verdicts.judge(run), {"run": "q"})


def metrics(values, status="computed"):
    rows = [
        Condition("photographs", "main", model_set, "late", "unbounded").columns()
        | {"image_id": f"i{k}", "measure": "clip_iqa", "value": value, "status": status}
        for model_set, given in values.items()
        for k, value in enumerate(given)
    ]
    return pd.DataFrame(rows)


NATURAL = {"robust": [0.9, 0.8, 0.7], "cnn": [0.5, 0.3, 0.3], "transformers": [0.3, 0.3, 0.1]}


def test_naturalness_is_compared_image_by_image():
    found = image_effects.naturalness(evidence(SHARES, image_metrics=metrics(NATURAL)))
    assert found.value == pytest.approx((0.5 + 0.5 + 0.5) / 3)
    assert (found.low, found.high) == pytest.approx((0.5, 0.5))


def test_naturalness_of_other_conditions_does_not_count():
    rows = metrics(NATURAL)
    more = pd.concat([rows, rows.assign(bound="small", value=0.0)])
    assert image_effects.naturalness(evidence(SHARES, image_metrics=more)).value == pytest.approx(
        0.5
    )


def test_metric_that_was_not_computed_gives_its_reason():
    rows = metrics({"robust": [None], "cnn": [None]}, "not computed: weights missing")
    found = image_effects.naturalness(evidence(SHARES, image_metrics=rows))
    assert found == "CLIP-IQA: not computed: weights missing"


def test_pair_of_prompts_that_shows_least_decides():
    rows = metrics(NATURAL)
    less = {"robust": [0.6, 0.5, 0.4], "cnn": [0.5, 0.3, 0.3], "transformers": [0.3, 0.3, 0.1]}
    both = pd.concat([rows, metrics(less).assign(measure="clip_iqa_natural")])
    found = image_effects.naturalness(evidence(SHARES, image_metrics=both))
    assert found.value == pytest.approx(0.2)
    assert found.n == "3 images, CLIP-IQA, natural; the least of 2"


BOARDS = {"robust": [9.0, 8.0, 7.0], "cnn": [1.0, 0.0, 2.0], "transformers": [1.0, 0.0, 0.0]}
SLOPES = {"robust": [0.1, 0.2, 0.1], "cnn": [0.9, 0.8, 0.9], "transformers": [0.9, 0.8, 0.9]}


def test_checkerboard_and_spectra_decide_their_claims():
    found = {"checkerboard": BOARDS, "slope_difference": SLOPES}
    rows = [metrics(values).assign(measure=name) for name, values in found.items()]
    judged = verdicts.judge(evidence(SHARES, image_metrics=pd.concat(rows))).set_index("claim")
    board = judged.loc["robust CNNs leave a checkerboard"]
    assert board["effect"] == pytest.approx((8 + 8 + 6) / 3)
    assert board["verdict"] == "confirmed"
    spectra = judged.loc["robust ensembles have natural spectra"]
    assert spectra["effect"] == pytest.approx((0.8 + 0.6 + 0.8) / 3)
    assert spectra["verdict"] == "confirmed"


def power(sizes, sd=0.02, photographs=400):
    rows = [
        Condition("photographs", "main", "cnn", stage, "unbounded").columns()
        | {"evaluator": e, "comparison": COMPARISONS[0], "n_images": n, "sd": sd * k}
        | {"sd_low": 0.9 * sd * k, "sd_high": 1.3 * sd * k, "mean": 0.5}
        | {"n_total": 400, "n_photographs": photographs}
        for stage in ("early", "late")
        for k, e in enumerate(MODELS, start=1)
        for n in sizes
    ]
    return pd.DataFrame(rows)


def test_spread_is_that_of_80_images():
    found = image_effects.spread(evidence(SHARES, power=power([40, 80, 400])))
    assert found.value == pytest.approx(0.02 * 5)
    assert found.n == "18 of 18 divergences, 9 evaluators, 400 images"


def test_divergences_without_room_to_spread_do_not_count():
    rows = power([80])
    rows.loc[rows["evaluator"].isin(MODELS[2:]), "mean"] = 0.999
    rows.loc[rows["evaluator"] == MODELS[0], "mean"] = 0.01
    found = image_effects.spread(evidence(SHARES, power=rows))
    assert found.value == pytest.approx(0.04)  # the second model's
    assert found.n.startswith("2 of 18 divergences, 1 evaluators")
    assert "every divergence is near 0 or 1" in image_effects.spread(
        evidence(SHARES, power=rows.assign(mean=1.0))
    )


def test_interval_of_spread_holds_those_of_its_cells():
    rows = power([80]).assign(sd=0.02, sd_low=0.018, sd_high=0.026)
    found = image_effects.spread(evidence(SHARES, power=rows))
    assert (found.low, found.value, found.high) == pytest.approx((0.018, 0.02, 0.026))


def test_spread_says_that_images_are_crops():
    found = image_effects.spread(evidence(SHARES, power=power([80], photographs=20)))
    assert found.n.endswith("400 images of 20 photographs")


def test_spread_needs_twice_80_images():
    assert "fewer than 160 images" in image_effects.spread(evidence(SHARES, power=power([20, 40])))
    assert image_effects.spread(evidence(SHARES)).startswith("no experiment of kind 'power'")


def test_random_weights_decide_no_claim():
    run = evidence(SHARES)
    run.plan.config["random_weights"] = True
    judged = verdicts.judge(run)
    of_run = judged["claim"].isin([claim.name for claim in claims.CLAIMS if claim.of_run])
    assert of_run.sum() == len(claims.CLAIMS) - 1
    assert set(judged.loc[of_run, "verdict"]) == {verdicts.UNTESTABLE}
    assert set(judged.loc[of_run, "reason"]) == {"the weights are random"}
    stamp = {"run": "check", "weights": RANDOM_WEIGHTS}
    assert RANDOM_WEIGHTS in claims_page.markdown(judged, stamp)
    assert RANDOM_WEIGHTS not in claims_page.markdown(judged, {"run": "quick", "weights": "other"})


def test_coefficient_of_robust_members_is_taken_from_the_regression():
    row = {"experiment": "mixed", "regression": "composition", "term": "robust"}
    row |= {"coefficient": 0.2, "low": 0.1}
    row |= {"high": 0.3, "n": 40, "status": "estimated"}
    table = pd.DataFrame([row])
    assert image_effects.of_members(evidence(SHARES, mixed_regression=table), "robust") == Effect(
        0.2, 0.1, 0.3, "40 mixed sets"
    )
    table = table.assign(status="not estimable: no set differs in it")
    assert image_effects.of_members(evidence(SHARES, mixed_regression=table), "robust") == (
        "share of robust members: not estimable: no set differs in it"
    )


@pytest.mark.parametrize(
    ("low", "high", "confirms", "expected"),
    [
        (0.1, 0.3, "above", "confirmed"),
        (-0.3, -0.1, "above", "refuted"),
        (-0.1, 0.1, "above", "undecided"),
        (0.0, 0.1, "above", "undecided"),
        (0.1, 0.3, "below", "refuted"),
        (-0.3, -0.1, "below", "confirmed"),
    ],
)
def test_verdict_is_that_of_the_whole_interval(low, high, confirms, expected):
    assert verdicts.verdict(Effect(0.0, low, high, ""), confirms, 0.0) == expected


def test_p_value_is_small_where_the_interval_leaves_the_threshold_out():
    assert verdicts.p_value(Effect(0.2, 0.1, 0.25, ""), 0.1) == pytest.approx(0.05)
    assert verdicts.p_value(Effect(0.2, 0.1, 0.25, ""), 0.25) == pytest.approx(0.05)
    assert verdicts.p_value(Effect(0.2, 0.1, 0.3, ""), 0.0) < 0.001
    assert verdicts.p_value(Effect(0.2, 0.1, 0.3, ""), 0.2) == 1.0


def test_verdict_that_many_claims_make_likely_is_none(run, monkeypatch):
    weak = claims.Claim("weak", "", "", "", lambda _: Effect(0.2, 0.01, 0.4, "n"))
    empty = claims.Claim("empty", "", "", "", lambda _: Effect(0.0, -0.2, 0.2, "n"))
    monkeypatch.setattr(verdicts, "CLAIMS", (weak, empty))
    row = verdicts.judge(run).iloc[0]
    assert row["p_value"] < 0.05 < row["p_adjusted"]
    assert row["verdict"] == "undecided"
    assert row["reason"].endswith("after Holm's correction")
    monkeypatch.setattr(verdicts, "CLAIMS", (weak,))
    assert verdicts.judge(run)["verdict"].item() == "confirmed"


def test_page_names_members_whose_metamers_are_none(run):
    row = dict.fromkeys((*CONDITION_KEY, "model"), "x") | {"n_pairs": 2496}
    row |= {"share": 0.35, "kept": 0.4, "beyond_spearman": 1.0, "beyond_snr": 0.9}
    success = pd.DataFrame([row | {"are_metamers": False}, row | {"are_metamers": True}])
    page = claims_page.markdown(verdicts.judge(run), {"run": "quick"}, None, success)
    assert "1 of 2 pairs of a condition\nand a member succeed" in page
    assert "| x | x | x | x | x | 0.35 | 0.40 | 1.00 | 0.90 |" in page


def test_full_run_confirms_what_it_shows(run):
    judged = verdicts.judge(run).set_index("claim")
    assert judged["verdict"].to_dict() == {
        "ensembles transfer better": "confirmed",
        "ensembles transfer better at equal loss": verdicts.UNTESTABLE,
        "CNN ensembles transfer better": "confirmed",
        "transformer ensembles transfer better": verdicts.UNTESTABLE,
        "transformers gain less": verdicts.UNTESTABLE,
        "late stages stay recognisable": "confirmed",
        "robust ensembles look natural": verdicts.UNTESTABLE,
        "transformers transfer worse": "confirmed",
        "a bound of 8/255 breaks recognition": "confirmed",
        "80 images suffice": verdicts.UNTESTABLE,
        "robust ensembles have natural spectra": verdicts.UNTESTABLE,
        "robust members help": verdicts.UNTESTABLE,
        "single models become unrecognisable": "confirmed",
        "all sets are recognisable early": "undecided",
        "only CNN and robust ensembles stay recognisable": "undecided",
        "CNN ensembles gain late what they lose early": "confirmed",
        "CNN ensembles are best": "undecided",
        "robust transformers look natural": verdicts.UNTESTABLE,
        "robust transformers are recognised poorly": verdicts.UNTESTABLE,
        "transformers look unnatural": verdicts.UNTESTABLE,
        "transformers are recognised poorly": "confirmed",
        "natural metamers transfer best": verdicts.UNTESTABLE,
        "activations go with the class": verdicts.UNTESTABLE,
        "unlearned metrics find the best metamer": verdicts.UNTESTABLE,
        "mixed sets stay recognisable": verdicts.UNTESTABLE,
        "transformers lower a mixed set": verdicts.UNTESTABLE,
        "CNN judges bear perturbations better": "undecided",
        "robust CNNs leave a checkerboard": verdicts.UNTESTABLE,
        "recognizability predicts human recognition": "confirmed",
    }


def test_no_verdict_without_an_interval(run):
    judged = verdicts.judge(run)
    untestable = judged["verdict"] == verdicts.UNTESTABLE
    assert (judged["low"].isna() == untestable).all()
    assert (judged["reason"] != "").all()


def test_embedded_models_cannot_test_what_they_lack():
    shares = {key: value for key, value in SHARES.items() if key[0] in EMBEDDED}
    judged = verdicts.judge(evidence(shares, EMBEDDED)).set_index("claim")
    reason = judged.loc["transformers transfer worse", "reason"]
    assert reason == "no transformer ensemble beside a CNN one"


def test_few_evaluators_are_said_to_be_few():
    judged = verdicts.judge(evidence(SHARES))
    assert list(judged.loc[judged["reason"].str.contains("hardly of others"), "claim"]) == [
        "CNN judges bear perturbations better"  # of two transformers
    ]
    few = verdicts._reason(Effect(0.2, 0.1, 0.3, "", evaluators=2), 0.0)
    assert (
        few == "the interval lies above 0; with 2 evaluators it speaks of these, hardly of others"
    )


def test_page_shows_every_claim_with_its_interval(run):
    stamp = {"run": "quick", "version": "1", "commit": "abc"}
    page = claims_page.markdown(verdicts.judge(run), stamp)
    assert "run `quick`, version `1`, commit `abc`" in page
    assert "| ensembles transfer better | +0.600 | +0." in page
    assert page.count("\n## ") == len(claims.CLAIMS)
    assert "**not testable with these models**: no experiment of kind 'mixed_sets'" in page


def test_frame_is_the_declared_table(run, tmp_path):
    tables.write(result_tables.CLAIMS, verdicts.judge(run), tmp_path / "claims.parquet")
    assert len(tables.read(result_tables.CLAIMS, tmp_path / "claims.parquet")) == len(claims.CLAIMS)
