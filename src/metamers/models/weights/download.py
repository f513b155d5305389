"""From a URL to a file: resumed where it broke off, retried with growing pauses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import requests
import tenacity
from tqdm import tqdm

from metamers.files import write_atomically
from metamers.models.weights import http
from metamers.models.weights.errors import DownloadError, WebPageError
from metamers.models.weights.http import DownloadOptions, NoRangesError, TransientError

CHUNK = 1 << 16


@dataclass(frozen=True)
class Remote:
    """A file at a URL, or a part of one.

    Attributes
    ----------
    file
        Its name in the cache, for messages.
    size
        Bytes; 0: unknown.
    first
        First byte of the part to fetch, whose length is ``size``; ``None``: the whole file.
    version
        ETag or date that the file must still have; empty: any.
    confirm
        Reads a web page met in place of the file and returns the URL to go on with.
    """

    url: str
    file: str
    size: int = 0
    first: int | None = None
    version: str = ""
    confirm: Callable[[str], str] | None = None


@dataclass(frozen=True)
class State:
    """What is known about a file that has partly come; kept beside it."""

    url: str
    first: int | None = None
    version: str = ""
    stated_hash: str = ""


def download(remote: Remote, part: Path, access: DownloadOptions) -> str:
    """Complete the file ``part``, and return the sha256 that the server states, or ``""``.

    What an earlier call left in ``part`` is kept if it came from the same URL and the server
    says by ETag or date that the file has not changed since.

    Raises
    ------
    DownloadError
        If the server refuses, or fails too often in a row; what came stays for the next call.
    WebPageError
        If a web page came in place of the file; the error says where the page is kept.
    """
    part.parent.mkdir(parents=True, exist_ok=True)
    with requests.Session() as session:
        session.headers["Accept-Encoding"] = "identity"
        return retrying(access, lambda: _size(part))(_transfer, session, remote, part, access)


def retrying(access: DownloadOptions, progress: Callable[[], int]) -> tenacity.Retrying:
    """Return a caller that tries again after a `TransientError`, as long as bytes come in.

    It gives up, with the last error, after ``access.attempts`` failures in a row between which
    ``progress`` did not grow.
    """
    pause = tenacity.wait_exponential(
        access.first_pause, access.longest_pause
    ) + tenacity.wait_random(0, access.first_pause)
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(TransientError),
        stop=_NoProgress(progress, access.attempts),
        wait=lambda state: max(pause(state), _asked_pause(state)),
        reraise=True,
    )


def page_of(part: Path) -> Path:
    """Return where a web page is kept that came in place of ``part``."""
    return part.with_name(f"{part.name}.html")


def forget(part: Path) -> None:
    """Remove a partly fetched file and what is known about it."""
    part.unlink(missing_ok=True)
    _state_file(part).unlink(missing_ok=True)


class _NoProgress:
    """Stops the tries after some failures in a row without a new byte."""

    def __init__(self, progress: Callable[[], int], attempts: int) -> None:
        self._progress = progress
        self._attempts = attempts
        self._most = progress()
        self._failures = 0

    def __call__(self, _: tenacity.RetryCallState) -> bool:
        grown = self._progress() > self._most
        self._failures = 1 if grown else self._failures + 1
        self._most = max(self._most, self._progress())
        return self._failures >= self._attempts


def _asked_pause(state: tenacity.RetryCallState) -> float:
    error = state.outcome and state.outcome.exception()
    return error.pause if isinstance(error, TransientError) else 0.0


def _transfer(
    session: requests.Session, remote: Remote, part: Path, access: DownloadOptions
) -> str:
    url = access.address(remote.url, remote.file)
    state = _known(part, remote, url)
    if remote.first is not None and _size(part) == remote.size:
        return state.stated_hash
    headers = _headers(remote, state, _size(part))
    with http.ask(session, url, access, headers) as response:
        if not http.is_page(response):
            return _receive(response, remote, state, part)
        page = _keep_page(response, part)
    if remote.confirm is None:
        raise _page_error(url, remote, page, part)
    following = remote.confirm(page)
    with http.ask(session, following, access, headers) as response:
        if http.is_page(response):
            raise _page_error(following, remote, _keep_page(response, part), part)
        page_of(part).unlink()
        return _receive(response, remote, state, part)


def _known(part: Path, remote: Remote, url: str) -> State:
    """Return what is known about ``part``, which is removed if it is not this remote's."""
    fresh = State(url, remote.first, remote.version)
    if not _state_file(part).exists():
        forget(part)
        return fresh
    state = State(**json.loads(_state_file(part).read_text()))
    same = (state.url, state.first) == (url, remote.first)
    if same and state.version and remote.version in ("", state.version):
        return state
    forget(part)
    return fresh


