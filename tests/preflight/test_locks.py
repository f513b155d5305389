"""A lock is taken away only where nobody holds it."""

import subprocess
import sys

import pytest
import typer

from metamers.cli import main
from metamers.preflight import locks

# As a job of Snakemake is: a Python whose script lies in .snakemake.
JOB = [sys.executable, "-c", "print(flush=True); input()", ".snakemake/scripts/job.py"]


@pytest.fixture
def locked(tmp_path):
    (tmp_path / ".snakemake/locks").mkdir(parents=True)
    (tmp_path / ".snakemake/locks/0.input.lock").touch()
    return tmp_path


def test_a_folder_without_locks_is_not_locked(tmp_path):
    assert not locks.is_locked(tmp_path)
    (tmp_path / ".snakemake/locks").mkdir(parents=True)
    assert not locks.is_locked(tmp_path)


def test_only_what_works_in_the_folder_holds_its_lock(locked, tmp_path_factory):
    with subprocess.Popen(JOB, cwd=locked, stdin=-1, stdout=-1, text=True) as job:
        job.stdout.readline()
        assert locks.workers(locked) == [job.pid]
        assert locks.workers(tmp_path_factory.mktemp("other")) == []
        job.communicate("\n")
    assert locks.workers(locked) == []


def test_demo_unlocks_a_folder_that_nobody_works_in(locked, monkeypatch):
    said = []
    monkeypatch.setattr(main, "_snakemake", lambda *arguments, **_: said.append(arguments))
    with subprocess.Popen(JOB, cwd=locked, stdin=-1, stdout=-1, text=True) as job:
        job.stdout.readline()
        with pytest.raises(typer.BadParameter, match=str(job.pid)):
            main._unlock(locked)
        job.communicate("\n")
    assert said == []
    main._unlock(locked)
    assert said == [("--unlock", "--quiet", "all")]
