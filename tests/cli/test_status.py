"""How far a run has come, by its files and the logs that `snakemake_script` writes."""

import sys

import pytest
from typer.testing import CliRunner

from metamers import snakemake_script
from metamers.cli.main import app


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a run of the quickstart with a synthesis in each state; the rest is waiting."""
    folder, logs = tmp_path / "results/quickstart", tmp_path / "logs/quickstart"
    at = "photographs/main/{}/late/unbounded"
    shard = "000-of-001"
    made = folder / "metamers" / at.format("lite_pair") / f"{shard}.safetensors"
    made.parent.mkdir(parents=True)
    made.write_bytes(b"")
    for model_set in ("single_lite0", "single_lite1"):
        log = logs / "synthesize_metamers" / at.format(model_set) / f"{shard}.log"
        log.parent.mkdir(parents=True)
        with log.open("w") as stream, monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", stream)
            look = snakemake_script._lines(stream, 0)
            patch.setattr(snakemake_script, "_looks", lambda look=look: [look])
            with snakemake_script.progress(200, "photographs/main", unit="image-step") as bar:
                bar.advance(90, loss="0.3100")
                if model_set == "single_lite1":
                    stream.write("\nTraceback (most recent call last):\n")
    return folder


def status(*arguments):
    return CliRunner().invoke(app, ["status", *map(str, arguments)], env={"COLUMNS": "300"})


def test_states_are_counted_and_those_at_work_and_failed_are_shown(run):
    result = status(run)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[-1] == "33 syntheses: 1 done, 1 begun, 1 failed, 30 waiting"
    begun = next(line for line in lines if "single_lite0" in line)
    assert " begun " in begun
    assert "45% of 200 image-steps, 00:00 gone, 00:00 left" in begun
    assert "loss=0.3100" in begun
    assert " failed " in next(line for line in lines if "single_lite1" in line)
    assert len(lines) == 2 + 2 + 1


def test_all_of_them_are_shown_when_asked_for(run):
    assert len(status(run, "--all").output.splitlines()) == 2 + 33 + 1


def test_another_folder_is_refused(tmp_path):
    result = status(tmp_path)
    assert result.exit_code == 2
    assert "quickstart" in result.output
