"""Locating, fetching and verifying the files that the zoo's rows name."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import random
import subprocess
import tarfile
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from misbehaving_server import Answer, serving
from typer.testing import CliRunner

from metamers.cli.weights import app
from metamers.models import zoo
from metamers.models.classifier import load_pretrained
from metamers.models.weights import cache as weights
from metamers.models.weights import lock, survey, verification
from metamers.models.weights.errors import (
    DownloadError,
    MissingWeightsError,
    OtherArchitectureError,
    RenamedKeysError,
    TruncatedFileError,
    UnreadableFileError,
    WebPageError,
    WeightsError,
    WrongHashError,
)
from metamers.models.weights.http import DownloadOptions
from metamers.models.weights.row import WeightsRow

ROOT = Path(__file__).parents[3]
CONTENT = pickle.dumps({"weight": random.Random(0).randbytes(100_000)})
SHA = hashlib.sha256(CONTENT).hexdigest()
QUICK = DownloadOptions(attempts=2, timeout=1, first_pause=0.001, longest_pause=0.002)
OFFLINE = replace(QUICK, offline=True)


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("METAMERS_LOCK", raising=False)
    monkeypatch.delenv("METAMERS_CACHE", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


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


# Files of installed packages


@pytest.fixture
def package(monkeypatch, tmp_path):
    folder = tmp_path / "site" / "weights_in_a_package"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('this package was imported')")
    (folder / "net.pth").write_bytes(CONTENT)
    monkeypatch.syspath_prepend(folder.parent)
    return folder


def packaged(**values):
    return WeightsRow(source="package", package="weights_in_a_package", file="net.pth", **values)


def test_file_of_a_package_is_located_without_importing_it(package, cache):
    assert weights.locate(packaged(path="net.pth", sha256=SHA), cache) == package / "net.pth"


def test_package_that_is_not_installed_is_named(cache):
    absent = WeightsRow(source="package", package="not_a_package", path="net.pth", file="net.pth")
    with pytest.raises(MissingWeightsError, match=r"'not_a_package'.*not installed"):
        weights.locate(absent, cache)


def test_file_that_a_package_lacks_is_named(package, cache):
    with pytest.raises(MissingWeightsError, match=r"no file 'other.pth'"):
        weights.locate(packaged(path="other.pth"), cache)


def test_wrong_file_of_a_package_stays_where_it_is(package, cache):
    with pytest.raises(WrongHashError):
        weights.locate(packaged(path="net.pth", sha256="0" * 64), cache)
    assert (package / "net.pth").read_bytes() == CONTENT


def test_embedded_rows_are_located_and_verified(cache):
    rows = zoo.specs(zoo.read(ROOT / "config/models.yaml"))
    embedded = [spec.weights for spec in rows.values() if spec.weights.source == "package"]
    assert len(embedded) == 3
    for row_of_package in embedded:
        path = weights.locate(row_of_package, cache)
        assert hashlib.sha256(path.read_bytes()).hexdigest() == row_of_package.sha256


# Source packages


@pytest.fixture
def sdist(monkeypatch, tmp_path):
    """A package index of one source package, whose setup.py leaves a trace."""
    index = tmp_path / "index"
    index.mkdir()
    trace = tmp_path / "setup_was_run"
    setup = f"from setuptools import setup\nopen({str(trace)!r}, 'w').close()\n"
    files = {
        "setup.py": f"{setup}setup(name='tinynet', version='1.0')\n".encode(),
        "PKG-INFO": b"Metadata-Version: 1.0\nName: tinynet\nVersion: 1.0\n",
        "net/weights.pkl": CONTENT,
    }
    path = index / "tinynet-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(f"tinynet-1.0/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    return path


def in_sdist(sdist, **values):
    digest = hashlib.sha256(sdist.read_bytes()).hexdigest()
    return WeightsRow(
        **{
            "source": "sdist",
            "package": "tinynet==1.0",
            "package_sha256": digest,
            "path": "tinynet-1.0/net/weights.pkl",
            "file": "net.pth",
            "sha256": SHA,
        }
        | values
    )


def test_file_of_a_source_package_is_fetched_once(sdist, cache, monkeypatch):
    path = weights.fetch(in_sdist(sdist), cache)
    assert path.read_bytes() == CONTENT
    path.unlink()
    monkeypatch.setattr(subprocess, "run", None)
    assert weights.fetch(in_sdist(sdist), cache).read_bytes() == CONTENT


def test_source_package_of_another_hash_is_refused_before_its_setup_runs(sdist, cache, tmp_path):
    with pytest.raises(DownloadError, match=r"tinynet==1.0[\s\S]*DO NOT MATCH"):
        weights.fetch(in_sdist(sdist, package_sha256="0" * 64), cache)
    assert not (tmp_path / "setup_was_run").exists()


def test_missing_file_of_a_source_package_is_named(sdist, cache):
    (cache / "packages").mkdir(parents=True)
    sdist.rename(cache / "packages" / sdist.name)
    there = cache / "packages" / sdist.name
    with pytest.raises(TruncatedFileError, match=r"no file 'tinynet-1.0/other'"):
        weights.fetch(in_sdist(there, path="tinynet-1.0/other"), cache)


# Fetching


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


@pytest.mark.parametrize(("content", "error", "message"), BAD)
def test_bad_file_of_the_cache_is_set_aside_with_the_reason(cache, content, error, message):
    put(cache, content)
    pinned = row(sha256_prefix=SHA[:8], size=len(CONTENT))
    with pytest.raises(error, match=message):
        weights.fetch(pinned, cache, OFFLINE)
    assert not (cache / "net.pth").exists()
    bad, reason = set_aside(cache)
    assert bad.read_bytes() == content
    assert error.__name__ in reason.read_text()


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


def test_verified_file_is_not_hashed_twice(cache, monkeypatch):
    put(cache, CONTENT)
    weights.fetch(row(sha256=SHA), cache, OFFLINE)
    monkeypatch.setattr(hashlib, "file_digest", None)
    weights.fetch(row(sha256=SHA), cache, OFFLINE)


def test_file_that_changed_is_hashed_again(cache):
    path = put(cache, CONTENT)
    weights.fetch(row(sha256=SHA), cache, OFFLINE)
    path.write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(WrongHashError):
        weights.fetch(row(sha256=SHA), cache, OFFLINE)


def test_unknown_source_and_random_weights_have_no_file(cache):
    for source in ("torrent", "random"):
        with pytest.raises(WeightsError, match=f"source '{source}' have no file"):
            weights.locate(WeightsRow(source=source), cache)


def test_file_name_cannot_leave_the_cache(cache):
    with pytest.raises(WeightsError, match="no name of a file"):
        weights.locate(replace(row(), file="../net.pth"), cache)


def test_local_file_is_used_where_it_is_and_never_moved(cache, tmp_path):
    mine = put(tmp_path / "mine", CONTENT)
    local = WeightsRow(source="local", path=str(mine), file="net.pth")
    assert weights.locate(local, cache) == mine
    with pytest.raises(WrongHashError):
        weights.locate(replace(local, sha256="0" * 64), cache)
    assert mine.read_bytes() == CONTENT
    assert not pins(cache)


# The lock


def test_hash_that_nobody_states_is_recorded_on_first_use_and_holds_from_then_on(cache):
    with serving(Answer(CONTENT)) as server:
        weights.fetch(row(server.url), cache, QUICK)
    assert pins(cache)["net.pth"].recorded == "first use"
    put(cache, pickle.dumps("other"))
    with pytest.raises(WrongHashError, match=f"expected is {SHA}"):
        weights.fetch(row(), cache, OFFLINE)


def test_whole_hash_is_recorded_for_a_prefix(cache):
    put(cache, CONTENT)
    weights.fetch(row(sha256_prefix=SHA[:8]), cache, OFFLINE)
    assert pins(cache)["net.pth"].recorded == "prefix"
    assert pins(cache)["net.pth"].sha256 == SHA


def test_hash_that_the_server_states_is_recorded(cache):
    with serving(Answer(CONTENT, headers={"X-Linked-Etag": f'"{SHA}"'})) as server:
        weights.fetch(row(server.url), cache, QUICK)
    assert pins(cache)["net.pth"].recorded == "source"


def test_file_that_the_server_states_otherwise_is_set_aside(cache):
    other = Answer(CONTENT, headers={"X-Linked-Etag": f'"{"0" * 64}"'})
    with serving(other) as server, pytest.raises(WrongHashError):
        weights.fetch(row(server.url), cache, QUICK)
    assert not pins(cache)
    assert set_aside(cache)[0].read_bytes() == CONTENT


def test_row_and_lock_that_disagree_are_an_error(cache):
    put(cache, CONTENT)
    weights.fetch(row(), cache, OFFLINE)
    with pytest.raises(WrongHashError, match="remove the wrong one"):
        weights.fetch(row(sha256="0" * 64), cache, OFFLINE)
    assert (cache / "net.pth").exists()


@pytest.mark.parametrize("pinned", ["abc", "not hexadecimal", "a" * 65])
def test_hash_of_a_row_is_hexadecimal_and_long_enough(pinned):
    with pytest.raises(WrongHashError, match="8 to 64 hex digits"):
        verification.pinned_hash(row(sha256_prefix=pinned))


def test_project_lock_is_used_inside_a_project(cache, tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config/weights.lock").touch()
    put(cache, CONTENT)
    weights.fetch(row(), cache, OFFLINE)
    assert list(yaml.safe_load((tmp_path / "config/weights.lock").read_text())) == ["net.pth"]


def test_file_that_does_not_load_is_set_aside_and_its_first_use_withdrawn(cache):
    path = weights.locate(row(url="x"), put(cache, CONTENT).parent)
    with pytest.raises(RenamedKeysError, match="set aside"), weights.rejecting(row(), path, cache):
        raise RenamedKeysError("names differ")
    assert not pins(cache)
    assert set_aside(cache)[0].read_bytes() == CONTENT


def test_pin_that_a_row_vouches_for_is_never_withdrawn(cache, tmp_path):
    pin = lock.Pin(SHA, 1, "x", "prefix")
    lock.record(tmp_path / "lock", "net.pth", pin, cache)
    lock.remove_unverified(tmp_path / "lock", "net.pth", cache)
    assert lock.read(tmp_path / "lock") == {"net.pth": pin}


# All models at once


def test_offline_all_that_is_missing_comes_in_one_table(cache):
    rows = {
        "one": row(size=12_300_000),
        "two": replace(row("https://host.org/b"), file="b.pth", size_about=500_000_000),
        "three": WeightsRow(source="random"),
        "four": WeightsRow(source="gdrive", file="c.pth", url="0123456789a"),
    }
    with pytest.raises(MissingWeightsError) as caught:
        survey.fetch_all(rows, cache, OFFLINE)
    text = str(caught.value)
    for part in ("3 in all", "12.3 MB", "~500.0 MB", "https://host.org/b", str(cache / "b.pth")):
        assert part in text
    assert "three" not in text
    assert text.count("0123456789a") == 1


def test_failures_of_all_models_come_in_one_error(cache):
    with serving(Answer(status=404)) as server:
        rows = {"one": row(server.url), "two": replace(row(server.url), file="b.pth")}
        with pytest.raises(WeightsError, match=r"2 of 2 failed:\none: .*404.*\ntwo: .*404"):
            survey.fetch_all(rows, cache, QUICK)


def test_without_a_network_only_the_first_model_is_waited_for(cache, monkeypatch):
    with serving(Answer()) as server:
        pass
    rows = {name: replace(row(server.url), file=name) for name in ("one", "two", "three")}
    slept = []
    monkeypatch.setattr("tenacity.nap.time.sleep", slept.append)
    with pytest.raises(WeightsError, match="3 of 3 failed"):
        survey.fetch_all(rows, cache, QUICK)
    assert len(slept) == QUICK.attempts - 1


def test_two_models_cannot_share_a_name_in_the_cache():
    rows = {"one": row("https://a.org/net.pth"), "two": row("https://b.org/net.pth")}
    with pytest.raises(WeightsError, match=r"'one' and 'two' both call their file 'net.pth'"):
        survey.refuse_shared_names(rows)


def test_rows_of_the_zoo_have_places_of_their_own(cache):
    specs = zoo.specs(zoo.read(ROOT / "config/models.yaml")).values()
    rows = {spec.name: spec.weights for spec in specs if spec.weights.source != "random"}
    survey.refuse_shared_names(rows)
    places = [weights.target(row_of_zoo, cache) for row_of_zoo in rows.values()]
    assert len(set(places)) == len(rows)
    assert all(len(verification.pinned_hash(w)) in (0, *range(8, 65)) for w in rows.values())


def test_locks_entries_agree_with_the_rows():
    rows = zoo.specs(zoo.read(ROOT / "config/models.yaml")).values()
    by_file = {spec.weights.file: spec.weights for spec in rows}
    for name, pin in lock.read(ROOT / "config/weights.lock").items():
        assert pin.sha256.startswith(verification.pinned_hash(by_file[name]))
        assert len(pin.sha256) == 64


# The commands


@pytest.fixture
def models(tmp_path):
    """A zoo of one local network and one at an address."""
    import torch
    import torchvision

    torch.save(torchvision.models.squeezenet1_1().state_dict(), tmp_path / "mine.pth")
    base = {
        "label": "Net", "family": "cnn", "training": "standard", "blocks": ["features.*"],
        "architecture": "torchvision:squeezenet1_1", "parameters": 1_235_496,
        "normalisation": None,
    }  # fmt: skip
    mine = {"source": "local", "path": str(tmp_path / "mine.pth"), "file": "mine.pth"}
    away = {"source": "url", "url": "https://host.org/away.pth", "file": "away.pth"}
    rows = {"mine": base | {"weights": mine}, "away": base | {"weights": away}}
    (tmp_path / "models.yaml").write_text(yaml.safe_dump(rows))
    return tmp_path / "models.yaml"


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_status_says_what_is_there(models, cache):
    result = run("status", "--models", models, "--cache", cache)
    assert result.exit_code == 0
    assert "mine     ready" in result.output
    assert "1 missing, 1 ready" in result.output


def test_fetch_offline_prints_the_table_and_fails(models, cache):
    result = run("fetch", "--offline", "--models", models, "--cache", cache)
    assert result.exit_code == 1
    assert str(cache / "away.pth") in result.output


def test_fetch_through_a_mirror(models, cache):
    with serving(Answer(CONTENT)) as server:
        arguments = (
            "--models",
            models,
            "--cache",
            cache,
            "--mirror",
            f"{server.url}/{{host}}/{{path}}",
        )
        result = run("fetch", "away", *arguments)
    assert result.exit_code == 0
    assert server.paths == ["/host.org/away.pth"]
    assert "lock (first use)" in result.output


def test_verify_loads_each_file_into_its_architecture(models, cache):
    assert run("verify", "mine", "--load", "--models", models, "--cache", cache).exit_code == 0
    put(cache, CONTENT, "away.pth")
    result = run("verify", "--load", "--models", models, "--cache", cache)
    assert result.exit_code == 1
    assert "away: " in result.output
    assert set_aside(cache)[0].read_bytes() == CONTENT
    assert not pins(cache)


def test_unknown_model_is_named_with_those_known(models, cache):
    result = run("status", "other", "--models", models, "--cache", cache)
    assert result.exit_code == 2
    assert "away" in result.output


# From a row to a classifier


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


def test_weights_of_a_factory_are_generated_and_have_no_file(models, cache):
    row = zoo.read(models)["away"] | {"name": "own", "weights": {"source": "factory"}}
    row["architecture"] = "import:mine:net"
    weights = zoo.ModelSpec.of(row).weights
    (finding,) = survey.survey({"own": weights}, cache)
    assert (finding.state, finding.note) == ("generated", "by its factory")
    assert survey.fetch_one("own", weights, cache) == {
        "model": "own",
        "source": "factory",
    }
