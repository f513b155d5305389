"""The accuracy gate."""

import pandas as pd
import pytest
import torch
import yaml
from fixtures import ROOT

from metamers.evaluation import accuracy, reference_answers
from metamers.images import references as images
from metamers.models.weights.cache import cache_folder

ZOO = yaml.safe_load((ROOT / "config/models.yaml").read_text())
GATE = {"margin": 0.6}


def tables_of(right, n, labelled=True):
    ids = [f"i{k:03d}" for k in range(n)]
    labels = [5 if labelled else None] * n
    references = pd.DataFrame({"references": "r", "image_id": ids, "label": labels})
    predicted = [5 if k < right else 6 for k in range(n)]
    answers = pd.DataFrame(
        {"references": "r", "image_id": ids, "evaluator": "net", "predicted": predicted}
    )
    return answers, references


def verdict(right, n, top1, labelled=True):
    row = {"net": {"accuracy": {"top1": top1, "source": "its paper"}}}
    found = accuracy.check(*tables_of(right, n, labelled), row, GATE)
    return found["verdict"].item()


@pytest.mark.parametrize(
    ("right", "n", "top1", "expected"),
    [
        (15, 20, 0.75, "as expected"),
        (8, 20, 0.75, "as expected"),  # too few images to tell
        (0, 20, 0.75, "far below"),
        (170, 400, 0.75, "as expected"),  # 0.425, interval up to 0.474; 0.45 is asked for
        (150, 400, 0.75, "far below"),  # 0.375, interval up to 0.423
        (0, 20, 0.001, "not judged: random weights"),
        (0, 20, None, "not judged: the row expects nothing"),
    ],
)
def test_verdict(right, n, top1, expected):
    assert verdict(right, n, top1) == expected


def test_images_without_labels_judge_nobody():
    assert verdict(0, 20, 0.75, labelled=False) == "not judged: no image has a label"


def test_error_gives_the_number_and_the_row():
    row = {"net": {"accuracy": {"top1": 0.75, "source": "its paper"}}}
    found = accuracy.check(*tables_of(0, 20), row, GATE)
    with pytest.raises(accuracy.AccuracyError, match=r"net: 0 of 20 right.*0\.750 \(its paper\)"):
        accuracy.require(found)


@pytest.fixture(scope="module")
def photographs():
    preprocessing = {"size": 224, "crop": 0.875, "interpolation": "bicubic"}
    rows, pixels = images.prepare({"source": "embedded"}, preprocessing, "all", {}, seed=0)
    references = pd.DataFrame([vars(row) for row in rows])
    return references, {"all": ([row.image_id for row in rows], torch.from_numpy(pixels))}


def clean(photographs, name, **changes):
    references, draws = photographs
    row = {"name": name} | ZOO[name] | changes
    answers = reference_answers.predict_references(
        [row], draws, {"late": 0.8}, cache_folder(None), torch.device("cpu"), 20, chunk_size=4
    )
    return accuracy.check(answers, references, {name: row}, GATE)


@pytest.mark.parametrize(
    ("name", "n_right"),
    [
        # Independent: the same files in their packages' own implementations, at 224 px, crop 0.875
        ("efficientnet_lite0", 18),
        ("efficientnet_lite1", 19),
        ("efficientnet_lite2", 18),
        ("squeezenet1_1", 15),
    ],
)
@pytest.mark.usefixtures("embedded_weights")
def test_embedded_models_name_the_embedded_photographs(photographs, name, n_right):
    found = clean(photographs, name)
    assert found["n_right"].item() == n_right
    assert found["verdict"].item() == "as expected"


@pytest.mark.parametrize(
    ("name", "normalisation"),
    [
        ("squeezenet1_1", {"mean": [104.0, 116.7, 122.7], "std": [1.0, 1.0, 1.0]}),
        ("efficientnet_lite0", {"mean": [127.0] * 3, "std": [128.0] * 3}),
    ],
)
def test_broken_normalisation_stops_the_run(photographs, name, normalisation):
    found = clean(photographs, name, normalisation=normalisation)
    assert found["verdict"].item() == "far below"
    with pytest.raises(accuracy.AccuracyError, match=name):
        accuracy.require(found)
