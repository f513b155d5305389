"""Metamers on disk."""

import numpy as np
import pytest
import torch

from metamers.storage import metamers
from metamers.storage.metamers import Metamers

CONDITION = {"references": "r", "recipe": "m", "model_set": "s", "stage": "late", "bound": "b"}


def made(ids, condition=CONDITION):
    n = len(ids)
    floats = torch.rand((n, 3, 4, 4), generator=torch.Generator().manual_seed(n))
    losses = np.arange(2.0 * n).reshape(n, 2)
    pixels = (floats * 255).round().to(torch.uint8)
    notes = {"condition": condition, "seed": 1}
    return Metamers(ids, ["x", "y"], floats, pixels, losses, losses + 1, losses + 2, notes)


def test_file_gives_back_what_was_saved(tmp_path):
    first = made(["b", "a"])
    metamers.save(tmp_path / "m.safetensors", first)
    read = metamers.load(tmp_path / "m.safetensors")
    assert read.image_ids == ["a", "b"]
    assert torch.equal(read.floats, first.floats[[1, 0]])
    assert torch.equal(read.pixels, first.pixels[[1, 0]])
    np.testing.assert_array_equal(read.losses_after, first.losses_after[[1, 0]])
    assert read.notes == first.notes


def test_shards_of_a_condition_are_joined(tmp_path):
    paths = [tmp_path / "0", tmp_path / "1"]
    for path, ids in zip(paths, (["a", "c"], ["b"]), strict=True):
        metamers.save(path, made(ids))
    assert metamers.load(paths).image_ids == ["a", "b", "c"]


def test_shards_of_two_conditions_are_refused(tmp_path):
    metamers.save(tmp_path / "0", made(["a"]))
    metamers.save(tmp_path / "1", made(["b"], CONDITION | {"stage": "early"}))
    with pytest.raises(ValueError, match="early"):
        metamers.load([tmp_path / "0", tmp_path / "1"])


def test_image_in_two_shards_is_refused(tmp_path):
    for name in "01":
        metamers.save(tmp_path / name, made(["a"]))
    with pytest.raises(ValueError, match="two of the shards"):
        metamers.load([tmp_path / "0", tmp_path / "1"])


def test_rows_have_one_loss_per_image_and_member():
    rows = metamers.loss_rows(made(["a", "b"]), CONDITION)
    assert [(row["image_id"], row["model"], row["loss_before"]) for row in rows] == [
        ("a", "x", 0.0),
        ("a", "y", 1.0),
        ("b", "x", 2.0),
        ("b", "y", 3.0),
    ]


def test_digest_follows_pixels_and_ids():
    one = metamers.content_digest(made(["a", "b"]))
    assert one == metamers.content_digest(made(["a", "b"]))
    assert one != metamers.content_digest(made(["a", "c"]))
