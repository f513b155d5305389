"""From a URL to a file: pooch transfers it, and answers that cannot be the file are refused."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pooch
import requests

from metamers.models.weights import http
from metamers.models.weights.errors import DownloadError, WebPageError
from metamers.models.weights.http import DownloadOptions

CHUNK = 1 << 16


def download(
    url: str,
    part: Path,
    options: DownloadOptions,
    size: int = 0,
    confirm: Callable[[str], str] | None = None,
) -> str:
    """Fetch a file whole, and return the sha256 that the server states, or ``""``.

    Parameters
    ----------
    url
        The source's address, before the mirror.
    part
        Where the file is written, as ``<name>.part``; after an error there is none.
    options
        Mirror, patience.
    size
        Bytes; 0: unknown.
    confirm
        Reads a web page that came in place of the file and returns the URL to go on with.

    Raises
    ------
    DownloadError
        If the server refuses, fails too often, has a file of another size, or there is no room.
    WebPageError
        If a web page came in place of the file; the error says where the page is kept.
    """
    part.parent.mkdir(parents=True, exist_ok=True)
    address = options.address(url, part.name.removesuffix(".part"))

    def attempt() -> str:
        try:
            return _transfer(address, part, options, size)
        except WebPageError as error:
            if confirm is None or error.page is None:
                raise
            following = confirm(error.page.read_text())
            error.page.unlink()
        return _transfer(following, part, options, size)

    return http.retrying(options)(attempt)


def page_of(part: Path) -> Path:
    """Return where a web page is kept that came in place of ``part``."""
    return part.with_name(f"{part.name}.html")


def _transfer(url: str, part: Path, options: DownloadOptions, size: int) -> str:
    stated = ""

    def inspect(response: requests.Response, **_: object) -> None:
        nonlocal stated
        stated = http.stated_hash(response) or stated  # on a redirect, too
        http.require_success(response)
        if not response.is_redirect:
            _require_file(response, part, size)

    fetch = pooch.HTTPDownloader(
        progressbar=sys.stderr.isatty(),
        chunk_size=CHUNK,
        timeout=options.timeout,
        headers=http.IDENTITY,
        hooks={"response": inspect},
    )
    try:
        with http.explaining_errors(url):
            fetch(url, str(part), None)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return stated


def _require_file(response: requests.Response, part: Path, size: int) -> None:
    """Refuse a web page, a file of another size, and one that there is no room for."""
    if http.is_page(response):
        page = http.page_text(response)
        page_of(part).write_text(page)
        name = part.name.removesuffix(".part")
        raise WebPageError(
            f"{response.url}: a web page, {http.title(page)!r}, came in place of {name!r}",
            page_of(part),
        )
    length = int(response.headers.get("Content-Length") or 0)
    if size and length and length != size:
        response.close()
        raise DownloadError(
            f"{response.url}: the server has {length} bytes; the zoo's row says {size}"
        )
    room = shutil.disk_usage(part.parent).free
    if length > room:
        response.close()
        raise DownloadError(f"{str(part.parent)!r} has room for {room} bytes; {length} are to come")
