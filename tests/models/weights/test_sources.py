"""Google Drive's links and pages."""

from __future__ import annotations

from dataclasses import replace

import pytest
from misbehaving_server import serving
from served_files import CONTENT, HONEST, PAGE, QUICK

from metamers.models.weights import download, sources
from metamers.models.weights.errors import DownloadError, WebPageError
from metamers.models.weights.row import WeightsRow

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
