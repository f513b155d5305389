"""How sources are reached, and what their answers say: refusals, web pages, stated hashes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests
import tenacity
from urllib3.exceptions import HTTPError, InvalidHeader, MaxRetryError
from urllib3.util import Retry

from metamers.models.weights.errors import DownloadError

PAGE_BYTES = 1 << 20
LONGEST_ASKED_PAUSE = 600.0
TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
IDENTITY = {"Accept-Encoding": "identity"}  # bytes as they are: they are hashed


class TransientError(DownloadError):
    """A failure that another try may mend; ``pause`` is what the server asked for, in seconds."""

    def __init__(self, message: str, pause: float = 0.0) -> None:
        super().__init__(message)
        self.pause = pause


class UnreachableError(TransientError):
    """No connection to a server came about."""


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
        Failures after which a download is given up.
    timeout
        Seconds without an answer or a byte that count as a failure.
    first_pause, longest_pause
        Seconds between attempts: doubled from the first, with some chance, up to the longest.
    """

    mirror: str = ""
    offline: bool = False
    attempts: int = 6
    timeout: float = 60.0
    first_pause: float = 1.0
    longest_pause: float = 120.0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> DownloadOptions:
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


def retrying(options: DownloadOptions) -> tenacity.Retrying:
    """Return a caller that tries again after a `TransientError`, and raises the last of them.

    pooch's own retries would ask again after a refusal, and would not heed ``Retry-After``.
    """
    pause = tenacity.wait_exponential(
        options.first_pause, options.longest_pause
    ) + tenacity.wait_random(0, options.first_pause)
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(TransientError),
        stop=tenacity.stop_after_attempt(options.attempts),
        wait=lambda state: max(pause(state), _pause_of(state)),
        reraise=True,
    )


@contextmanager
def explaining_errors(url: str) -> Iterator[None]:
    """Raise what goes wrong with a request as a `DownloadError` that names the address."""
    try:
        yield
    except requests.exceptions.SSLError as error:
        raise DownloadError(f"{url}: the certificate is not accepted: {error}") from error
    except requests.ConnectionError as error:
        if isinstance(error.args[0] if error.args else None, MaxRetryError):
            raise UnreachableError(f"{url}: no connection: {_reason(error)}") from error
        raise TransientError(f"{url}: the connection broke: {_reason(error)}") from error
    except (requests.Timeout, requests.exceptions.ChunkedEncodingError, HTTPError) as error:
        raise TransientError(f"{url}: the connection broke: {_reason(error)}") from error
    except requests.RequestException as error:
        raise DownloadError(f"{url}: {error}") from error


def require_success(response: requests.Response) -> None:
    """Refuse an answer that is neither a success nor a redirect.

    Raises
    ------
    TransientError, DownloadError
        If the server fails; if it refuses.
    """
    if response.ok:
        return
    response.close()
    met = f"{response.url}: the server answered {response.status_code} {response.reason}"
    if response.status_code in TRANSIENT_STATUS:
        raise TransientError(met, asked_pause(response.headers))
    raise DownloadError(f"{met}. Is the address in the zoo still right, or is a mirror needed?")


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
    """Return the text of a web page, at most its first mebibyte, and close the connection."""
    with response:
        content = next(response.iter_content(PAGE_BYTES), b"")
    return content.decode(response.encoding or "utf-8", errors="replace")


def title(page: str) -> str:
    """Return the title of a web page, or how it begins."""
    found = re.search(r"<title[^>]*>(.*?)</title>", page, re.DOTALL | re.IGNORECASE)
    return (found.group(1) if found else page[:80]).strip()


def stated_hash(response: requests.Response) -> str:
    """Return the sha256 that Hugging Face states on its way to a large file, or ``""``."""
    stated = response.headers.get("X-Linked-Etag", "").strip('"').lower()
    return stated if re.fullmatch(r"[0-9a-f]{64}", stated) else ""


def _pause_of(state: tenacity.RetryCallState) -> float:
    error = state.outcome and state.outcome.exception()
    return error.pause if isinstance(error, TransientError) else 0.0


def _reason(error: Exception) -> str:
    """Return the cause: urllib3 wraps it in the URL and the number of tries."""
    inner = error.args[0] if error.args else error
    return str(getattr(inner, "reason", None) or inner)
