"""Files of weights in a cache, good and bad."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import random
import zipfile
from dataclasses import replace

import torch
import torchvision
import yaml

from metamers.models.weights import lock
from metamers.models.weights.errors import (
    TruncatedFileError,
    UnreadableFileError,
    WebPageError,
    WrongHashError,
)
from metamers.models.weights.http import DownloadOptions
from metamers.models.weights.row import WeightsRow

CONTENT = pickle.dumps({"weight": random.Random(0).randbytes(100_000)})


SHA = hashlib.sha256(CONTENT).hexdigest()


QUICK = DownloadOptions(attempts=2, timeout=1, first_pause=0.001, longest_pause=0.002)


OFFLINE = replace(QUICK, offline=True)


def row(url="https://host.org/net.pth", **values):
    return WeightsRow(source="url", file="net.pth", url=url, **values)


def put(cache, content, file="net.pth"):
    cache.mkdir(parents=True, exist_ok=True)
    (cache / file).write_bytes(content)
    return cache / file


def pins(cache):
    return lock.read(cache / "weights.lock")


def set_aside(cache):
    return sorted((cache / "quarantine").glob("*"))


def zipped(content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("data.pkl", content)
    return file.getvalue()


def safetensors(content):
    header = {"x": {"dtype": "U8", "shape": [len(content)], "data_offsets": [0, len(content)]}}
    encoded = json.dumps(header).encode()
    return len(encoded).to_bytes(8, "little") + encoded + content


BAD = [
    (b"<!DOCTYPE html><title>Sign in</title>", WebPageError, "is a web page"),
    (b"\n <html><body>404</body></html>", WebPageError, "is a web page"),
    (b'{"error": "not found"}', UnreadableFileError, "expected is a torch checkpoint"),
    (b"", TruncatedFileError, "is empty"),
    (zipped(CONTENT)[:-30], TruncatedFileError, "has no end"),
    (safetensors(CONTENT)[:-30], TruncatedFileError, "its safetensors header says"),
    (safetensors(CONTENT)[:40], TruncatedFileError, "within its header"),
    (CONTENT[:-30], TruncatedFileError, f"{len(CONTENT) - 30} bytes.*says {len(CONTENT)}"),
    (CONTENT[:-1] + b"x", WrongHashError, f"expected is {SHA[:8]}"),
]


def zoo_of_two(folder):
    """A zoo of one local network and one at an address."""
    torch.save(torchvision.models.squeezenet1_1().state_dict(), folder / "mine.pth")
    base = {
        "label": "Net", "family": "cnn", "training": "standard", "blocks": ["features.*"],
        "architecture": "torchvision:squeezenet1_1", "parameters": 1_235_496,
        "normalisation": None,
    }  # fmt: skip
    mine = {"source": "local", "path": str(folder / "mine.pth"), "file": "mine.pth"}
    away = {"source": "url", "url": "https://host.org/away.pth", "file": "away.pth"}
    rows = {"mine": base | {"weights": mine}, "away": base | {"weights": away}}
    (folder / "models.yaml").write_text(yaml.safe_dump(rows))
    return folder / "models.yaml"
