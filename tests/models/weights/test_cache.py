"""Locating and fetching the files that the zoo's rows name."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import replace

import pytest
from cached_files import BAD, CONTENT, OFFLINE, QUICK, SHA, pins, put, row, set_aside
from fixtures import ROOT
from misbehaving_server import Answer, serving

from metamers.models import zoo
from metamers.models.classifier import load_pretrained
from metamers.models.weights import cache as weights
from metamers.models.weights import lock
from metamers.models.weights.errors import (
    OtherArchitectureError,
    WebPageError,
    WeightsError,
    WrongHashError,
)
from metamers.models.weights.row import WeightsRow


def test_embedded_rows_are_located_and_verified(cache):
    rows = zoo.specs(zoo.read(ROOT / "config/models.yaml"))
    embedded = [spec.weights for spec in rows.values() if spec.weights.source == "package"]
    assert len(embedded) == 3
    for row_of_package in embedded:
        path = weights.locate(row_of_package, cache)
        assert hashlib.sha256(path.read_bytes()).hexdigest() == row_of_package.sha256


def test_fetched_file_is_verified_and_pinned(cache):
    with serving(Answer(CONTENT)) as server:
        path = weights.fetch(row(server.url, sha256=SHA, size=len(CONTENT)), cache, QUICK)
    assert path.read_bytes() == CONTENT
    assert pins(cache)["net.pth"] == lock.Pin(SHA, len(CONTENT), server.url, "row")
    assert not list((cache / "partial").iterdir())


def test_located_file_is_not_fetched_again(cache):
    with serving(Answer(CONTENT)) as server:
        weights.fetch(row(server.url), cache, QUICK)
        weights.fetch(row(server.url), cache, QUICK)
        weights.fetch(row(server.url), cache, OFFLINE)
    assert len(server.paths) == 1


def test_jobs_that_start_together_fetch_once(cache):
    with serving(Answer(CONTENT)) as server:
        jobs = [
            threading.Thread(target=weights.fetch, args=(row(server.url), cache, QUICK))
            for _ in range(4)
        ]
        for job in jobs:
            job.start()
        for job in jobs:
            job.join()
    assert len(server.paths) == 1
    assert (cache / "net.pth").read_bytes() == CONTENT


@pytest.mark.parametrize(("content", "error", "message"), BAD)
def test_bad_answer_is_set_aside_with_the_reason(cache, content, error, message):
    # The size that the server announces would be refused first, so the row states none.
    pinned = row(sha256_prefix=SHA[:8])
    expected = error if content != CONTENT[:-30] else WrongHashError
    with serving(Answer(content)) as server, pytest.raises(expected):
        weights.fetch(replace(pinned, url=server.url), cache, QUICK)
    assert not (cache / "net.pth").exists()
    bad, reason = set_aside(cache)
    assert bad.read_bytes() == content
    assert expected.__name__ in reason.read_text()


def test_announced_web_page_is_set_aside(cache):
    page = Answer(b"<p>maintenance", content_type="text/html")
    with serving(page) as server, pytest.raises(WebPageError, match="page was set aside as"):
        weights.fetch(row(server.url), cache, QUICK)
    assert set_aside(cache)[0].read_bytes() == page.content


def test_next_call_fetches_anew_what_was_set_aside(cache):
    put(cache, CONTENT[:-30])
    with serving(Answer(CONTENT)) as server:
        with pytest.raises(WrongHashError):
            weights.fetch(row(server.url, sha256=SHA), cache, QUICK)
        assert weights.fetch(row(server.url, sha256=SHA), cache, QUICK).read_bytes() == CONTENT


def test_unknown_source_and_random_weights_have_no_file(cache):
    for source in ("torrent", "random"):
        with pytest.raises(WeightsError, match=f"source '{source}' have no file"):
            weights.locate(WeightsRow(source=source), cache)


def test_file_name_cannot_leave_the_cache(cache):
    with pytest.raises(WeightsError, match="not a valid name of a file"):
        weights.locate(replace(row(), file="../net.pth"), cache)


def test_local_file_is_used_where_it_is_and_never_moved(cache, tmp_path):
    mine = put(tmp_path / "mine", CONTENT)
    local = WeightsRow(source="local", path=str(mine), file="net.pth")
    assert weights.locate(local, cache) == mine
    with pytest.raises(WrongHashError):
        weights.locate(replace(local, sha256="0" * 64), cache)
    assert mine.read_bytes() == CONTENT
    assert not pins(cache)


def test_classifier_of_a_local_row_has_the_files_weights(models, cache, tmp_path):
    import torch

    spec = zoo.specs(zoo.read(models))["mine"]
    met = load_pretrained(spec, cache).network.state_dict()
    stored = torch.load(tmp_path / "mine.pth", weights_only=True)
    assert all(torch.equal(met[name], tensor) for name, tensor in stored.items())


def test_file_of_another_network_is_set_aside_when_it_is_loaded(models, cache, tmp_path):
    import torch

    cache.mkdir()
    torch.save({"features.0.weight": torch.ones(2)}, cache / "away.pth")
    spec = zoo.specs(zoo.read(models))["away"]
    with pytest.raises(OtherArchitectureError, match="set aside"):
        load_pretrained(spec, cache)
    assert not (cache / "away.pth").exists()
    assert not pins(cache)


def test_random_row_needs_no_file(models, cache):
    spec = zoo.specs(zoo.read(models))["away"]
    drawn = replace(spec, weights=WeightsRow(source="random", seed=1))
    met = load_pretrained(drawn, cache)
    assert sum(parameter.numel() for parameter in met.parameters()) == spec.parameters
