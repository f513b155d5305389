"""What a run lacks besides its configuration: said in one message, before any job."""

import copy

import pytest
import yaml
from fixtures import ROOT

from metamers.preflight import inputs

CONFIG = yaml.safe_load((ROOT / "config/config.yaml").read_text())
ZOO = yaml.safe_load((ROOT / "config/models.yaml").read_text())
EMBEDDED = {name: ZOO[name] for name in CONFIG["evaluators"]}


def changed(**sections):
    return copy.deepcopy(CONFIG) | sections


def test_quickstart_lacks_nothing():
    assert inputs.missing(CONFIG, EMBEDDED) == []


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"data": {"source": "folder", "path": "/nowhere"}}, ["'data'", "/nowhere"]),
        ({"references": {"photographs": {"limit": 21}}}, ["'data'", "21", "20"]),
        ({"references": {"photographs": {"limit": 2}}}, ["references.photographs", "2 images"]),
        ({"shards": 21}, ["references.photographs", "20 images", "21 shards"]),
    ],
)
def test_missing_images_are_named(sections, said):
    (problem,) = inputs.missing(changed(**sections), EMBEDDED)
    assert all(word in problem for word in said), problem


def test_weights_that_cannot_be_fetched_come_in_one_table(monkeypatch, tmp_path):
    monkeypatch.setenv("METAMERS_OFFLINE", "1")
    rows = {name: ZOO[name] for name in ("resnet18", "vgg19", "efficientnet_lite0")}
    (table,) = inputs.missing(changed(weights_cache=str(tmp_path)), rows)
    assert "weights are missing, 2 in all" in table
    assert "resnet18-f37072fd.pth" in table
    assert "vgg19-dcbb9e9d.pth" in table


def test_weights_that_can_be_fetched_are_not_missing(monkeypatch, tmp_path):
    monkeypatch.delenv("METAMERS_OFFLINE", raising=False)
    config = changed(weights_cache=str(tmp_path))
    assert inputs.missing(config, {"resnet18": ZOO["resnet18"]}) == []


def test_all_that_is_missing_is_said_at_once(monkeypatch, tmp_path):
    monkeypatch.setenv("METAMERS_OFFLINE", "1")
    config = changed(data={"source": "folder", "path": "/nowhere"}, weights_cache=str(tmp_path))
    with pytest.raises(inputs.MissingInputsError) as caught:
        inputs.require(config, {"vgg19": ZOO["vgg19"]})
    assert "/nowhere" in str(caught.value)
    assert "vgg19-dcbb9e9d.pth" in str(caught.value)
