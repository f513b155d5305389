"""Configurations that were changed at random: a plan that can be carried out, or the list."""

import copy
import datetime
import json
import os
import time
from pathlib import Path

import pytest
import yaml
from fixtures import ROOT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metamers.config import validation
from metamers.config.canonical import canonical
from metamers.config.validation import ConfigurationError
from metamers.models import zoo
from metamers.synthesis import settings as synthesis
from metamers.synthesis.settings import Bound

EXAMPLES = int(os.environ.get("METAMERS_MUTATIONS", "500"))  # for each of the two files
SECONDS = 5.0
ROWS = zoo.read(ROOT / "config/models.yaml")


def cycle():
    itself = {}
    itself["again"] = itself
    return itself


def explosion():
    value = ["x"] * 10
    for _ in range(12):
        value = [value] * 10
    return value


SPECIAL = [
    *(None, True, False, 0, 1, 2, 3, 29, 31, 999, 1000, -1, 10**9, 10**18, 10**400, 4.0e4, 10.0),
    *(0.5, -0.0, 1e-320, 1e308, float("nan"), float("inf"), -float("inf"), [2.0, 3], [3, 2]),
    *([1, 29], [1, 31], [1, 10**9], [0, 1], [], {}, [[]], "", "all", "1/0", "8/255", "a\n", "\0"),
    *("1" + "0" * 400 + "/1", "1/1" + "0" * 400, "a" * 5000, "nosuch.yaml", "main", "mixed_000"),
    *("reference", "per_model", "photographs", {1: "x"}, {None: {}}, {"kind": "reference"}),
    *({"count": "all", "sizes": [1, 29]}, {"total_steps": 10**9, "steps_per_turn": 1}),
    *({"per_model": 10**15, "steps_per_turn": 1}, datetime.date(2020, 1, 1), b"bytes"),
    *({"kind": "gaussian", "center": 0.5, "sd": 1}, ["worst_model"], ["resnet18"], 1.0),
]
VALUES = st.one_of(
    st.sampled_from(SPECIAL),
    st.builds(cycle),
    st.builds(explosion),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
)


def places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield from places(item, (*path, key)) if isinstance(item, dict | list) else [(*path, key)]


@st.composite
def mutations(draw, start):
    config = copy.deepcopy(start)
    for _ in range(draw(st.integers(1, 3))):
        plain = [place for place in places(start) if place]
        *parents, last = draw(st.sampled_from(plain))
        container = config
        try:
            for key in parents:
                container = container[key]
            container[last]
        except (KeyError, IndexError, TypeError):
            continue
        if not isinstance(container, dict | list):
            continue
        how = draw(st.sampled_from(["replace", "replace", "replace", "delete", "add", "swap"]))
        if how == "delete":
            del container[last]
        elif how == "swap":
            other = draw(st.sampled_from(plain))
            found = start
            for key in other:
                found = found[key]
            container[last] = copy.deepcopy(found)
        elif how == "add" and isinstance(container, dict):
            name = draw(st.sampled_from([1, None, "x", "mixed_000", "a\n", "n" * 5000, "kind"]))
            container[name] = draw(VALUES)
        else:
            container[last] = draw(VALUES)
    return config


def make_all_params(plan):
    """Make what each job of a plan is given, as the rules do."""
    config, seen = plan.config, set()
    for condition in plan.conditions:
        wildcards = condition.columns()
        members = zoo.specs({row["name"]: row for row in plan.members(wildcards)})
        chosen = synthesis.SynthesisSettings.of(plan.settings(wildcards))
        if (condition.recipe, len(members)) not in seen:
            seen.add((condition.recipe, len(members)))
            synthesis.turns(chosen, len(members), config["seed"])
        Bound.of(canonical(config["bounds"][condition.bound]))
        assert 0 < config["stages"][condition.stage] <= 1
    for batch in plan.batches:
        plan.batch({"batch": batch})
        plan.batch_power({"batch": batch})
    for model in plan.models:
        zoo.specs({model: plan.row({"model": model})})
    assert len(plan.batches) <= 999
    assert plan.tables is not None
    assert plan.figures is not None
    assert plan.shards
    json.dumps(canonical(config), allow_nan=False)


def plan_or_refusal(config):
    try:
        return validation.plan_of(config, ROOT)
    except ConfigurationError:
        return None


def whole(name):
    overlays = [ROOT / "config/paper.yaml"] if name == "paper" else []
    return validation.read(overlays, ROOT / "config/config.yaml")


@pytest.fixture(autouse=True)
def _read_the_zoo_once(monkeypatch):
    read = validation.read_mapping
    monkeypatch.setattr(
        validation,
        "read_mapping",
        lambda path: ROWS if path == ROOT / "config/models.yaml" else read(path),
    )


@pytest.mark.parametrize("name", ["config", "paper"])
def test_a_changed_configuration_has_a_plan_or_a_list_of_errors(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    accepted = refused = 0

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(mutations(whole(name)))
    def check(config):
        nonlocal accepted, refused
        begun = time.process_time()
        plan = plan_or_refusal(config)
        if plan is None:
            refused += 1
        else:
            accepted += 1
            make_all_params(plan)
        assert time.process_time() - begun < SECONDS

    check()
    assert accepted > EXAMPLES / 50
    assert refused > EXAMPLES / 4


@pytest.mark.parametrize(
    "text",
    [
        "run: a\nrun: b\n",
        "a: &a [*a]\n",
        "a: &a {b: *a}\n",
        "[" * 2000,
        "a: " + "1" * 5000,
        "a: *b\n",
        "[1, 2]\n",
        "",
        "a: !!python/object/apply:os.system [ls]\n",
        "\x00",
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 10)}]\n"
            for i in range(9)
        ),
    ],
)
def test_a_file_that_cannot_be_read_as_keys_and_values_is_named(text, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    begun = time.process_time()
    with pytest.raises(ConfigurationError, match=r"mine\.yaml"):
        validation.read([path], ROOT / "config/config.yaml")
    assert time.process_time() - begun < SECONDS


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(ConfigurationError, match=r"nope\.yaml.*No such file"):
        validation.read([Path("nope.yaml")], ROOT / "config/config.yaml")


def test_merged_anchors_are_no_repeated_keys():
    text = (ROOT / "config/ablation.yaml").read_text()
    merged = validation.read([ROOT / "config/ablation.yaml"], ROOT / "config/config.yaml")
    assert merged["recipes"]["halving"] == yaml.safe_load(text)["recipes"]["halving"]
