"""Checkpoints: exact, whole, and refused when they are another job's or damaged."""

import logging

import numpy as np
import pytest
import torch

from metamers.execution.autotuning import TunedSettings
from metamers.execution.batching import Batch, Finished, Progress
from metamers.execution.checkpoints import Checkpoint, finished_files, remove
from metamers.files import write_atomically
from metamers.synthesis.settings import OPTIMIZERS, Bound, SynthesisSettings
from metamers.synthesis.solver import synthesize
from metamers.synthesis.state import State

RECIPE = SynthesisSettings.of(
    {
        "preset": "paper",
        "budget": {"total_steps": 12, "steps_per_turn": 2},
        "agreement_every": 2,
    }
)
CHOICES = TunedSettings(channels_last=True, backends={"net0": "eager"}, threads=1)
ROWS = np.array([5, 6, 8, 9]), np.array([0, 1, 3, 4])


@pytest.fixture
def progress(networks, references, image_ids):
    bound = Bound()
    states = []
    whole = synthesize(
        networks,
        references,
        image_ids,
        bound,
        RECIPE,
        on_turn=lambda s: states.append(
            State(s.turn, s.images.clone(), list(s.records), list(s.agreements))
        ),
    )
    waiting = [Batch(ROWS[1], states[2]), Batch(np.array([2, 7]))]
    return Progress([Finished(ROWS[0], whole)], waiting, CHOICES, ["cpu (AVX2)"])


def same_records(one, other):
    return len(one) == len(other) and all(
        (a.turn, a.step, a.rate) == (b.turn, b.step, b.rate)
        and np.array_equal(a.models, b.models)
        and np.array_equal(a.losses, b.losses)
        for a, b in zip(one, other, strict=True)
    )


def same_agreements(one, other):
    return len(one) == len(other) > 0 and all(
        (a.turn, a.step) == (b.turn, b.step) and np.array_equal(a.cosines, b.cosines)
        for a, b in zip(one, other, strict=True)
    )


def test_what_is_read_is_what_was_written(tmp_path, progress):
    checkpoint = Checkpoint(tmp_path / "a" / "b.safetensors", "job")
    checkpoint.save(progress)
    read = checkpoint.load()
    (finished,), (begun, fresh) = read.finished, read.waiting
    whole, state = progress.finished[0].synthesis, progress.waiting[0].state
    assert [part.rows.tolist() for part in (finished, begun, fresh)] == [
        [5, 6, 8, 9],
        [0, 1, 3, 4],
        [2, 7],
    ]
    assert torch.equal(begun.state.images, state.images)
    assert begun.state.turn == state.turn
    assert same_records(begun.state.records, state.records)
    assert same_agreements(begun.state.agreements, state.agreements)
    assert fresh.state is None
    for name in ("metamers", "losses_after", "losses_stored", "steps", "evaluations"):
        equal = np.asarray(getattr(finished.synthesis, name)) == np.asarray(getattr(whole, name))
        assert equal.all(), name
    assert same_records(finished.synthesis.records, whole.records)
    assert same_agreements(finished.synthesis.agreements, whole.agreements)
    assert (read.choices, read.devices) == (CHOICES, ["cpu (AVX2)"])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_work_goes_on_from_the_file_with_the_same_bits(
    tmp_path, networks, references, image_ids, optimizer
):
    budget = {"until_loss": 0.45, "at_most": 240, "steps_per_turn": 2}
    schedule = {"kind": "constant", "start": 0.02 if optimizer == "adam" else 0.4}
    recipe = SynthesisSettings.of(
        {"budget": budget, "ensemble": "mean_gradient"}
        | {"optimizer": optimizer, "schedule": schedule}
    )
    given = networks, references, image_ids, Bound(), recipe

    def write(state):
        checkpoint = Checkpoint(tmp_path / f"{state.turn}", "job")
        checkpoint.save(Progress([], [Batch(np.arange(4), state)], CHOICES))

    whole = synthesize(*given, on_turn=write)
    for path in list(tmp_path.iterdir()):
        (part,) = Checkpoint(path, "job").load().waiting
        rest = synthesize(*given, state=part.state)
        assert torch.equal(rest.metamers, whole.metamers)
        assert rest.evaluations.tolist() == whole.evaluations.tolist()


def test_no_file_means_no_progress(tmp_path):
    assert Checkpoint(tmp_path / "none", "job").load() == Progress()


