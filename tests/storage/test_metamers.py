"""Metamers on disk."""

from dataclasses import replace

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
    counts = 10 * np.arange(n), 30 * np.arange(n)
    settings = {"budget": {"until_loss": 1.5, "at_most": 90, "steps_per_turn": 10}}
    notes = {"condition": condition, "seed": 1, "settings": settings}
    return Metamers(ids, ["x", "y"], floats, pixels, losses, losses + 1, losses + 2, *counts, notes)


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


def test_rows_say_what_each_image_took_and_which_member_did_not_reach_the_target():
    rows = metamers.loss_rows(made(["a", "b"]), CONDITION)
    assert [(row["steps"], row["evaluations"]) for row in rows] == [(0, 0)] * 2 + [(10, 30)] * 2
    # Losses of the 8-bit images are 2, 3, 4, 5 in `made`; here the first is below the target.
    low = metamers.loss_rows(replace(made(["a"]), losses_stored=np.array([[1.5, 3.0]])), CONDITION)
    assert [(row["target"], row["reached"]) for row in low] == [(1.5, True), (1.5, False)]


def test_rows_of_a_fixed_number_of_steps_have_no_target():
    fixed = {"settings": {"budget": {"total_steps": 90, "steps_per_turn": 10}}}
    one = made(["a"])
    row, _ = metamers.loss_rows(replace(one, notes={**one.notes, **fixed}), CONDITION)
    assert (row["target"], row["reached"]) == (None, None)


def test_digest_follows_pixels_and_ids():
    one = metamers.content_digest(made(["a", "b"]))
    assert one == metamers.content_digest(made(["a", "b"]))
    assert one != metamers.content_digest(made(["a", "c"]))
