"""The workflow on a real SLURM, as a user with a cluster runs it, and what goes wrong there.

Every fault hits the same synthesis in the middle; what comes out in the end must have the bits
of an undisturbed run on this machine, and progress on disk must never have gone backwards.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import debian
import pandas as pd
import pytest
import scenarios
from local_slurm import local_slurm, why_not
from runs import (
    CHECKPOINT,
    CONDITION,
    LOG,
    LONG,
    METAMERS,
    ROOT,
    SMALL,
    ClusterRun,
    local,
    profile_with,
)

from metamers.storage import metamers as metamer_files

pytestmark = [pytest.mark.slurm, pytest.mark.filterwarnings("always:SLURM is not tested")]

GATE = "results/small/tables/accuracy.parquet"
EVALUATED = [
    f"results/small/{name}.parquet"
    for name in (
        "predictions/references/photographs/squeezenet1_1",
        "predictions/metamers/000-of-001/00-of-01",
        "measurements/similarity/000-of-001/00-of-01",
        "measurements/image_metrics/000-of-001",
    )
]
TARGETS = [
    "results/small/tables/paper_comparison.parquet",
    "results/small/figures/recognizability.svg",
    "results/small/figures/optimisation.svg",
]
ANALYSIS = "compare_with_paper_draw_figures_tabulate_measurements_tabulate_recognizability"
TURNS = 300  # of the long synthesis


@pytest.fixture(scope="session")
def slurm():
    """A SLURM; without one a skip that the summary warns of.

    With ``METAMERS_REQUIRE_SLURM=1``, as in `.ci/run`, that is an error.
    """
    met = debian.install() if why_not() is not None else ""
    reason = why_not()
    if reason is not None:
        said = f"SLURM is not tested: {reason}" + (f"; apt-get said: {met}" if met else "")
        assert os.environ.get("METAMERS_REQUIRE_SLURM") != "1", said
        warnings.warn(said, stacklevel=1)
        pytest.skip(said)
    with local_slurm() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A folder with everything that comes before synthesis."""
    folder = tmp_path_factory.mktemp("prepared")
    local(folder, GATE)
    return folder


@pytest.fixture(scope="session")
def begin(prepared, tmp_path_factory):
    """A function that makes a folder ready for synthesis, and a run in it."""

    def make(name, **keys):
        folder = tmp_path_factory.mktemp(name) / "run"
        shutil.copytree(prepared, folder)
        return ClusterRun(folder, **keys)

    return make


@pytest.fixture(scope="session")
def undisturbed(prepared, tmp_path_factory):
    """Folders of a short and a long run on this machine, without a break."""
    folders = {}
    for name, targets, configs in (
        ("short", EVALUATED, (SMALL,)),
        ("long", [METAMERS], (SMALL, LONG)),
    ):
        folders[name] = tmp_path_factory.mktemp(name) / "run"
        shutil.copytree(prepared, folders[name])
        local(folders[name], *targets, configs=configs)
    return folders


@pytest.fixture(scope="session")
def first_wave(slurm, begin, tmp_path_factory):
    """Runs that need SLURM as it is; side by side, since they mostly wait."""
    line, instead = "runtime: ?site.runtime(240)", "runtime: ?site.runtime(4)"
    profile = profile_with(tmp_path_factory.mktemp("profile") / "slurm", line, instead)
    slow = begin("over_its_limit", profile=profile)
    slow.start(METAMERS)
    slow.until_under_way()
    fresh = ClusterRun(tmp_path_factory.mktemp("whole"))
    pool = ThreadPoolExecutor()
    return {
        "over_its_limit": pool.submit(scenarios.over_its_limit, slurm, slow),
        "whole": pool.submit(scenarios.whole, slurm, fresh, *TARGETS),
        "cancelled": pool.submit(scenarios.cancelled, slurm, begin("cancelled")),
        "snakemake_killed": pool.submit(scenarios.snakemake_killed, slurm, begin("killed")),
    }


@pytest.fixture(scope="session")
def second_wave(slurm, begin, first_wave):
    """Runs on nodes whose daemons die, once nobody else submits jobs."""
    wait(first_wave.values())
    flaky, fragile = (begin(name, partition=name, sacct=False) for name in ("flaky", "fragile"))
    crash_is_over = threading.Event()
    pool = ThreadPoolExecutor()
    return {
        name: pool.submit(getattr(scenarios, name), slurm, run, crash_is_over)
        for name, run in (("daemons_restarted", flaky), ("node_crashed", fragile))
    }


def metamers(folder: Path):
    return metamer_files.load(folder / METAMERS)


