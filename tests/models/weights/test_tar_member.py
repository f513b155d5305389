"""One member of a tar on a server that misbehaves on purpose."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace

import pytest
from misbehaving_server import Answer, serving
from served_files import CONTENT, OTHER, PAGE, QUICK

from metamers.models.weights import tar_member
from metamers.models.weights.errors import DownloadError, WebPageError


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
