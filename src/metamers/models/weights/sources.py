"""How to get a file of weights from each kind of source."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from metamers.models.weights import packages, tar_member
from metamers.models.weights.download import download
from metamers.models.weights.errors import DownloadError
from metamers.models.weights.http import DownloadOptions
from metamers.models.weights.row import WeightsRow

DRIVE_ADDRESS = "https://drive.usercontent.google.com/download?id={id}&export=download&confirm=t"


def _fetch_url(weights: WeightsRow, part: Path, _: Path, options: DownloadOptions) -> str:
    return download(weights.url, part, options, weights.size)


def _fetch_archive(weights: WeightsRow, part: Path, _: Path, options: DownloadOptions) -> str:
    tar_member.fetch_member(weights.url, weights.path, part, options)
    return ""


def _fetch_package(weights: WeightsRow, part: Path, cache: Path, _: DownloadOptions) -> str:
    packages.fetch_member(weights, part, cache)
    return ""


def _fetch_gdrive(weights: WeightsRow, part: Path, _: Path, options: DownloadOptions) -> str:
    return download(drive_url(weights.url), part, options, weights.size, confirmed_url)


FETCHERS: dict[str, Callable[[WeightsRow, Path, Path, DownloadOptions], str]] = {
    "url": _fetch_url,
    "huggingface": _fetch_url,
    "archive": _fetch_archive,
    "gdrive": _fetch_gdrive,
    "sdist": _fetch_package,
    "wheel": _fetch_package,
}
"""Each writes the file to the first path, and returns the sha256 that the server states, or
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
    from gdown.download import get_url_from_gdrive_confirmation
    from gdown.exceptions import FileURLRetrievalError

    try:
        return get_url_from_gdrive_confirmation(" ".join(page.splitlines()))  # it reads by lines
    except FileURLRetrievalError as error:
        raise DownloadError(
            f"Google Drive does not give the file; it says: {str(error)[:300]!r}. Try again "
            "tomorrow, or fetch it in a browser and put it into the cache"
        ) from error
