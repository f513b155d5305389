"""Wrong configurations: each error names the key, the value and what is allowed."""

import copy

import pytest
import yaml
from fixtures import ROOT

from metamers.config.validation import ConfigurationError, plan_of, require

CONFIG = yaml.safe_load((ROOT / "config/config.yaml").read_text())
ZOO = yaml.safe_load((ROOT / "config/models.yaml").read_text())


def with_change(path, value):
    config = copy.deepcopy(CONFIG)
    *parents, last = path.split("/")
    place = config
    for key in parents:
        place = place[key]
    place[last] = value
    return config


def test_the_shipped_configuration_is_right():
    require(CONFIG, ZOO, ROOT)


def without_heads(*names, **changes):
    """Return the zoo with some rows that have no head and state no accuracy."""
    rows = copy.deepcopy(ZOO)
    for name in names:
        rows[name] |= {"head": "none"}
        rows[name].pop("accuracy")
        rows[name] |= changes
    return rows


def test_evaluators_need_a_head_among_them():
    require(CONFIG, without_heads(*CONFIG["evaluators"][1:]), ROOT)
    with pytest.raises(ConfigurationError, match=r"'evaluators': none of them has a head"):
        require(CONFIG, without_heads(*CONFIG["evaluators"]), ROOT)


def test_a_row_without_a_head_states_no_accuracy():
    stated = {"top1": 0.5, "source": "someone"}
    with pytest.raises(ConfigurationError, match=r"zoo, key 'squeezenet1_1.head'.*imagenet"):
        require(CONFIG, without_heads("squeezenet1_1", accuracy=stated), ROOT)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("seeed", 1, ["seeed"]),
        ("seed", "zero", ["'seed'", "zero", "integer"]),
        ("stages/late", 1.2, ["stages.late", "1.2", "maximum of 1"]),
        ("stages/late", 0, ["stages.late", "0"]),
        ("recipes/main/gradient", "adam", ["recipes.main.gradient", "adam", "l2_normalised"]),
        ("recipes/main/budget", {"steps_per_turn": 2}, ["recipes.main.budget", "total_steps"]),
        ("bounds/unbounded/radius", "8:255", ["bounds.unbounded.radius", "8:255"]),
        ("bounds/unbounded/norm", "l1", ["bounds.unbounded.norm", "l1", "linf"]),
        ("model_sets/lite_pair", ["resnet"], ["model_sets.lite_pair", "'resnet'", "the zoo"]),
        ("model_sets/lite_pair", [], ["model_sets.lite_pair", "no members"]),
        (
            "model_sets/lite_pair",
            ["squeezenet1_1", "squeezenet1_1"],
            ["model_sets.lite_pair", "'squeezenet1_1'", "2 times"],
        ),
        (
            "engine",
            CONFIG["engine"] | {"device": "cpu", "precision": "tf32"},
            ["engine.precision", "'tf32'", "GPU", "'cpu'"],
        ),
        ("engine/precision", "float16", ["engine.precision", "float16", "bf16"]),
        ("engine/channels_last", "last", ["engine.channels_last", "last", "auto"]),
        ("evaluators", ["vgg"], ["evaluators", "'vgg'"]),
        ("experiments/main/stages", [], ["experiments.main.stages", "empty"]),
        ("experiments/main/stages", ["deep"], ["experiments.main.stages", "'deep'", "'late'"]),
        ("experiments/main/bounds", ["l8"], ["experiments.main.bounds", "'l8'", "'unbounded'"]),
        ("experiments/main/model_sets", ["x"], ["experiments.main.model_sets", "'x'"]),
        ("experiments/main/recipes", ["x"], ["experiments.main.recipes", "'x'", "'mixed'"]),
        ("experiments/main/references", "x", ["experiments.main.references", "'x'"]),
        ("experiments/mixed/draw/count", 99, ["experiments.mixed.draw", "there are only 14"]),
        ("shards", 1.0, ["'shards'", "1.0", "write 1"]),
        ("seed", 1.0, ["'seed'", "write 1"]),
        ("seed", 10**400, ["'seed'", "2^53"]),
        ("stages/late", float("nan"), ["stages.late", "nan"]),
        ("run", "quickstart\n", ["'run'"]),
        ("run", "a" * 5000, ["'run'"]),
        ("zoo", "nosuch.yaml", ["'zoo'", "nosuch.yaml"]),
        ("set_labels", {1: "one"}, ["set_labels", "not a text"]),
        ("bounds/unbounded/radius", "1" + "0" * 400 + "/1", ["bounds.unbounded.radius", "finite"]),
        ("experiments/mixed/draw/sizes", [3, 2], ["experiments.mixed.draw", "[3, 2]"]),
        ("recipes/main/budget/total_steps", 10**10, ["recipes.main.budget", "turns"]),
        ("experiments", {"main": None}, ["'experiments'", "nothing to make"]),
        ("experiments/main/bounds", ["unbounded", "initial_8"], ["experiments.main.bounds"]),
        ("experiments/main/recipes", ["main", "mixed"], ["experiments.main.recipes"]),
        ("experiments/mixed/stages", ["early", "late"], ["experiments.mixed.stages", "for each"]),
        ("experiments/bounds/recipes", ["main", "mixed"], ["experiments.bounds.recipes"]),
        ("experiments/bounds/kind", "bound", ["experiments.bounds.kind", "'bounds' compares"]),
        ("experiments/mixed/kind", "model_sets", ["experiments.mixed.draw", "'model_sets'"]),
        (
            "experiments/main/kind",
            "equal_loss",
            ["recipes.main.budget", "'main'", "'equal_loss' needs 'until_loss'"],
        ),
        ("model_sets/mixed_000", ["squeezenet1_1"], ["model_sets.mixed_000", "'mixed' draws"]),
        ("recipes/main/budget/total_steps", 20, ["'main'", "3 models", "turn of 10"]),
    ],
)
def test_error_names_key_value_and_what_is_allowed(path, value, said):
    with pytest.raises(ConfigurationError) as caught:
        plan_of(with_change(path, value), ROOT)
    assert all(word in str(caught.value) for word in said), str(caught.value)


