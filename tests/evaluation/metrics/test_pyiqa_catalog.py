"""pyiqa's metrics by name: cards, values, and what is refused."""

import socket

import pytest
import torch
from fixtures import ROOT

from metamers.config import validation
from metamers.evaluation.metrics import compute, pyiqa_catalog, registry
from metamers.preflight import inputs

pytestmark = pytest.mark.filterwarnings("ignore")

NAMES = ("pyiqa:gmsd", "pyiqa:piqe", "pyiqa:ms_ssim")


@pytest.fixture(scope="module")
def measured():
    generator = torch.Generator().manual_seed(0)
    references = torch.rand(3, 3, 192, 192, generator=generator)
    noise = torch.rand(references.shape, generator=generator)
    metamers = (0.8 * references + 0.2 * noise).clamp(0, 1)
    tools = compute.instruments(further=[*NAMES, "pyiqa:niqe", "pyiqa:topiq_fr"])
    frame = compute.measure(metamers, references, ["a", "b", "c"], tools, batch_size=2)
    return metamers, references, frame


@pytest.mark.parametrize("name", NAMES)
def test_values_are_those_of_pyiqa_image_by_image(measured, name):
    import pyiqa

    metamers, references, frame = measured
    theirs = pyiqa.create_metric(name.removeprefix("pyiqa:"))
    pairs = zip(metamers.split(1), references.split(1), strict=True)
    with torch.inference_mode():
        expected = [
            float(theirs(*pair) if theirs.metric_mode == "FR" else theirs(pair[0]))
            for pair in pairs
        ]
    rows = frame[frame["measure"] == name]
    assert set(rows["status"]) == {"computed"}
    assert rows["value"].to_list() == pytest.approx(expected, rel=1e-4)


def test_a_metric_that_needs_weights_says_so_and_fetches_nothing(measured):
    rows = measured[2]
    rows = rows[rows["measure"].isin(["pyiqa:topiq_fr", "pyiqa:niqe"])]
    assert len(rows) == 6
    assert rows["value"].isna().all()
    assert rows["status"].str.contains("weights missing").all()


def test_making_a_metric_leaves_connections_and_loading_as_they_were():
    before = socket.socket.connect, torch.load
    pyiqa_catalog.metric("pyiqa:topiq_fr", "cpu")
    assert (socket.socket.connect, torch.load) == before


def test_card_has_direction_and_range_of_pyiqa():
    gmsd, ssim = registry.card("pyiqa:gmsd"), registry.card("pyiqa:ms_ssim")
    assert (gmsd.better, gmsd.range, ssim.better) == ("down", "0 to ~1", "up")


def test_an_unknown_name_is_refused_before_any_job():
    config = validation.read([], ROOT / "config/config.yaml")
    config["evaluation"]["metrics"] = ["pyiqa:gmds"]
    found = inputs.missing(config, {})
    assert any("pyiqa has no metric 'gmds'" in problem for problem in found)
