"""Hashes recorded in the lock, and how they are held to."""

from __future__ import annotations

import pickle

import pytest
import yaml
from cached_files import CONTENT, OFFLINE, QUICK, SHA, pins, put, row, set_aside
from fixtures import ROOT
from misbehaving_server import Answer, serving

from metamers.models import zoo
from metamers.models.weights import cache as weights
from metamers.models.weights import lock, verification
from metamers.models.weights.errors import (
    RenamedKeysError,
    WrongHashError,
)


def test_hash_that_nobody_states_is_recorded_on_first_use_and_holds_from_then_on(cache):
    with serving(Answer(CONTENT)) as server:
        weights.fetch(row(server.url), cache, QUICK)
    assert pins(cache)["net.pth"].recorded == "first use"
    put(cache, pickle.dumps("other"))
    with pytest.raises(WrongHashError, match=f"expected is {SHA}"):
        weights.fetch(row(), cache, OFFLINE)


def test_whole_hash_is_recorded_for_a_prefix(cache):
    put(cache, CONTENT)
    weights.fetch(row(sha256_prefix=SHA[:8]), cache, OFFLINE)
    assert pins(cache)["net.pth"].recorded == "prefix"
    assert pins(cache)["net.pth"].sha256 == SHA


def test_hash_that_the_server_states_is_recorded(cache):
    with serving(Answer(CONTENT, headers={"X-Linked-Etag": f'"{SHA}"'})) as server:
        weights.fetch(row(server.url), cache, QUICK)
    assert pins(cache)["net.pth"].recorded == "source"


def test_file_that_the_server_states_otherwise_is_set_aside(cache):
    other = Answer(CONTENT, headers={"X-Linked-Etag": f'"{"0" * 64}"'})
    with serving(other) as server, pytest.raises(WrongHashError):
        weights.fetch(row(server.url), cache, QUICK)
    assert not pins(cache)
    assert set_aside(cache)[0].read_bytes() == CONTENT


def test_row_and_lock_that_disagree_are_an_error(cache):
    put(cache, CONTENT)
    weights.fetch(row(), cache, OFFLINE)
    with pytest.raises(WrongHashError, match="remove the wrong one"):
        weights.fetch(row(sha256="0" * 64), cache, OFFLINE)
    assert (cache / "net.pth").exists()


def test_project_lock_is_used_inside_a_project(cache, tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config/weights.lock").touch()
    put(cache, CONTENT)
    weights.fetch(row(), cache, OFFLINE)
    assert list(yaml.safe_load((tmp_path / "config/weights.lock").read_text())) == ["net.pth"]


def test_file_that_does_not_load_is_set_aside_and_its_first_use_withdrawn(cache):
    path = weights.locate(row(url="x"), put(cache, CONTENT).parent)
    with pytest.raises(RenamedKeysError, match="set aside"), weights.rejecting(row(), path, cache):
        raise RenamedKeysError("names differ")
    assert not pins(cache)
    assert set_aside(cache)[0].read_bytes() == CONTENT


def test_pin_that_a_row_vouches_for_is_never_withdrawn(cache, tmp_path):
    pin = lock.Pin(SHA, 1, "x", "prefix")
    lock.record(tmp_path / "lock", "net.pth", pin, cache)
    lock.remove_unverified(tmp_path / "lock", "net.pth", cache)
    assert lock.read(tmp_path / "lock") == {"net.pth": pin}


def test_locks_entries_agree_with_the_rows():
    rows = zoo.specs(zoo.read(ROOT / "config/models.yaml")).values()
    by_file = {spec.weights.file: spec.weights for spec in rows}
    for name, pin in lock.read(ROOT / "config/weights.lock").items():
        assert pin.sha256.startswith(verification.pinned_hash(by_file[name]))
        assert len(pin.sha256) == 64
