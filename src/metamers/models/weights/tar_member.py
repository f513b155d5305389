"""One member of a large tar at a URL, without fetching the rest of it.

fsspec can do this only with aiohttp, a second HTTP client with proxies and certificates of its own;
smart_open takes a whole file for the range that it asked for.
"""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests

from metamers.models.weights import http
from metamers.models.weights.download import download
from metamers.models.weights.errors import DownloadError
from metamers.models.weights.http import DownloadOptions

if TYPE_CHECKING:
    from typing_extensions import Buffer

BLOCK = 1 << 16


class NoRangesError(DownloadError):
    """A server that gives only whole files was asked for a part of one."""


def fetch_member(url: str, member: str, part: Path, options: DownloadOptions) -> None:
    """Write one member of a tar to ``part``.

    From a server that answers ranges, only the tar's headers and the member come. A compressed
    tar, or one on a server without ranges, is fetched whole, and removed afterwards.

    Raises
    ------
    DownloadError
        If the server fails or refuses, or the tar has no such member.
    """
    part.parent.mkdir(parents=True, exist_ok=True)
    remote = _RangeFile(options.address(url, part.name.removesuffix(".part")), options)
    try:
        with tarfile.open(fileobj=io.BufferedReader(remote, BLOCK), mode="r:") as archive:
            _extract(archive, member, url, part)
    except (NoRangesError, tarfile.ReadError):
        _fetch_whole(url, member, part, options)


class _RangeFile(io.RawIOBase):
    """A file at a URL, of which only what is read comes."""

    def __init__(self, url: str, options: DownloadOptions) -> None:
        self._url = url
        self._options = options
        self._place = 0
        self._version = ""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END:
            raise io.UnsupportedOperation("the end of a remote file is not looked for")
        self._place = offset + (self._place if whence == io.SEEK_CUR else 0)
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer).cast("B")
        content = http.retrying(self._options)(self._read, len(view))
        view[: len(content)] = content
        self._place += len(content)
        return len(content)

    def _read(self, length: int) -> bytes:
        span = {"Range": f"bytes={self._place}-{self._place + length - 1}"}
        with (
            http.explaining_errors(self._url),
            requests.get(
                self._url,
                headers=http.IDENTITY | span,
                timeout=self._options.timeout,
                stream=True,
            ) as response,
        ):
            if response.status_code == 416:  # beyond the end
                return b""
            http.require_success(response)
            if response.status_code != 206:
                raise NoRangesError(f"{self._url}: the server sends only whole files")
            version = response.headers.get("ETag") or response.headers.get("Last-Modified", "")
            if self._version not in ("", version):
                raise NoRangesError(f"{self._url}: the archive changed while it was read")
            self._version = version
            return response.content[:length]


def _extract(archive: tarfile.TarFile, member: str, url: str, part: Path) -> None:
    wanted = PurePosixPath(member)
    names = []
    for info in archive:
        content = archive.extractfile(info) if PurePosixPath(info.name) == wanted else None
        if content is not None:
            with part.open("wb") as file:
                shutil.copyfileobj(content, file, 16 * BLOCK)
            return
        names.append(info.name)
    raise DownloadError(
        f"{url}: the archive has no file {member!r}; its {len(names)} entries begin with "
        f"{names[:4]}"
    )


def _fetch_whole(url: str, member: str, part: Path, options: DownloadOptions) -> None:
    whole = part.with_name(f"{PurePosixPath(urlsplit(url).path).name}.part")
    try:
        download(url, whole, options)
        with tarfile.open(whole) as archive:
            _extract(archive, member, url, part)
    except (tarfile.TarError, EOFError) as error:
        raise DownloadError(f"{url}: is not a complete tar: {error}") from error
    finally:
        whole.unlink(missing_ok=True)
