"""A job that is killed at random instants, many times, gives the bits of one that is not."""

import json
import os
import subprocess
import sys

from fixtures import ROOT

RUNS, KILLS = 3, 8  # 24 in all, half of them within the writing of a checkpoint


def test_killed_two_dozen_times_the_result_is_bit_identical(tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "tests/support/killed_jobs.py"),
            str(tmp_path),
            str(RUNS),
            str(KILLS),
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == [{"killed": KILLS, "same": True}] * RUNS