def assert_nothing_lost(outcome, undisturbed):
    found, expected = metamers(outcome.run.folder), metamers(undisturbed["long"])
    assert found.image_ids == expected.image_ids
    assert (found.floats == expected.floats).all()
    assert not (outcome.run.folder / CHECKPOINT).exists()


def assert_went_on(outcome):
    """The run resumed from what it had, and never fell behind it."""
    assert 0 < outcome.turn < TURNS
    assert outcome.run.turns == sorted(outcome.run.turns)
    assert "going on from" in (outcome.run.folder / LOG).read_text()


def test_whole_workflow_makes_tables_and_figures(first_wave):
    folder = first_wave["whole"].result().run.folder
    assert all((folder / target).stat().st_size > 1000 for target in TARGETS)


def test_whole_workflow_gives_the_results_of_this_machine(first_wave, undisturbed):
    folder = first_wave["whole"].result().run.folder
    for path in EVALUATED:
        pd.testing.assert_frame_equal(
            pd.read_parquet(folder / path), pd.read_parquet(undisturbed["short"] / path)
        )


def test_jobs_get_what_profile_and_site_file_say(first_wave):
    """What the controller had of each rule: jobs, partition, GPUs, time limit and memory."""
    asked = Counter()
    for job in first_wave["whole"].result().notes:
        rule = re.search(r"logs/slurm/(\w+?)/", job["StdOut"])[1]
        gpu = job.get("TresPerJob")
        asked[rule, job["Partition"], gpu, job["TimeLimit"], job["MinMemoryNode"]] += 1
    gpu = "gres:gpu:fake:1"
    assert asked == {
        ("rule_prepare_references", "cpu", None, "02:00:00", "8000M"): 1,
        ("rule_prepare_null_pool", "cpu", None, "01:00:00", "8000M"): 1,
        ("rule_predict_references", "gpu", gpu, "01:00:00", "16000M"): 4,
        ("rule_measure_baselines", "gpu", gpu, "01:00:00", "16000M"): 1,
        ("rule_synthesize_metamers", "gpu", gpu, "04:00:00", "16000M"): 4,
        ("group_evaluation_evaluate_models", "gpu", gpu, "01:00:00", "16000M"): 1,
        ("group_measurement_measure_images", "cpu", None, "02:00:00", "8000M"): 1,
        (f"group_analysis_{ANALYSIS}", "cpu", None, "02:00:00", "16000M"): 1,
    }


def test_job_over_its_time_limit_goes_on_in_a_longer_one(first_wave, undisturbed):
    """And was computing until SLURM warned it, a minute or two after it began."""
    outcome = first_wave["over_its_limit"].result()
    assert outcome.states == ["FAILED", "COMPLETED"]
    assert outcome.notes < outcome.turn
    assert_went_on(outcome)
    assert_nothing_lost(outcome, undisturbed)


def test_cancelled_job_goes_on_in_another(first_wave, undisturbed):
    outcome = first_wave["cancelled"].result()
    assert outcome.states == ["CANCELLED", "COMPLETED"]
    assert_went_on(outcome)
    assert_nothing_lost(outcome, undisturbed)


def test_killed_snakemake_goes_on_when_it_is_started_again(first_wave, undisturbed):
    outcome = first_wave["snakemake_killed"].result()
    assert outcome.states == ["CANCELLED", "COMPLETED"]
    assert_went_on(outcome)
    assert_nothing_lost(outcome, undisturbed)


def test_status_shows_the_progress_of_a_job_on_a_node(first_wave):
    folder = first_wave["cancelled"].result().run.folder
    command = [sys.executable, "-m", "metamers", "status", "results/small", "--all"]
    command += ["--default", str(ROOT / "config/config.yaml")]
    command += [word for config in (SMALL, LONG) for word in ("--configfile", str(config))]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    condition, shard = CONDITION.rsplit("/", 1)
    (line,) = [x for x in done.stdout.splitlines() if condition in x and shard in x]
    assert "done" in line
    assert "100%" in line
    assert "loss=" in line


def test_doctor_names_the_job_that_a_killed_snakemake_left(first_wave):
    outcome = first_wave["snakemake_killed"].result()
    assert f"scancel {outcome.run.submitted()[0]}" in outcome.notes


def test_restarted_daemons_disturb_no_job(second_wave, undisturbed):
    outcome = second_wave["daemons_restarted"].result()
    assert outcome.states == ["COMPLETED"]
    assert 0 < outcome.turn < TURNS
    assert_nothing_lost(outcome, undisturbed)


def test_job_of_a_crashed_node_goes_on_when_the_node_is_back(second_wave, undisturbed):
    outcome = second_wave["node_crashed"].result()
    assert outcome.states == ["COMPLETED"]
    assert outcome.notes["Restarts"] == "1"
    assert_went_on(outcome)
    assert_nothing_lost(outcome, undisturbed)
