"""The same metamers, analysed in each way, and what is said of them."""

import pandas as pd
import pytest
from judged import recognition

from metamers.analysis import claims_page, multiverse
from metamers.config.plan import Plan
from metamers.models.weights.row import WeightsRow
from metamers.models.zoo import ModelSpec
from metamers.storage import result_tables, tables

SETS = {"single": ["c1"], "cnn": ["c1", "c2"]}
MODELS = ("c1", "c2", "e1", "e2", "e3", "e4", "e5", "random")
GAIN = "CNN ensembles transfer better"


def plan():
    main = {
        "kind": "model_sets",
        "references": "photographs",
        "recipes": ["main"],
        "bounds": ["unbounded"],
    }
    main |= {"model_sets": list(SETS), "stages": ["early", "late"]}
    config = {
        "seed": 0,
        "random_weights": False,
        "stages": {"early": 0.2, "late": 0.8},
        "bounds": {"unbounded": {"norm": "linf", "center": "initial", "radius": 10000}},
        "evaluators": list(MODELS),
        "smallest_effects": {"recognizability": 0, "loss": 0.1, "clip_iqa": 0, "divergence": 0.05}
        | {"correlation": 0},
        "experiments": {"main": main},
    }
    return Plan(config, {}, {name: tuple(models) for name, models in SETS.items()}, {})


def zoo():
    weights = WeightsRow("random")
    training = {name: "random" if name == "random" else "standard" for name in MODELS}
    return {
        n: ModelSpec(n, n, "cnn", training[n], "own:none", 0, (), None, weights) for n in MODELS
    }


@pytest.fixture(scope="module")
def found():
    """A gain of .5 at the late stage alone by the rule self, a loss of .5 there by the label."""
    rules = {"self": {"single": 0.3, "cnn": 0.8}, "label": {"single": 0.8, "cnn": 0.3}}
    parts = []
    for rule, late in rules.items():
        shares = {
            c: dict.fromkeys(MODELS, late[c.model_set] if c.stage == "late" else 0.5)
            | {"random": 1.0}
            for c in plan().conditions
        }
        rows = recognition(shares, SETS, n_images=40).assign(rule=rule)
        rows["related"] = rows["evaluator"].isin(["e1", "e2"])
        rows["right"] = (rows["evaluator"] != "e3") | (rows["image_id"] < "image013")
        parts.append(rows)
    return multiverse.multiverse(plan(), zoo(), pd.concat(parts))


def succeeding(recognition, successful):
    """Return the table `image_success` of two members; ``successful`` is of condition and image."""
    rows = recognition[["references", "recipe", "model_set", "stage", "bound", "image_id"]]
    rows = rows.drop_duplicates().reset_index(drop=True)
    good = [successful(row.model_set, row.image_id) for row in rows.itertuples()]
    return pd.concat([rows.assign(model="c1", success=good), rows.assign(model="c2", success=True)])


def of_metamers(successful):
    shares = {c: dict.fromkeys(MODELS, 0.5) for c in plan().conditions}
    rows = recognition(shares, SETS, n_images=40)
    late = rows["stage"] == "late"
    first = rows["image_id"] < "image020"  # of these, all of the ensemble's late ones are seen
    rows["recognised"] = rows["recognised"].where(
        ~late, (rows["model_set"] == "cnn") & first | (rows["model_set"] == "single") & ~first
    )
    return multiverse.multiverse(plan(), zoo(), rows, succeeding(rows, successful))


def test_metamers_alone_are_those_of_both_conditions():
    rows = of_metamers(lambda model_set, image: model_set == "single" or image < "image015")
    assert chosen(rows, "self", "late")["effect"] == pytest.approx(0)
    row = chosen(rows, "self", "late", images="metamers")
    assert row["effect"] == pytest.approx(1)
    assert "15 images" in row["n"]
    assert row["verdict"] == "confirmed"


def test_few_metamers_give_no_verdict():
    rows = of_metamers(lambda model_set, image: image < "image004")
    of_gain = rows[(rows["claim"] == GAIN) & (rows["images"] == "metamers")]
    assert of_gain.empty


def chosen(found, rule, stage, judges="trained", images="all"):
    where = {"claim": GAIN, "rule": rule, "stage": stage, "judges": judges, "images": images}
    for name, value in where.items():
        found = found[found[name] == value]
    (only,) = found.to_dict("records")
    return only


def test_effect_at_one_stage_is_found_there_and_halved_in_all(found):
    assert chosen(found, "self", "early")["verdict"] == "undecided"
    assert chosen(found, "self", "late")["effect"] == pytest.approx(0.5)
    assert chosen(found, "self", "all")["effect"] == pytest.approx(0.25)


def test_another_rule_may_say_the_opposite(found):
    assert chosen(found, "self", "late")["verdict"] == "confirmed"
    assert chosen(found, "label", "late")["verdict"] == "refuted"


def test_judges_with_random_weights_shrink_the_effect_where_they_count(found):
    assert chosen(found, "self", "late", "all")["effect"] == pytest.approx(0.5 * 5 / 6)


def test_unrelated_judges_are_fewer(found):
    row = chosen(found, "self", "late", "unrelated")
    assert "3 evaluators" in row["n"]
    assert row["effect"] == pytest.approx(0.5)


def test_references_that_a_judge_gets_wrong_count_for_that_judge_alone(found):
    row = chosen(found, "self", "late", images="right")
    assert "5 evaluators" in row["n"]
    assert row["effect"] != chosen(found, "self", "late")["effect"]
    assert row["effect"] == pytest.approx(0.5, abs=0.1)


def test_rule_without_answers_has_no_row(found):
    assert set(found["rule"]) == {"self", "label"}


def test_grid_counts_each_analysis_once(found):
    counts = multiverse.grid(found)
    assert counts.iloc[:, 2:].to_numpy().sum() == len(found)
    late = counts[(counts["claim"] == GAIN) & (counts["stage"] == "late")].iloc[0]
    assert (late["confirmed"], late["refuted"]) == (6, 6)


def test_page_shows_where_verdicts_hold(found):
    judged = pd.DataFrame(columns=result_tables.CLAIMS.schema.names)
    page = claims_page.markdown(judged, {"run": "quick"}, multiverse.grid(found))
    assert f"| {GAIN} | late | 6 | 0 | 6 |" in page


def test_frame_is_the_declared_table(found, tmp_path):
    path = tmp_path / "claims_multiverse.parquet"
    tables.write(result_tables.CLAIMS_MULTIVERSE, found, path)
    assert len(tables.read(result_tables.CLAIMS_MULTIVERSE, path)) == len(found)
