"""Full and read-only disks, little memory, wrong clocks, and others at the same files."""

from __future__ import annotations

import os
import random
import resource
import shutil
import subprocess
import time

import faulted_runs
import psutil
import pytest
import tiny_runs
import torch
import torchvision
import warm_workflow
from misbehaving_server import Answer, serving

from metamers.preflight.locks import is_locked

pytestmark = pytest.mark.workflow

FULL = "METAMERS_FAULTS" in os.environ
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system, as root")
YEAR = 365 * 86400


@pytest.fixture
def disk(tmp_path):
    """Return a folder that is a file system of its own, in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


RULES = (
    "fetch_weights", "prepare_references", "prepare_null_pool", "predict_references",
    "check_accuracy", "synthesize_metamers", "measure_baselines", "evaluate_models",
    "measure_images", "tabulate_recognizability", "tabulate_measurements", "compare_with_paper",
    "draw_figures", "draw_gallery", "verify_results",
)  # fmt: skip
SOME = ("synthesize_metamers",)


@AS_ROOT
def test_the_disk_is_full_for_each_kind_of_output(faulted, disk, tmp_path):
    """Snakemake's notes and the logs lie elsewhere, so that it is the output that has no room."""
    faulted.folder, faulted.out = disk / "run", tmp_path / "snakemake.out"
    tiny_runs.write(faulted.folder, *faulted.configured)
    for name in (".snakemake", "logs"):
        (tmp_path / name).mkdir()
        (faulted.folder / name).symlink_to(tmp_path / name)
    if FULL:
        faulted.whole = faulted_runs.undisturbed(
            faulted.server, tmp_path / "whole", targets=("--until", RULES[-1])
        )
    filler = disk / "filler"
    for index, rule in enumerate(RULES):
        if not FULL and rule not in SOME:
            continue
        if index and not FULL:
            faulted.to_end("--until", RULES[index - 1])
        free = os.statvfs(disk)
        filler.write_bytes(b"\0" * (free.f_bavail * free.f_frsize))
        faulted.start("--until", rule)
        assert faulted.wait() != 0, rule
        filler.unlink()
        assert "No space left on device" in faulted.run.said, (rule, faulted.run.said[-2000:])
        faulted.hit(f"disk full in {rule}")
        if FULL:
            faulted.to_end("--until", rule)
            # No rule but this one, which had no room.
            assert set(tiny_runs.jobs(faulted.run.said)) <= {rule}, faulted.run.said
    faulted.compare(*(("--until", RULES[-1]) if FULL else ()))


@AS_ROOT
def test_the_folder_is_read_only(faulted, disk):
    faulted.folder = disk / "run"
    faulted.to_end("--until", "predict_references")
    arguments = tiny_runs.write(faulted.folder, *faulted.configured)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    done = subprocess.run(
        [*warm_workflow.COMMAND, "--directory", faulted.folder, "--cores", "1", *arguments],
        cwd=warm_workflow.ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    assert done.returncode != 0
    assert "Read-only file system" in done.stdout + done.stderr
    faulted.hit("read-only folder")
    faulted.compare()


@pytest.mark.skipif(not hasattr(psutil, "RLIMIT_AS"), reason="limits of others are Linux's")
@pytest.mark.parametrize("rule", [*SOME, "evaluate_models"] if FULL else SOME)
def test_a_job_has_too_little_memory(faulted, rule):
    """A limit of the kernel (ulimit -v) on the job, once it has begun."""
    faulted.to_end("--until", RULES[RULES.index(rule) - 1])
    faulted.start("--until", rule)
    logs = faulted.folder / "logs/tiny" / rule
    faulted.wait_until(lambda: any(logs.rglob("*.log")))
    for process in faulted.at_work():
        most = process.memory_info().vms // 2  # it keeps what it has, and gets no more
        process.rlimit(resource.RLIMIT_AS, (most, most))
    assert faulted.wait() != 0, "the job had memory enough"
    assert "emory" in faulted.run.said, faulted.run.said[-3000:]
    faulted.hit(f"too little memory in {rule}")
    faulted.compare()


JUMPS = {
    "a day back": lambda chance: -86400,
    "ten years ahead": lambda chance: 10 * YEAR,
    "to and fro": lambda chance: chance.uniform(-10, 10) * YEAR,
}


@pytest.mark.parametrize("jump", JUMPS if FULL else ["to and fro"])
def test_the_clock_jumps(faulted, jump):
    """What that leaves: files of a run that was stopped have times of another year."""
    faulted.start()
    checkpoints = faulted.folder / "results/tiny/checkpoints"
    faulted.wait_until(lambda: any(checkpoints.rglob("*.*")))
    for process in faulted.at_work():
        process.kill()
    faulted.wait()
    chance = random.Random(0)
    for path in sorted((faulted.folder / "results").rglob("*")):
        then = time.time() + JUMPS[jump](chance)
        os.utime(path, (then, then))
    faulted.hit(f"the clock jumps {jump}")
    faulted.compare()


def test_two_runs_in_one_folder(faulted):
    first = faulted.start()
    faulted.wait_until(lambda: is_locked(faulted.folder))
    written = tiny_runs.write(faulted.folder, *faulted.configured)
    second = faulted.server.start(faulted.folder, *written, *faulted_runs.TARGETS, out="second")
    assert second.wait() != 0
    assert "cannot be locked" in second.said
    assert faulted.wait() == 0, first.said[-3000:]
    faulted.hit("two runs in one folder")
    faulted.compare()


@pytest.fixture
def fetched(tmp_path):
    """A configuration whose network `a` comes from a server, and what that was asked."""
    torch.manual_seed(5)
    torch.save(torchvision.models.squeezenet1_0().state_dict(), tmp_path / "net.pth")
    config, rows = faulted_runs.settings()
    with serving(Answer((tmp_path / "net.pth").read_bytes())) as served:
        rows["a"]["weights"] = {
            "source": "url", "url": f"{served.url}/net.pth", "file": "net.pth", "licence": "none",
        }  # fmt: skip
        yield config, rows, served


def test_two_runs_on_one_cache_of_weights(server, tmp_path, record, fetched):
    """Both need a file that is not there yet; it is fetched and converted once, and right."""
    config, rows, served = fetched
    alone = faulted_runs.undisturbed(
        server, tmp_path / "alone", config | {"weights_cache": str(tmp_path / "own")}, rows
    )
    asked = len(served.paths)
    config["weights_cache"] = str(tmp_path / "shared")
    both = [
        faulted_runs.Faulted(server, tmp_path / name, alone, record, (config, rows))
        for name in ("one", "other")
    ]
    for faulted in both:
        faulted.start()
    for faulted in both:
        faulted.hit("two runs on one cache of weights")
        assert faulted.wait() == 0, faulted.run.said[-3000:]
    assert len(served.paths) == 2 * asked
    assert len(list((tmp_path / "shared/converted").rglob("*.safetensors"))) == 1
    for faulted in both:
        faulted.compare()
    shutil.rmtree(tmp_path / "alone")
