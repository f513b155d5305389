"""Files that a server of the tests offers, and how tests fetch them."""

from __future__ import annotations

import random

from misbehaving_server import Answer

from metamers.models.weights import download
from metamers.models.weights.http import DownloadOptions

CONTENT = b"\x80" + random.Random(0).randbytes(600_000)


OTHER = b"\x80" + random.Random(1).randbytes(600_000)


HONEST = Answer(CONTENT)


PAGE = Answer(b"<html><title>Sign in</title></html>", content_type="text/html", ranges=False)


QUICK = DownloadOptions(attempts=3, timeout=1, first_pause=0.001, longest_pause=0.002)


def fetch(server, part, options=QUICK, **what):
    return download.download(f"{server.url}/weights.pth", part, options, **what)
