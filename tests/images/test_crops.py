"""Crops of photographs: their ids, their squares, and what is counted by photographs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from judged import MEMBERS, condition, recognition

from metamers.analysis import recognizability
from metamers.evaluation import accuracy
from metamers.images import crops, preprocessing, sources
from metamers.images import references as images
from metamers.images.errors import ImagesError
from metamers.images.sources import Candidate

PREPROCESSING = {"size": 48, "crop": 0.875, "interpolation": "bicubic"}
EMBEDDED = {"source": "embedded"}


@pytest.fixture(scope="module")
def prepared():
    return images.prepare(EMBEDDED, PREPROCESSING, "crops", {"limit": 3, "crops_per_image": 10}, 0)


def test_each_photograph_gives_so_many_different_images(prepared):
    rows, pixels = prepared
    assert pixels.shape == (30, 3, 48, 48)
    assert len({center_crop.tobytes() for center_crop in pixels}) == 30
    ids = [row.image_id for row in rows]
    assert np.bincount(crops.photographs(ids)).tolist() == [10, 10, 10]
    assert len({crops.photograph_of(name) for name in ids}) == 3
    assert ids[0] == crops.crop_id(crops.photograph_of(ids[0]), 0)


def test_manifest_says_that_images_are_crops(prepared):
    rows, _ = prepared
    assert all("one of several crops of the photograph" in row.crop for row in rows)
    assert len({(row.crop, row.source) for row in rows}) == 30
    assert len({row.sha256 for row in rows}) == 3
    assert all(row.label is not None for row in rows)


def test_crops_depend_on_the_seed_and_their_id_alone(prepared):
    rows, pixels = prepared
    fewer, again = images.prepare(
        EMBEDDED, PREPROCESSING, "other", {"limit": 2, "crops_per_image": 4}, 0
    )
    at = {row.image_id: center_crop for row, center_crop in zip(rows, pixels, strict=True)}
    for row, center_crop in zip(fewer, again, strict=True):
        np.testing.assert_array_equal(center_crop, at[row.image_id])
    first = crops.window("a", 0, seed=0)
    assert first == crops.window("a", 0, seed=0)
    assert (
        len({first, crops.window("a", 0, 1), crops.window("a", 1, 0), crops.window("b", 0, 0)}) == 4
    )


def test_windows_lie_within_the_photograph():
    windows = [crops.window("a", k, seed=5) for k in range(200)]
    assert all(crops.SIDES[0] <= w.side <= crops.SIDES[1] for w in windows)
    assert all(0 <= w.left <= 1 and 0 <= w.top <= 1 for w in windows)


def test_a_crop_is_the_square_that_it_says(tmp_path):
    from PIL import Image

    ramp = np.tile(np.arange(200, dtype=np.uint8), (100, 1))
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    settings = preprocessing.Preprocessing(50, 1.0, "bilinear")
    content = (tmp_path / "ramp.png").read_bytes()
    window = crops.Window(side=0.5, left=1.0, top=0.0)
    center_crop, note = preprocessing.window_crop(content, settings, window, "ramp")
    assert note.startswith("L to RGB; 50x50 from 150,0 of 200x100 to 50x50")
    np.testing.assert_array_equal(center_crop[0], ramp[:50, 150:])


def test_an_image_that_is_named_as_a_crop_is_refused():
    named = [Candidate("a#crop001", Path("a#crop001.png"), "a#crop001.png")]
    with pytest.raises(ImagesError, match="'a#crop001', which ends as a crop's does"):
        sources._refuse_names(named)


def test_a_number_of_crops_is_at_least_one():
    with pytest.raises(ImagesError, match="crops_per_image is 0; expected a number from 1"):
        images.prepare(EMBEDDED, PREPROCESSING, "crops", {"crops_per_image": 0}, 0)


def judged_crops():
    """Ten photographs with six crops each, all of which are recognised alike."""
    shares = {condition("pair", "late"): dict.fromkeys(("a", "b", "c", "twin"), 0.5)}
    whole = recognition(shares, MEMBERS, n_images=10)
    parts = [
        whole.assign(image_id=[crops.crop_id(str(name), k) for name in whole["image_id"]])
        for k in range(6)
    ]
    return whole, pd.concat(parts, ignore_index=True), list(shares)


def test_intervals_are_those_of_the_photographs():
    whole, cropped, conditions = judged_crops()
    one, other = (
        recognizability.by_set(frame, {"main": conditions}, seed=0) for frame in (whole, cropped)
    )
    assert set(one["n_images"]) == {10}
    assert set(other["n_images"]) == {60}
    pd.testing.assert_frame_equal(one.drop(columns="n_images"), other.drop(columns="n_images"))


def test_photographs_with_unequal_crops_are_refused():
    _, cropped, conditions = judged_crops()
    lacking = cropped[cropped["image_id"] != cropped["image_id"].iloc[0]]
    with pytest.raises(ValueError, match="from 5 to 6 crops"):
        recognizability.by_set(lacking, {"main": conditions}, seed=0)


def test_accuracy_of_crops_has_the_interval_of_their_photographs():
    references = pd.DataFrame(
        {"references": "r", "image_id": [crops.crop_id(f"i{k // 4}", k % 4) for k in range(40)]}
    ).assign(label=1)
    answers = references.drop(columns="label").assign(evaluator="net", predicted=[1, 0] * 20)
    found = accuracy.check(answers, references, {"net": {}}, {"margin": 0.5}).iloc[0]
    assert found["accuracy"] == 0.5
    assert (found["low"], found["high"]) == pytest.approx((0.2366, 0.7634), abs=1e-4)  # 5 of 10
