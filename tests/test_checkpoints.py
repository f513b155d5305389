"""Checkpoints: exact, whole, and refused when they are another job's or damaged."""

import logging

import numpy as np
import pytest
import torch

from metamers.bounds import Bound
from metamers.checkpoints import Checkpoint, Progress, write_whole
from metamers.recipes import Settings
from metamers.synthesis import State, synthesize

RECIPE = Settings.of({"preset": "paper", "budget": {"total_steps": 12, "steps_per_turn": 2}})
CPU = torch.device("cpu")


@pytest.fixture
def progress(networks, references, image_ids):
    bound = Bound("linf", "initial", 10_000)
    states = []
    whole = synthesize(
        networks,
        references,
        image_ids,
        bound,
        RECIPE,
        on_turn=lambda s: states.append(State(s.turn, s.images.clone(), list(s.records))),
    )
    return Progress([whole], states[2])


def same_records(one, other):
    return len(one) == len(other) and all(
        (a.turn, a.step, a.rate) == (b.turn, b.step, b.rate)
        and np.array_equal(a.models, b.models)
        and np.array_equal(a.losses, b.losses)
        for a, b in zip(one, other, strict=True)
    )


def test_what_is_read_is_what_was_written(tmp_path, progress):
    checkpoint = Checkpoint(tmp_path / "a" / "b.safetensors", "job", CPU)
    checkpoint.save(progress)
    read = checkpoint.load()
    assert torch.equal(read.current.images, progress.current.images)
    assert read.current.turn == progress.current.turn
    assert same_records(read.current.records, progress.current.records)
    assert torch.equal(read.finished[0].metamers, progress.finished[0].metamers)
    assert np.array_equal(read.finished[0].losses_after, progress.finished[0].losses_after)
    assert same_records(read.finished[0].records, progress.finished[0].records)


def test_no_file_means_no_progress(tmp_path):
    assert Checkpoint(tmp_path / "none", "job", CPU).load() == Progress()


def refused(caplog, checkpoint, reason):
    with caplog.at_level(logging.WARNING):
        assert checkpoint.load() == Progress()
    assert reason in caplog.text
    assert not checkpoint.path.exists()
    return checkpoint.path.with_name(checkpoint.path.name + ".refused-1")


def test_checkpoint_of_another_job_is_set_aside(tmp_path, progress, caplog):
    path = tmp_path / "c"
    Checkpoint(path, "job", CPU).save(progress)
    aside = refused(
        caplog, Checkpoint(path, "other", CPU), "belongs to another job, job, not other"
    )
    assert aside.exists()


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text"])
def test_damaged_checkpoint_is_set_aside(tmp_path, progress, caplog, damage):
    checkpoint = Checkpoint(tmp_path / "c", "job", CPU)
    checkpoint.save(progress)
    content = bytearray(checkpoint.path.read_bytes())
    content[len(content) // 2] ^= 1
    damaged = {
        "cut": bytes(content[: len(content) // 2]),
        "flip": bytes(content),
        "empty": b"",
        "text": b"<html>not found</html>",
    }
    checkpoint.path.write_bytes(damaged[damage])
    aside = refused(caplog, checkpoint, "it is damaged")
    assert aside.read_bytes() == damaged[damage]


def test_a_write_that_is_cut_short_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "c"
    write_whole(path, b"old")

    def power_cut(descriptor):
        raise OSError("power cut")

    monkeypatch.setattr("metamers.checkpoints.os.fsync", power_cut)
    with pytest.raises(OSError, match="power cut"):
        write_whole(path, b"new and longer")
    assert path.read_bytes() == b"old"
