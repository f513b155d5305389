"""How sources are reached, and what answers say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from misbehaving_server import Answer, serving
from served_files import HONEST, QUICK, fetch

from metamers.models.weights import http
from metamers.models.weights.http import DownloadOptions, TransientError


def test_git_hash_of_a_small_file_is_not_taken_for_sha256(part):
    with serving(replace(HONEST, headers={"X-Linked-Etag": '"' + "a" * 40 + '"'})) as server:
        assert fetch(server, part) == ""


def test_retry_after_is_heeded_within_limits():
    assert http.asked_pause({"Retry-After": "7"}) == 7
    assert http.asked_pause({"Retry-After": "86400"}) == 600
    assert http.asked_pause({"Retry-After": "soon"}) == 0
    assert http.asked_pause({}) == 0


def test_asked_pause_is_waited(part):
    busy = Answer(status=503, headers={"Retry-After": "1"})
    with serving(busy, HONEST) as server:
        waited = []
        caller = http.retrying(QUICK)
        caller.sleep = waited.append
        with pytest.raises(TransientError):
            caller(_busy, server)
    assert waited == [1.0, 1.0]


def _busy(server):
    raise TransientError(f"{server.url} is busy", pause=1.0)


@pytest.mark.parametrize(
    ("mirror", "asked"),
    [
        ("", "https://host.org/a/b.pth?v=1"),
        ("http://mirror/m/", "http://mirror/m/a/b.pth?v=1"),
        ("http://mirror/{host}/{path}", "http://mirror/host.org/a/b.pth?v=1"),
        ("http://mirror/flat/{file}", "http://mirror/flat/weights.pth"),
    ],
)
def test_mirror_replaces_the_host_or_fills_a_pattern(mirror, asked):
    options = DownloadOptions(mirror=mirror)
    assert options.address("https://host.org/a/b.pth?v=1", "weights.pth") == asked


def test_environment_sets_mirror_and_offline():
    assert DownloadOptions.from_environment({}) == DownloadOptions()
    assert DownloadOptions.from_environment(
        {"METAMERS_MIRROR": "m", "METAMERS_OFFLINE": "1"}
    ) == DownloadOptions("m", True)
    with pytest.raises(ValueError, match="METAMERS_OFFLINE is 'yes'; allowed are '0' and '1'"):
        DownloadOptions.from_environment({"METAMERS_OFFLINE": "yes"})
