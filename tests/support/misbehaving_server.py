"""An HTTP server on loopback that answers each request as its script says."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Answer:
    """One answer; by default an honest one, which knows ranges.

    `drop_after` bytes the connection is closed; `stall_after` bytes it falls silent.
    """

    content: bytes = b""
    status: int = 200
    etag: str = '"one"'
    ranges: bool = True
    longest_range: int = 1 << 40
    heeds_if_range: bool = True
    content_type: str = "application/octet-stream"
    declared_length: int | None = None
    drop_after: int | None = None
    stall_after: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Served:
    """The server's address, and what it was asked and sent."""

    url: str
    ranges: list[str | None] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    sent: int = 0


@contextmanager
def serving(*answers: Answer) -> Iterator[Served]:
    """Serve the answers in turn, the last of them for ever."""
    stop = threading.Event()
    served = Served("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = answers[min(len(served.paths), len(answers) - 1)]
            served.paths.append(self.path)
            served.ranges.append(self.headers.get("Range"))
            self._reply(answer)

        def _reply(self, answer: Answer) -> None:
            status, body, headers = _selected(answer, self.headers)
            length = len(body) if answer.declared_length is None else answer.declared_length
            self.send_response(status)
            for name, value in {"Content-Length": str(length), **headers, **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            end = len(body) if answer.drop_after is None else answer.drop_after
            end = end if answer.stall_after is None else answer.stall_after
            try:
                self.wfile.write(body[:end])
                served.sent += len(body[:end])
            except ConnectionError:  # the client has read enough
                return
            if answer.stall_after is not None:
                stop.wait(10)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield served
    finally:
        stop.set()
        server.shutdown()
        thread.join()
        time.sleep(0)
        server.server_close()


def _selected(answer: Answer, asked: Mapping[str, str]) -> tuple[int, bytes, dict[str, str]]:
    headers = {"Content-Type": answer.content_type}
    if answer.etag:
        headers["ETag"] = answer.etag
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", asked.get("Range", ""))
    current = not answer.heeds_if_range or asked.get("If-Range", answer.etag) == answer.etag
    if answer.status != 200 or not answer.ranges or found is None or not current:
        return answer.status, answer.content, headers
    total = len(answer.content)
    first = int(found[1])
    last = min(int(found[2] or total), total - 1, first + answer.longest_range - 1)
    if first >= total:
        return 416, b"", headers | {"Content-Range": f"bytes */{total}"}
    span = {"Content-Range": f"bytes {first}-{last}/{total}"}
    return 206, answer.content[first : last + 1], headers | span
