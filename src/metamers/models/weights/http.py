"""What an HTTP server's answer says: refusals, web pages, ranges, versions, stated hashes."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError, InvalidHeader
from urllib3.util import Retry

from metamers.models.weights.errors import DownloadError

PAGE_BYTES = 1 << 20
LONGEST_ASKED_PAUSE = 600.0
TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
TRANSIENT = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
    HTTPError,
)


class TransientError(DownloadError):
    """A failure that another try may mend; ``pause`` is what the server asked for, in seconds."""

    def __init__(self, message: str, pause: float = 0.0) -> None:
        super().__init__(message)
        self.pause = pause


class UnreachableError(TransientError):
    """No connection to a server came about."""


class NoRangesError(DownloadError):
    """A server that gives only whole files was asked for a part of one."""


@dataclass(frozen=True)
class DownloadOptions:
    """How sources are reached.

    Attributes
    ----------
    mirror
        Base URL that replaces scheme and host; or a pattern with ``{host}``, ``{path}``,
        ``{file}``. Empty: the sources themselves.
    offline
        Fetch nothing.
    attempts
        Failures in a row, without a new byte, after which a download is given up.
    timeout
        Seconds without an answer or a byte that count as a failure.
    first_pause, longest_pause
        Seconds between tries: doubled from the first, with some chance, up to the longest.
    """

    mirror: str = ""
    offline: bool = False
    attempts: int = 6
    timeout: float = 60.0
    first_pause: float = 1.0
    longest_pause: float = 120.0

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> DownloadOptions:
        """Read ``METAMERS_MIRROR`` and ``METAMERS_OFFLINE`` (0 or 1)."""
        offline = environment.get("METAMERS_OFFLINE") or "0"
        if offline not in ("0", "1"):
            raise ValueError(f"METAMERS_OFFLINE is {offline!r}; allowed are '0' and '1'")
        return cls(mirror=environment.get("METAMERS_MIRROR", ""), offline=offline == "1")

    def address(self, url: str, file: str) -> str:
        """Return the URL to ask in place of a source's, by the mirror."""
        if not self.mirror:
            return url
        parts = urlsplit(url)
        path = parts.path.lstrip("/") + (f"?{parts.query}" if parts.query else "")
        if re.search(r"\{(host|path|file)\}", self.mirror):
            return self.mirror.format(host=parts.netloc, path=path, file=file)
        return f"{self.mirror.rstrip('/')}/{path}"


def ask(
    session: requests.Session, url: str, access: DownloadOptions, headers: Mapping[str, str]
) -> requests.Response:
    """Return a streamed answer whose status is 200, 206 or 416.

    Raises
    ------
    TransientError, DownloadError
        If the connection or the server fails; if the server refuses.
    """
    try:
        response = session.get(url, headers=headers, stream=True, timeout=access.timeout)
    except requests.exceptions.SSLError as error:
        raise DownloadError(f"{url}: the certificate is not accepted: {error}") from error
    except requests.ConnectionError as error:
        raise UnreachableError(f"{url}: no connection: {_reason(error)}") from error
    except TRANSIENT as error:
        raise TransientError(f"{url}: {_reason(error)}") from error
    except requests.RequestException as error:
        raise DownloadError(f"{url}: {error}") from error
    if response.status_code in (200, 206, 416):
        return response
    response.close()
    met = f"{url}: the server answered {response.status_code} {response.reason}"
    if response.status_code in TRANSIENT_STATUS:
        raise TransientError(met, asked_pause(response.headers))
    raise DownloadError(f"{met}. Is the address of the row still right, or is a mirror needed?")


def _reason(error: Exception) -> str:
    """Return what lies below: urllib3 wraps it in what the URL was and how often it was tried."""
    inner = error.args[0] if error.args else error
    return str(getattr(inner, "reason", None) or inner)


def asked_pause(headers: Mapping[str, str]) -> float:
    """Return the seconds that a ``Retry-After`` header asks for, at most ten minutes."""
    try:
        return min(Retry().parse_retry_after(headers.get("Retry-After", "0")), LONGEST_ASKED_PAUSE)
    except InvalidHeader:
        return 0.0


def is_page(response: requests.Response) -> bool:
    """Return whether a web page came."""
    return response.headers.get("Content-Type", "").lower().startswith("text/html")


def page_text(response: requests.Response) -> str:
    """Return the text of a web page, at most its first mebibyte."""
    content = next(response.iter_content(PAGE_BYTES), b"")
    return content.decode(response.encoding or "utf-8", errors="replace")


def title(page: str) -> str:
    """Return the title of a web page, or how it begins."""
    found = re.search(r"<title[^>]*>(.*?)</title>", page, re.DOTALL | re.IGNORECASE)
    return (found.group(1) if found else page[:80]).strip()


def version(response: requests.Response) -> str:
    """Return what names this version of the file: strong ETag, else date, else ``""``."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        return ""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def stated_hash(response: requests.Response) -> str:
    """Return the sha256 that Hugging Face states on its way to a large file, or ``""``."""
    for answer in (*response.history, response):
        stated = answer.headers.get("X-Linked-Etag", "").strip('"').lower()
        if re.fullmatch(r"[0-9a-f]{64}", stated):
            return stated
    return ""


def content_range(response: requests.Response) -> tuple[int, int]:
    """Return the first byte sent, and the file's length; -1 where the answer does not say."""
    met = response.headers.get("Content-Range", "")
    found = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", met.strip())
    if found is None:
        return -1, -1
    first, total = found.groups()
    return int(first or -1), -1 if total == "*" else int(total)


def content_length(response: requests.Response) -> int:
    """Return the number of bytes to come; 0 where the answer does not say."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        return 0
    return int(response.headers.get("Content-Length") or 0)