def _headers(remote: Remote, state: State, done: int) -> dict[str, str]:
    if remote.first is None and not done:
        return {}
    first = (remote.first or 0) + done
    last = "" if remote.first is None else remote.first + remote.size - 1
    condition = {"If-Range": state.version} if state.version else {}
    return {"Range": f"bytes={first}-{last}"} | condition


def _receive(response: requests.Response, remote: Remote, state: State, part: Path) -> str:
    start, total = _place(response, remote, state, part)
    if remote.size and total and total != remote.size:
        raise DownloadError(
            f"{state.url}: the server has {total} bytes; the row of {remote.file!r} says "
            f"{remote.size}"
        )
    if response.status_code == 416:
        return state.stated_hash
    stated = http.stated_hash(response) or state.stated_hash
    state = State(state.url, remote.first, http.version(response), stated)
    write_atomically(_state_file(part), json.dumps(asdict(state)).encode())
    _refuse_without_room(part.parent, total - start)
    received = _write(response, remote, part, start, total)
    if received < total:
        raise TransientError(f"{state.url}: the answer ended after {received} of {total} bytes")
    return stated


def _place(
    response: requests.Response, remote: Remote, state: State, part: Path
) -> tuple[int, int]:
    """Return how many bytes of ``part`` stay, and how many there will be (0: unknown)."""
    done = _size(part)
    first, length = http.content_range(response)
    whole = remote.first is None
    if response.status_code == 200:
        if not whole:
            raise NoRangesError(f"{state.url}: the server sends only whole files")
        return 0, http.content_length(response)
    if response.status_code == 416 and whole and length == done:
        return done, done
    version = http.version(response)
    if first != (remote.first or 0) + done or version != (state.version or version):
        forget(part)
        raise TransientError(f"{state.url}: the file changed while it came; begun anew")
    return done, remote.size if not whole else max(length, 0)


def _write(response: requests.Response, remote: Remote, part: Path, start: int, total: int) -> int:
    bar = tqdm(
        total=total or None, initial=start, desc=remote.file, unit="B", unit_scale=True,
        disable=None,
    )  # fmt: skip
    with bar, part.open("r+b" if start else "wb") as file:
        file.truncate(start)
        file.seek(start)
        try:
            for chunk in response.iter_content(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
        except http.TRANSIENT as error:
            raise TransientError(f"{response.url}: the connection broke: {error}") from error
        return file.tell()


def _keep_page(response: requests.Response, part: Path) -> str:
    page = http.page_text(response)
    page_of(part).write_text(page)
    return page


def _page_error(url: str, remote: Remote, page: str, part: Path) -> WebPageError:
    return WebPageError(
        f"{url}: a web page, {http.title(page)!r}, came in place of {remote.file!r}",
        page_of(part),
    )


def _refuse_without_room(folder: Path, needed: int) -> None:
    room = shutil.disk_usage(folder).free
    if needed > room:
        raise DownloadError(f"{str(folder)!r} has room for {room} bytes; {needed} are to come")


def _state_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
