"""Downloads from a server that misbehaves on purpose."""

from __future__ import annotations

import shutil
from collections import namedtuple
from dataclasses import replace

import pytest
from misbehaving_server import Answer, serving
from served_files import CONTENT, HONEST, OTHER, PAGE, QUICK, fetch

from metamers.models.weights.errors import DownloadError, WebPageError
from metamers.models.weights.http import UnreachableError


def test_download_gives_the_served_bytes(part):
    with serving(HONEST) as server:
        fetch(server, part)
    assert part.read_bytes() == CONTENT


def test_file_is_fetched_anew_after_a_dropped_connection(part):
    with serving(replace(HONEST, drop_after=300_000), HONEST) as server:
        fetch(server, part)
    assert part.read_bytes() == CONTENT
    assert server.ranges == [None, None]


def test_nothing_is_left_of_a_download_that_failed(part):
    with serving(replace(HONEST, drop_after=300_000)) as server:
        with pytest.raises(DownloadError, match="connection broke"):
            fetch(server, part)
        assert len(server.paths) == QUICK.attempts
    assert not part.exists()


def test_server_that_ignores_ranges_is_read_anew(part):
    stubborn = replace(HONEST, ranges=False)
    with serving(replace(stubborn, drop_after=300_000), stubborn) as server:
        fetch(server, part)
    assert part.read_bytes() == CONTENT


def test_file_without_a_version_is_never_pieced_together(part):
    nameless = replace(HONEST, etag="")
    with serving(replace(nameless, drop_after=300_000), replace(nameless, content=OTHER)) as server:
        fetch(server, part)
    assert part.read_bytes() == OTHER


def test_part_of_unknown_origin_is_not_kept(part):
    part.parent.mkdir()
    part.write_bytes(b"of another program")
    with serving(HONEST) as server:
        fetch(server, part)
    assert part.read_bytes() == CONTENT


def test_busy_server_is_asked_again(part):
    with serving(Answer(status=503), Answer(status=429), HONEST) as server:
        fetch(server, part)
    assert part.read_bytes() == CONTENT


def test_server_that_stays_busy_is_given_up(part):
    with serving(Answer(status=503)) as server, pytest.raises(DownloadError, match="503"):
        fetch(server, part)
    assert len(server.paths) == QUICK.attempts


def test_refusal_is_not_asked_again(part):
    with serving(Answer(b"<html>gone</html>", status=404)) as server:
        with pytest.raises(DownloadError, match="404"):
            fetch(server, part)
        assert len(server.paths) == 1


def test_server_that_is_not_there_is_unreachable(part):
    with serving(HONEST) as server:
        pass
    with pytest.raises(UnreachableError, match=r"no connection.*refused"):
        fetch(server, part)


def test_silent_server_is_asked_again(part):
    with serving(replace(HONEST, stall_after=300_000), HONEST) as server:
        fetch(server, part, replace(QUICK, timeout=0.3))
    assert part.read_bytes() == CONTENT


def test_too_long_a_content_length_is_an_error(part):
    with serving(replace(HONEST, declared_length=700_000)) as server:
        with pytest.raises(DownloadError):
            fetch(server, part)
        assert len(server.paths) >= QUICK.attempts


def test_size_other_than_the_rows_is_refused_before_it_comes(part):
    message = r"600001 bytes.*says 600002"
    with serving(HONEST) as server, pytest.raises(DownloadError, match=message):
        fetch(server, part, size=600_002)
    assert not part.exists()


def test_file_larger_than_the_room_is_refused(part, monkeypatch):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(free=1000))
    with serving(HONEST) as server, pytest.raises(DownloadError, match="room for 1000 bytes"):
        fetch(server, part)


def test_web_page_is_kept_apart_from_what_came_before(part):
    with serving(replace(HONEST, drop_after=300_000), PAGE, HONEST) as server:
        with pytest.raises(WebPageError, match="Sign in") as caught:
            fetch(server, part)
        assert caught.value.page.read_bytes() == PAGE.content
        assert not part.exists()
        fetch(server, part)
    assert part.read_bytes() == CONTENT


def test_redirect_is_followed_and_its_stated_hash_returned(part):
    stated = {"Location": "/cdn/weights", "X-Linked-Etag": f'"{"ab" * 32}"'}
    with serving(Answer(status=302, headers=stated), HONEST) as server:
        assert fetch(server, part) == "ab" * 32
    assert server.paths == ["/weights.pth", "/cdn/weights"]
    assert part.read_bytes() == CONTENT
