"""Downloads from a server that misbehaves on purpose."""

from __future__ import annotations

import io
import random
import shutil
import tarfile
from collections import namedtuple
from dataclasses import replace

import pytest
from misbehaving_server import Answer, serving

from metamers.models.weights import download, http, sources, tar_member
from metamers.models.weights.errors import DownloadError, WebPageError
from metamers.models.weights.http import DownloadOptions, TransientError, UnreachableError
from metamers.models.weights.row import WeightsRow

CONTENT = b"\x80" + random.Random(0).randbytes(600_000)
OTHER = b"\x80" + random.Random(1).randbytes(600_000)
HONEST = Answer(CONTENT)
PAGE = Answer(b"<html><title>Sign in</title></html>", content_type="text/html", ranges=False)
QUICK = DownloadOptions(attempts=3, timeout=1, first_pause=0.001, longest_pause=0.002)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def part(tmp_path):
    return tmp_path / "partial" / "weights.pth.part"


def fetch(server, part, options=QUICK, **what):
    return download.download(f"{server.url}/weights.pth", part, options, **what)


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


CONFIRM = """<html><head><title>Google Drive - Virus scan warning</title></head><body>
<form action="/search"><input type="hidden" name="q" value="other"></form>
<form id="download-form" action="{url}/confirmed?from=page&amp;id=0" method="get">
<input type="submit" value="Download anyway">
<input type="hidden" name="id" value="0123456789abc"><input type="hidden" name="confirm" value="t">
<input type="hidden" name="uuid" value="7-7"></form></body></html>"""
QUOTA = """<html><head><title>Google Drive - Quota exceeded</title></head><body>
<p class="uc-error-subcaption">Too many users have viewed this file recently.</p></body></html>"""


def fetch_from_drive(server, part):
    row = WeightsRow(source="gdrive", file="weights.pth", url="0123456789abc")
    return sources.FETCHERS["gdrive"](row, part, part.parent, replace(QUICK, mirror=server.url))


def test_drive_page_is_confirmed(part):
    with serving(HONEST) as files:
        page = replace(PAGE, content=CONFIRM.format(url=files.url).encode())
        with serving(page) as server:
            fetch_from_drive(server, part)
    assert server.paths == ["/download?id=0123456789abc&export=download&confirm=t"]
    assert files.paths == ["/confirmed?from=page&id=0123456789abc&confirm=t&uuid=7-7"]
    assert part.read_bytes() == CONTENT
    assert not download.page_of(part).exists()


def test_drive_quota_page_is_a_clear_error(part):
    quota = replace(PAGE, content=QUOTA.encode())
    with serving(quota) as server, pytest.raises(DownloadError, match="Too many users have viewed"):
        fetch_from_drive(server, part)


def test_drive_page_after_the_confirmation_is_a_clear_error(part):
    with serving(PAGE) as files:
        page = replace(PAGE, content=CONFIRM.format(url=files.url).encode())
        with serving(page) as server, pytest.raises(WebPageError, match="Sign in"):
            fetch_from_drive(server, part)


@pytest.mark.parametrize(
    "link",
    [
        "1-abc_DEF0123",
        "https://drive.google.com/uc?export=download&id=1-abc_DEF0123",
        "https://drive.google.com/file/d/1-abc_DEF0123/view?usp=sharing",
    ],
)
def test_drive_links_are_understood(link):
    assert "download?id=1-abc_DEF0123&export" in sources.drive_url(link)


def tar(mode="w", names=("a.pt", "folder/b.pt", "c.pt")):
    contents = [OTHER, CONTENT, OTHER]
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for name, content in zip(names, contents, strict=True):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return Answer(file.getvalue())


def member(server, part, name="folder/b.pt"):
    return tar_member.fetch_member(f"{server.url}/all.tar", name, part, QUICK)


def test_member_of_a_tar_comes_without_the_others(part):
    with serving(tar()) as server:
        member(server, part)
    assert part.read_bytes() == CONTENT
    assert server.sent < len(CONTENT) + 4 * tar_member.BLOCK


def test_member_is_found_under_a_dotted_name(part):
    with serving(tar(names=("./a.pt", "./folder/b.pt", "./c.pt"))) as server:
        member(server, part)
    assert part.read_bytes() == CONTENT


def test_dropped_range_is_asked_for_again(part):
    honest = tar()
    with serving(honest, replace(honest, drop_after=10_000), honest) as server:
        member(server, part)
    assert part.read_bytes() == CONTENT
    assert server.sent < len(CONTENT) + 5 * tar_member.BLOCK


def test_archive_that_changes_while_it_is_read_is_fetched_whole(part):
    honest = tar()
    changed = replace(honest, etag='"two"')
    with serving(honest, honest, changed) as server:
        member(server, part)
    assert server.ranges[-1] is None
    assert part.read_bytes() == CONTENT


@pytest.mark.parametrize(("mode", "ranges"), [("w", False), ("w:gz", True)])
def test_archive_that_cannot_be_read_by_ranges_is_fetched_whole_and_removed(part, mode, ranges):
    with serving(replace(tar(mode), ranges=ranges)) as server:
        member(server, part)
    assert part.read_bytes() == CONTENT
    assert [path.name for path in part.parent.iterdir()] == [part.name]


def test_missing_member_is_named_with_those_there(part):
    with (
        serving(tar()) as server,
        pytest.raises(DownloadError, match=r"no file 'd.pt'; its 3 entries begin with \['a.pt"),
    ):
        member(server, part, "d.pt")


def test_page_in_place_of_an_archive_is_a_web_page(part):
    with serving(PAGE) as server, pytest.raises(WebPageError, match="Sign in"):
        member(server, part)
