"""One member of a large tar at a URL, without fetching the rest of it."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests

from metamers.models.weights import download, http
from metamers.models.weights.download import Remote
from metamers.models.weights.errors import DownloadError
from metamers.models.weights.http import DownloadOptions, NoRangesError, TransientError

if TYPE_CHECKING:
    from typing_extensions import Buffer

HEADER_BLOCK = 1 << 16


def fetch_member(
    url: str, member: str, remote_file: str, part: Path, access: DownloadOptions
) -> str:
    """Complete ``part`` with one member of a tar, and return the sha256 stated for it: ``""``.

    From a server that answers ranges, only the tar's headers and the member's bytes are fetched,
    and the member is resumed like any other file. A compressed tar, or one on a server without
    ranges, is fetched whole, and removed once the member has been taken out.

    Raises
    ------
    DownloadError
        If the server fails or refuses, or the tar has no such member.
    """
    try:
        remote = find_member(url, member, remote_file, access)
        download.download(remote, part, access)
    except (NoRangesError, tarfile.ReadError):
        _fetch_whole(url, member, part, access)
    return ""


def find_member(url: str, member: str, remote_file: str, access: DownloadOptions) -> Remote:
    """Return which bytes of an uncompressed tar at a URL are the member's.

    Raises
    ------
    NoRangesError, tarfile.ReadError
        If the server sends only whole files; if the tar is compressed, or no tar.
    DownloadError
        If the tar has no such member.
    """
    with requests.Session() as session:
        session.headers["Accept-Encoding"] = "identity"
        raw = _RangeFile(session, access.address(url, remote_file), access)
        file = io.BufferedReader(raw, HEADER_BLOCK)
        with tarfile.open(fileobj=file, mode="r:") as archive:
            info = _member(archive, member, url)
    return Remote(url, remote_file, info.size, info.offset_data, raw.version)


class _RangeFile(io.RawIOBase):
    """A file at a URL, read by ranges where it is asked to; a dropped connection is asked again."""

    def __init__(self, session: requests.Session, url: str, access: DownloadOptions) -> None:
        self._session = session
        self._url = url
        self._access = access
        self._place = 0
        self.version = ""

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
        content = download.retrying(self._access, lambda: 0)(self._read, len(view))
        view[: len(content)] = content
        self._place += len(content)
        return len(content)

    def _read(self, length: int) -> bytes:
        headers = {"Range": f"bytes={self._place}-{self._place + length - 1}"}
        with http.ask(self._session, self._url, self._access, headers) as response:
            if response.status_code == 416:
                return b""
            if response.status_code == 200 or http.is_page(response):
                raise NoRangesError(f"{self._url}: the server sends only whole files")
            version = http.version(response)
            if self.version not in ("", version):
                raise DownloadError(f"{self._url}: the archive changed while it was read")
            self.version = version
            try:
                return response.content[:length]
            except http.TRANSIENT as error:
                raise TransientError(f"{self._url}: the connection broke: {error}") from error


def _member(archive: tarfile.TarFile, member: str, place: str) -> tarfile.TarInfo:
    wanted = PurePosixPath(member)
    names = []
    for info in archive:
        if PurePosixPath(info.name) == wanted and info.isreg():
            return info
        names.append(info.name)
    raise DownloadError(
        f"{place}: the archive has no file {member!r}; its {len(names)} entries begin with "
        f"{names[:4]}"
    )


def _fetch_whole(url: str, member: str, part: Path, access: DownloadOptions) -> None:
    archive_part = part.with_name(f"{part.name}.archive")
    name = PurePosixPath(urlsplit(url).path).name
    download.download(Remote(url, name), archive_part, access)
    try:
        with tarfile.open(archive_part) as archive, part.open("wb") as file:
            content = archive.extractfile(_member(archive, member, url))
            assert content is not None, "a regular file has content"
            shutil.copyfileobj(content, file)
    except (tarfile.TarError, EOFError) as error:
        raise DownloadError(f"{url}: is no whole tar: {error}") from error
    download.forget(archive_part)
