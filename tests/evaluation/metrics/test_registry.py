"""The cards of measures: complete, torch-free, and true about their metrics."""

import re
import subprocess
import sys

import pytest

from metamers.evaluation.metrics import registry
from metamers.evaluation.metrics.registry import MEASURES, TABLE_1, WEIGHTS


def test_the_nine_of_table_1_have_cards_under_their_own_names():
    assert len(TABLE_1) == 9
    assert set(TABLE_1) <= set(MEASURES)


def test_directions_are_those_that_the_metrics_are_defined_with():
    directions = {name: MEASURES[name].better for name in TABLE_1}
    assert directions == {
        "fid": "down",
        "ssim": "up",
        "psnr": "up",
        "vif": "up",
        "lpips": "down",
        "rase": "down",
        "scc": "up",
        "tv": "neither",
        "clip_iqa": "up",
    }


def test_cards_say_what_they_are():
    for name, card in MEASURES.items():
        assert card.name == name
        assert card.label
        assert card.range
        assert card.definition
        assert card.library
        assert card.source


def test_labels_are_unique():
    labels = [card.label for card in MEASURES.values()]
    assert len(set(labels)) == len(labels)


def test_weights_that_cards_ask_for_are_declared_and_identified():
    asked = {card.weights for card in MEASURES.values() if card.weights}
    assert asked == set(WEIGHTS)
    for weights in WEIGHTS.values():
        assert weights.url.startswith("https://")
        assert weights.url.endswith(weights.file)
        assert re.fullmatch(r"[0-9a-f]{8,64}", weights.sha256 or weights.sha256_prefix)


def test_weights_carry_the_hash_that_their_publisher_put_into_the_name():
    for key in ("inception", "alexnet"):
        assert WEIGHTS[key].file.endswith(f"-{WEIGHTS[key].sha256_prefix}.pth")
    assert f"/{WEIGHTS['clip_rn50'].sha256}/" in WEIGHTS["clip_rn50"].url


def test_a_classifier_as_network_is_named_and_never_called_fid_or_lpips():
    for card in registry.feature_cards("resnet50", "ResNet-50"):
        assert card.name.endswith("_resnet50")
        assert card.label.endswith("(ResNet-50)")
        assert card.label.split()[0] not in {"FID", "LPIPS", "KID"}


def test_a_card_is_found_for_any_network():
    assert registry.card("psnr") is MEASURES["psnr"]
    assert registry.card("frechet_squeezenet1_1").label == "Fréchet distance (squeezenet1_1)"


@pytest.mark.parametrize(
    ("name", "takes"),
    [("frechet_resnet50", True), ("kid_vgg19", True), ("fid", False), ("frechet_", False)],
)
def test_measures_in_features_of_a_classifier_are_known(name, takes):
    assert registry.takes_a_classifier(name) == takes


@pytest.mark.parametrize("name", ["frechet", "frechet_", "ssim_resnet50", "FID", ""])
def test_an_unknown_measure_is_refused(name):
    with pytest.raises(ValueError, match="no measure is called"):
        registry.card(name)


def test_floor_of_a_distance_is_named_after_it():
    assert registry.floor_of("fid") == "fid_floor"
    assert registry.card(registry.floor_of("frechet_vgg19")).name == "floor_vgg19"
    assert registry.floor_of("kid_vgg19") == registry.floor_of("ssim") == ""


def test_cards_are_read_without_torch():
    code = "import sys, metamers.evaluation.metrics.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
