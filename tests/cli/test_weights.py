"""The commands `metamers weights`."""

from __future__ import annotations

import pytest
from cached_files import CONTENT, pins, put, set_aside, zoo_of_two
from misbehaving_server import Answer, serving
from typer.testing import CliRunner

from metamers.cli.weights import app


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("METAMERS_LOCK", raising=False)
    monkeypatch.delenv("METAMERS_CACHE", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def models(tmp_path):
    return zoo_of_two(tmp_path)


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