def test_batch_that_is_done_is_written_once(tmp_path, progress, monkeypatch):
    checkpoint, written = Checkpoint(tmp_path / "c", "job"), []
    monkeypatch.setattr(
        "metamers.execution.checkpoints.write_atomically",
        lambda path, content: (written.append(path.name), write_atomically(path, content)),
    )
    checkpoint.save(progress)
    checkpoint.save(progress)
    assert written == ["c.done-00005", "c", "c"]


def test_batch_that_is_both_done_and_in_work_is_done(tmp_path, progress):
    """As after a kill between the two files."""
    checkpoint = Checkpoint(tmp_path / "c", "job")
    checkpoint.save(progress)
    before = checkpoint.path.read_bytes()
    state = progress.waiting[0].state
    whole = progress.finished[0].synthesis
    checkpoint.save(Progress([*progress.finished, Finished(ROWS[1], whole)], [], CHOICES))
    checkpoint.path.write_bytes(before)
    read = checkpoint.load()
    assert [part.rows[0] for part in read.finished] == [0, 5]
    assert [part.rows.tolist() for part in read.waiting] == [[2, 7]]
    assert state is not None


def test_remove_leaves_only_what_was_refused(tmp_path, progress):
    checkpoint = Checkpoint(tmp_path / "c", "job")
    checkpoint.save(progress)
    other = Checkpoint(tmp_path / "c.other", "job")
    other.save(progress)
    (tmp_path / "c.refused-1").write_bytes(b"evidence")
    remove(checkpoint.path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "c.other",
        "c.other.done-00005",
        "c.refused-1",
    ]


def test_drafts_of_killed_processes_are_swept_up(tmp_path, progress):
    checkpoint = Checkpoint(tmp_path / "c", "job")
    checkpoint.save(progress)
    draft = tmp_path / ".c.done-00005.4711.tmp"
    draft.write_bytes(b"half a che")
    assert len(checkpoint.load().finished) == 1
    assert not draft.exists()


def refused(caplog, checkpoint, reason):
    with caplog.at_level(logging.WARNING):
        progress = checkpoint.load()
    assert reason in caplog.text
    assert not checkpoint.path.exists()
    return progress, checkpoint.path.with_name(checkpoint.path.name + ".refused-1")


def test_checkpoint_of_another_job_is_set_aside_with_its_batches(tmp_path, progress, caplog):
    path = tmp_path / "c"
    Checkpoint(path, "job").save(progress)
    read, aside = refused(
        caplog, Checkpoint(path, "other"), "belongs to another job, job, not other"
    )
    assert read == Progress()
    assert aside.exists()
    assert not finished_files(path)
    assert path.with_name("c.done-00005.refused-1").exists()


def test_checkpoint_of_another_format_is_set_aside(tmp_path, progress, caplog, monkeypatch):
    monkeypatch.setattr("metamers.execution.checkpoints.FORMAT", "metamers-checkpoint-1")
    checkpoint = Checkpoint(tmp_path / "c", "job")
    checkpoint.save(progress)
    monkeypatch.undo()
    _, aside = refused(caplog, checkpoint, "its format is 'metamers-checkpoint-1'")
    assert aside.exists()


def test_damage_of_one_file_costs_only_what_is_in_it(tmp_path, progress, caplog):
    checkpoint = Checkpoint(tmp_path / "c", "job")
    checkpoint.save(progress)
    (done,) = finished_files(checkpoint.path)
    done.write_bytes(done.read_bytes()[:-100])  # a power cut on a disk that lies about flushing
    with caplog.at_level(logging.WARNING):
        read = checkpoint.load()
    assert "it is damaged" in caplog.text
    assert read.finished == []
    read.complete(10, batch_size=4, chunk_size=2)
    assert [part.rows.tolist() for part in read.waiting] == [[0, 1, 3, 4], [2, 7], [5, 6, 8, 9]]
    assert read.waiting[0].state.turn == progress.waiting[0].state.turn


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text"])
def test_damaged_checkpoint_is_set_aside(tmp_path, progress, caplog, damage):
    checkpoint = Checkpoint(tmp_path / "c", "job")
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
    read, aside = refused(caplog, checkpoint, "it is damaged")
    assert (len(read.finished), read.waiting) == (1, [])
    assert aside.read_bytes() == damaged[damage]
