"""What a recipe changes, worked by hand."""

import pytest
from judged import MEMBERS, cells_of, condition, recognition

from metamers.analysis.recipe_comparison import recipe_effects
from metamers.storage import recognition_tables

SHARES = {
    condition("pair", recipe="main"): {"a": 1.0, "b": 0.8, "c": 0.5, "d": 0.3},
    condition("pair", recipe="slow"): {"a": 1.0, "b": 1.0, "c": 0.7, "d": 0.5},
    condition("one", recipe="main"): {"a": 1.0, "b": 0.0, "c": 0.0, "d": 1.0},
    condition("one", recipe="same"): {"a": 1.0, "b": 0.0, "c": 0.0, "d": 1.0},
    condition("pair", "early", recipe="slow"): {"a": 1.0, "b": 1.0, "c": 0.7, "d": 0.5},
}
EXPERIMENTS = {"ablation": tuple(SHARES), "main": (condition("pair", recipe="main"),)}


@pytest.fixture(scope="module")
def found():
    return recipe_effects(recognition(SHARES, MEMBERS), EXPERIMENTS)


def test_table_has_its_columns_and_only_recipes_that_have_a_counterpart(found):
    assert list(found.columns) == recognition_tables.RECIPE_EFFECTS.schema.names
    assert set(found["experiment"]) == {"ablation"}
    assert set(zip(found["recipe"], found["model_set"], found["stage"], strict=True)) == {
        ("slow", "pair", "late"),
        ("same", "one", "late"),
    }
    assert set(found["baseline"]) == {"main"}


def test_difference_is_that_of_the_shares(found):
    rows = cells_of(found, recipe="slow").set_index("group")
    assert rows["difference"].to_dict() == pytest.approx({"trained": 0.2, "members": 0.1})
    assert rows["recognizability"].to_dict() == pytest.approx({"trained": 0.6, "members": 1.0})
    assert rows["of_baseline"].to_dict() == pytest.approx({"trained": 0.4, "members": 0.9})
    assert (rows["low"] < rows["difference"]).all()
    assert (rows["difference"] < rows["high"]).all()
    assert rows["n_evaluators"].to_dict() == {"trained": 2, "members": 2}


def test_judge_without_training_does_not_count():
    shares = {key: given | {"random": 1.0} for key, given in SHARES.items()}
    found = recipe_effects(recognition(shares, MEMBERS), EXPERIMENTS)
    rows = cells_of(found, recipe="slow").set_index("group")
    assert rows["n_evaluators"].to_dict() == {"trained": 2, "members": 2}
    assert rows["recognizability"].to_dict() == pytest.approx({"trained": 0.6, "members": 1.0})


def test_images_are_counted_not_the_photographs_that_they_are_crops_of():
    judged = recognition(SHARES, MEMBERS)
    cropped = judged.assign(
        image_id=[f"photo{int(i[5:]) // 2}#crop{int(i[5:]) % 2:03d}" for i in judged["image_id"]]
    )
    rows = cells_of(recipe_effects(cropped, EXPERIMENTS), recipe="slow").set_index("group")
    assert set(rows["n_images"]) == {10}
    assert rows["difference"].to_dict() == pytest.approx({"trained": 0.2, "members": 0.1})


def test_answers_that_never_differ_prove_no_equality(found):
    rows = cells_of(found, recipe="same")
    assert (rows["difference"] == 0).all()
    assert (rows["low"] < -0.05).all()
    assert (rows["high"] > 0.05).all()
