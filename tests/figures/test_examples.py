"""Figure 2: which photographs are shown, and how."""

import base64
import dataclasses
import io

import numpy as np
import pandas as pd
import pytest
import torch
from figure_inputs import SIZE, figure_inputs, svg, with_pictures
from PIL import Image

from metamers.figures.examples import examples, instructive, thumbnail


@pytest.fixture
def inputs(tmp_path):
    made = figure_inputs(dataclasses.replace(SIZE, sets=2))
    made.tables["recognition"] = made.table("recognition").assign(recognised=True)
    return with_pictures(made, tmp_path)


def picture_of(address):
    return Image.open(io.BytesIO(base64.b64decode(address.split(",")[1])))


def test_a_thumbnail_is_the_picture():
    image = np.random.default_rng(0).integers(0, 256, (3, 6, 5), dtype=np.uint8)
    shown = np.asarray(picture_of(thumbnail(torch.from_numpy(image), 8)))
    assert np.array_equal(shown.transpose(2, 0, 1), image)


def test_a_thumbnail_is_no_larger_than_its_side():
    image = torch.zeros(3, 40, 20, dtype=torch.uint8)
    assert picture_of(thumbnail(image, 10)).size == (5, 10)


def test_every_picture_and_its_reference_is_shown_and_counted(inputs):
    metamers, images = len(inputs.conditions) * 3, 3
    drawn = svg(examples(inputs))
    assert drawn.count("data:image/png") == metamers + 2 * images
    assert drawn.count(">3 / 3<") == drawn.count(">2 / 2<") == metamers / 2


def test_metamers_of_other_experiments_are_not_shown(inputs):
    other = dataclasses.replace(SIZE, sets=1)
    plan = figure_inputs(other).plan
    assert len(plan.conditions) < len(inputs.metamers)
    drawn = svg(examples(dataclasses.replace(inputs, plan=plan)))
    assert drawn.count("data:image/png") == 3 * len(plan.conditions) + 3


def test_images_with_a_label_are_named_by_their_class(inputs):
    inputs.tables["references"] = pd.DataFrame({"image_id": ["image_0"], "label": [1]})
    assert "goldfish (image_0)" in svg(examples(inputs))


def test_examples_are_the_best_the_middle_and_the_least_recognised():
    shares = {"a": 0, "b": 3, "c": 1, "d": 2, "e": 0}  # of four held-out judges
    held_out = pd.DataFrame(
        {"image_id": image, "recognised": judge < share}
        for image, share in shares.items()
        for judge in range(4)
    )
    assert instructive(list(shares), held_out) == ["b", "d", "e"]
    assert instructive(["b"], held_out) == ["b"]
