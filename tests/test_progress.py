"""What a job tells of its progress, to its log and to the terminal of Snakemake."""

import io
import os
import sys

import pytest

from metamers import snakemake_script


@pytest.fixture
def clock(monkeypatch):
    seconds = [0.0]
    monkeypatch.setattr("tqdm.std.time", lambda: seconds[0])
    return seconds


@pytest.fixture
def streams(monkeypatch):
    monkeypatch.delenv(snakemake_script._HIDDEN, raising=False)
    return io.StringIO(), io.StringIO()


def work(streams, clock, turns, seconds, **begun):
    with pytest.MonkeyPatch.context() as patch:  # pytest, too, sets these until the test begins
        patch.setattr(sys, "stderr", streams[0])
        patch.setattr(sys, "__stderr__", streams[1])
        with snakemake_script.progress(200, "set/late", "image-step", **begun) as bar:
            for turn in range(turns):
                clock[0] += seconds
                bar.advance(20, loss=f"{0.5 - turn / 100:.4f}")
    return streams[0].getvalue(), streams[1].getvalue()


def test_a_long_job_tells_time_left_and_loss_in_lines_without_control_characters(clock, streams):
    log, terminal = work(streams, clock, turns=8, seconds=11)
    assert terminal.splitlines()[0] == (
        "set/late: 20% of 200 image-steps, 00:22 gone, 01:28 left, loss=0.4900"
    )
    assert len(terminal.splitlines()) == 4  # each 22 s
    assert len(log.splitlines()) == 1 + 8 + 1  # begin, turns, end
    assert (log + terminal).replace("\n", "").isprintable()


def test_a_short_job_is_in_its_log_alone(clock, streams):
    log, terminal = work(streams, clock, turns=10, seconds=1)
    assert terminal == ""
    assert "100% of 200 image-steps" in log


def test_steps_of_an_earlier_attempt_took_no_time(clock, streams):
    _, terminal = work(streams, clock, turns=1, seconds=22, done=100)
    assert "60% of 200 image-steps, 00:22 gone, 01:28 left" in terminal


def test_a_quiet_workflow_has_nothing_on_the_terminal(clock, streams, monkeypatch):
    monkeypatch.setattr(os, "environ", dict(os.environ))
    snakemake_script.hide_progress()
    log, terminal = work(streams, clock, turns=8, seconds=11)
    assert terminal == ""
    assert "loss=0.4300" in log