def test_an_experiment_without_a_kind_is_told_which_there_are():
    config = with_change("experiments/main/kind", None)
    del config["experiments"]["main"]["kind"]
    with pytest.raises(ConfigurationError, match=r"'experiments\.main': 'kind' is a required"):
        plan_of(config, ROOT)


SCRIPT = "</script><script>alert(1)</script>"


@pytest.mark.parametrize("path", ["set_labels/lite_pair", "recipe_labels", "data/path"])
def test_markup_in_a_text_of_the_configuration_is_refused(path):
    value = {SCRIPT: "a recipe"} if path == "recipe_labels" else SCRIPT
    with pytest.raises(ConfigurationError, match=f"{path.split('/')[0]}.*holds '<' or '>'"):
        plan_of(with_change(path, value), ROOT)


@pytest.mark.parametrize("key", ["label", "note"])
def test_markup_in_a_row_of_the_zoo_is_refused(key):
    rows = ZOO | {"squeezenet1_1": ZOO["squeezenet1_1"] | {key: SCRIPT}}
    with pytest.raises(ConfigurationError, match=rf"squeezenet1_1\.{key}.*holds '<' or '>'"):
        require(CONFIG, rows, ROOT)


def test_all_errors_come_in_one_list():
    config = with_change("model_sets/lite_pair", ["resnet"])
    config["experiments"]["main"]["stages"] = ["deep"]
    config["evaluators"] = ["vgg"]
    with pytest.raises(ConfigurationError, match="3 errors") as caught:
        require(config, ZOO, ROOT)
    assert str(caught.value).count("\n") == 3


LBFGS = {"optimizer": "lbfgs", "ensemble": "mean_gradient", "gradient": "raw"}


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("recipes/main/optimizer", "newton", ["recipes.main.optimizer", "newton", "lbfgs"]),
        ("recipes/main/optimizer", "lbfgs", ["recipes.main", "needs ensemble 'mean_gradient'"]),
        ("recipes/spare", {"optimizer": "lbfgs"}, ["recipes.spare", "'round_robin'"]),
        ("recipes/main/loss", {"reduction": "sum"}, ["recipes.main", "'loss' was unexpected"]),
        (
            "recipes/main/budget",
            {"until_loss": 0.1, "steps_per_turn": 2},
            ["recipes.main.budget", "at_most"],
        ),
        (
            "recipes/main/budget",
            {"until_loss": 0.1, "total_steps": 90, "steps_per_turn": 2},
            ["recipes.main", "'total_steps', 'until_loss'", "'at_most'"],
        ),
    ],
)
def test_optimizer_or_budget_that_cannot_work_is_refused(path, value, said):
    with pytest.raises(ConfigurationError) as caught:
        require(with_change(path, value), ZOO, ROOT)
    assert all(part in str(caught.value) for part in said), caught.value


def test_lbfgs_within_an_l2_ball_is_refused_before_any_work():
    config = with_change("bounds/unbounded", {"norm": "l2", "center": "initial", "radius": 5})
    config["recipes"]["main"] |= LBFGS
    with pytest.raises(
        ConfigurationError, match=r"'lbfgs', which needs .* bound 'unbounded' is an"
    ):
        require(config, ZOO, ROOT)


def test_lbfgs_with_a_target_within_linf_is_right():
    config = with_change("bounds/unbounded/radius", 0.1)
    budget = {"until_loss": 0.1, "at_most": 300, "steps_per_turn": 10}
    config["recipes"]["main"] |= LBFGS | {"budget": budget}
    require(config, ZOO, ROOT)


def test_an_error_of_the_schema_hides_no_other():
    config = with_change("seed", "zero")
    config["stages"]["late"] = 2
    config["evaluators"] = ["vgg"]
    with pytest.raises(ConfigurationError, match="3 errors"):
        require(config, ZOO, ROOT)


def test_only_rows_that_are_used_are_checked():
    rows = {name: ZOO[name] for name in CONFIG["evaluators"]}
    require(with_change("model_sets/unused", ["nosuch"]), rows | {"broken": None}, ROOT)
    with pytest.raises(ConfigurationError, match=r"zoo, key 'squeezenet1_1'"):
        require(CONFIG, rows | {"squeezenet1_1": {"label": "x"}}, ROOT)


def test_a_declared_set_with_the_name_of_a_member_alone_is_refused():
    config = with_change("experiments/main/members_alone", True)
    config["model_sets"]["alone_squeezenet1_1"] = ["squeezenet1_1", "efficientnet_lite0"]
    with pytest.raises(ConfigurationError, match=r"model_sets\.alone_squeezenet1_1.*members_alone"):
        require(config, ZOO, ROOT)


def test_a_key_that_is_no_text_hides_no_other_error():
    config = with_change("seed", "zero")
    config["stages"][3] = 0.5
    with pytest.raises(ConfigurationError, match=r"'stages\.3'[\s\S]*'seed'"):
        require(config, ZOO, ROOT)
