"""`make demo` shows the log of the job that failed."""

import os
import stat
import sys

import pytest
import typer

from metamers.cli import main


def test_the_log_of_a_failed_job_is_shown_and_no_other(tmp_path, monkeypatch, capsys):
    old = tmp_path / "logs/old.log"
    old.parent.mkdir()
    old.write_text("Traceback: of another day")
    os.utime(old, (1, 1))
    snakemake = tmp_path / "python"
    snakemake.write_text(
        f"#!/bin/sh\nprintf 'Traceback\\nWeightsError: the mean of the zoo is wrong\\n' "
        f"> {tmp_path}/logs/fetch.log\necho fine > {tmp_path}/logs/other.log\nexit 3\n"
    )
    snakemake.chmod(snakemake.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(snakemake))
    with pytest.raises(typer.Exit) as ended:
        main._snakemake("--cores", "1", logs=tmp_path / "logs")
    assert ended.value.exit_code == 3
    shown = capsys.readouterr().err
    assert "fetch.log" in shown
    assert "WeightsError: the mean of the zoo is wrong" in shown
    assert "another day" not in shown
    assert "other.log" not in shown
