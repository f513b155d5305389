"""Files that are what their rows mean, and those that are not."""

from __future__ import annotations

import hashlib

import pytest
from cached_files import BAD, CONTENT, OFFLINE, SHA, put, row, set_aside

from metamers.models.weights import cache as weights
from metamers.models.weights import verification
from metamers.models.weights.errors import (
    WrongHashError,
)


@pytest.mark.parametrize(("content", "error", "message"), BAD)
def test_bad_file_of_the_cache_is_set_aside_with_the_reason(cache, content, error, message):
    put(cache, content)
    pinned = row(sha256_prefix=SHA[:8], size=len(CONTENT))
    with pytest.raises(error, match=message):
        weights.fetch(pinned, cache, OFFLINE)
    assert not (cache / "net.pth").exists()
    bad, reason = set_aside(cache)
    assert bad.read_bytes() == content
    assert error.__name__ in reason.read_text()


def test_verified_file_is_not_hashed_twice(cache, monkeypatch):
    put(cache, CONTENT)
    weights.fetch(row(sha256=SHA), cache, OFFLINE)
    monkeypatch.setattr(hashlib, "file_digest", None)
    weights.fetch(row(sha256=SHA), cache, OFFLINE)


def test_file_that_changed_is_hashed_again(cache):
    path = put(cache, CONTENT)
    weights.fetch(row(sha256=SHA), cache, OFFLINE)
    path.write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(WrongHashError):
        weights.fetch(row(sha256=SHA), cache, OFFLINE)


@pytest.mark.parametrize("pinned", ["abc", "not hexadecimal", "a" * 65])
def test_hash_of_a_row_is_hexadecimal_and_long_enough(pinned):
    with pytest.raises(WrongHashError, match="8 to 64 hex digits"):
        verification.pinned_hash(row(sha256_prefix=pinned))
