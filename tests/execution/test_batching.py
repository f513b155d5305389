"""Batches of a job: complete, halved when memory runs out, and the same bits afterwards."""

import numpy as np
import pytest
import torch

from metamers.execution.batching import Batch, Finished, Progress, halved, run_batches, split
from metamers.synthesis.settings import Bound, SynthesisSettings
from metamers.synthesis.solver import synthesize

FREE = Bound()
RECIPE = SynthesisSettings.of(
    {"preset": "paper", "budget": {"total_steps": 24, "steps_per_turn": 2}}
)
N_IMAGES, CHUNK = 9, 2


@pytest.fixture
def references():
    return torch.rand((N_IMAGES, 3, 8, 8), generator=torch.Generator().manual_seed(7))


class Device:
    """Makes batches, and runs out of memory where it is told to."""

    def __init__(self, networks, references, room, at_turn=0):
        self.networks, self.references = networks, references
        self.room, self.at_turn = room, at_turn
        self.turns = []

    def make(self, part):
        def on_turn(state):
            part.state = state
            self.turns.append((len(part.rows), state.turn))
            self.check(part, state.turn)

        self.check(part, part.state.turn if part.state else 0)
        return synthesize(
            self.networks,
            self.references[part.rows],
            [str(row) for row in part.rows],
            FREE,
            RECIPE,
            state=part.state,
            on_turn=on_turn,
            chunk_size=CHUNK,
        )

    def check(self, part, turn):
        full = turn >= self.at_turn and len(part.rows) > self.room
        errors = [torch.OutOfMemoryError("CUDA out of memory")] * full
        for error in errors:
            raise error


def made(device, batch_size=N_IMAGES):
    progress, saves = Progress(), []
    progress.complete(N_IMAGES, batch_size, CHUNK)
    run_batches(progress, device.make, lambda: saves.append(len(progress.finished)), CHUNK)
    order = np.argsort(np.concatenate([part.rows for part in progress.finished]))
    metamers = torch.cat([part.synthesis.metamers for part in progress.finished])
    assert sorted(order) == list(range(N_IMAGES))
    return metamers[torch.from_numpy(order)], progress, saves


@pytest.mark.parametrize(("room", "at_turn"), [(5, 0), (5, 4), (2, 0), (2, 7), (3, 11)])
def test_running_out_of_memory_changes_no_bit_and_loses_no_turn(
    networks, references, room, at_turn
):
    whole, _, _ = made(Device(networks, references, room=N_IMAGES))
    device = Device(networks, references, room, at_turn)
    halves, progress, _ = made(device)
    assert torch.equal(halves, whole)
    assert max(len(part.rows) for part in progress.finished) <= room
    for part in progress.finished:
        assert [record.turn for record in part.synthesis.records] == list(range(12))
    # No image takes any of its 12 turns twice.
    assert sum(n_images for n_images, _ in device.turns) == 12 * N_IMAGES


def test_batches_that_wait_are_halved_with_the_one_that_failed(networks, references):
    _, progress, _ = made(Device(networks, references, room=2), batch_size=5)
    assert sorted(len(part.rows) for part in progress.finished) == [1, 2, 2, 2, 2]


def test_chunk_that_is_too_large_is_an_error_that_says_where_to_look(networks, references):
    with pytest.raises(torch.OutOfMemoryError) as caught:
        made(Device(networks, references, room=1))
    assert any(
        "(engine.chunk_size), the least: docs/engine.md" in note for note in caught.value.__notes__
    )


def test_progress_is_saved_before_an_error_goes_on():
    progress, saves = Progress(waiting=[Batch(np.arange(3))]), []

    def make(part):
        raise ValueError("unrelated")

    with pytest.raises(ValueError, match="unrelated"):
        run_batches(progress, make, lambda: saves.append(len(progress.waiting)), CHUNK)
    assert saves == [1]


def test_images_in_no_batch_get_one_and_large_ones_are_cut():
    progress = Progress(
        finished=[Finished(np.array([1, 4]), None)], waiting=[Batch(np.array([0, 2, 3, 5]))]
    )
    progress.complete(9, batch_size=2, chunk_size=2)
    assert [part.rows.tolist() for part in progress.waiting] == [[0, 2], [3, 5], [6, 7], [8]]


def test_pieces_of_a_batch_are_smaller_and_cover_it():
    for n_images in range(3, 40):
        pieces = halved([Batch(np.arange(n_images))], n_images // 2, CHUNK)
        assert np.concatenate([piece.rows for piece in pieces]).tolist() == list(range(n_images))
        assert max(len(piece.rows) for piece in pieces) < n_images


def test_no_images_are_no_batches():
    assert split(0, 4, CHUNK) == []


@pytest.mark.parametrize("n_images", [1, 2, 3, 5, 20, 33, 400])
def test_batches_are_of_whole_chunks_but_the_last(n_images):
    batches = split(n_images, 7, 3)
    assert [image for batch in batches for image in batch] == list(range(n_images))
    assert all(len(batch) == 6 for batch in batches[:-1])
    assert len(batches[-1]) <= 6
    assert {len(batch) for batch in split(n_images, 2, 3)[:-1]} <= {3}  # a chunk is the least
