"""Clear words on clusters and machines that cannot do what is asked, before any job."""

import errno
import fcntl
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from fixtures import ROOT

from metamers.execution import machine
from metamers.preflight import cluster, slurm
from metamers.preflight.site import Site, SiteError

SITE = Site(None, "cpu", "gpu", None, 600)
SINFO = """\
cpu*|up|1-00:00:00|(null)
gpu|up|12:00:00|gpu:a100:4(S:0-1),nvme:1
gpu|up|12:00:00|gpu:h100:8
old|up|infinite|gpu:2
closed|down|infinite|gpu:2
"""
CONFIG = """\
Configuration data as of 2026-01-01T00:00:00
AccountingStorageType   = {accounting}
MinJobAge               = {age}
"""


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A SLURM whose programs print what a test says, alone on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("METAMERS_SITE", raising=False)

    def put(name, output="", code=0):
        path = folder / name
        (folder / f"{name}.out").write_text(output.rstrip("\n") + "\n" if output else "")
        path.write_text(
            f'#!/bin/sh\nwhile read -r line; do echo "$line"; done < {path}.out\nexit {code}\n'
        )
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def config(accounting="accounting_storage/none", age="300 sec"):
        put("scontrol", CONFIG.format(accounting=accounting, age=age))

    for name in ("sbatch", "squeue", "scancel"):
        put(name)
    put("sinfo", SINFO)
    config()
    put.config = config
    return put


def problems(site=SITE):
    return "\n".join(cluster.slurm_problems(site, Path()))


def test_good_cluster_has_no_problems(programs):
    assert problems() == ""


def test_no_slurm_on_path(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "'sbatch'" in problems()
    assert "not on PATH" in problems()


def test_slurm_that_does_not_answer(programs):
    programs("scontrol", "Unable to contact slurm controller", code=1)
    assert "SLURM does not answer" in problems()
    assert "Unable to contact slurm controller" in problems()


def test_unknown_partition_is_named_beside_those_there_are(programs):
    said = problems(Site(None, "cpu", "gpus", None, 600))
    assert "no partition 'gpus' (gpu_partition of profiles/slurm/site.yaml)" in said
    assert "['closed', 'cpu', 'gpu', 'old']" in said


def test_no_partition_and_no_default(programs):
    programs("sinfo", SINFO.replace("*", ""))
    assert "no partition given, and no default" in problems(Site(None, None, "gpu", None, 600))


def test_partition_without_gpu(programs):
    said = problems(Site(None, None, None, None, 600))
    assert "partition 'cpu' has no GPU" in said
    assert "those with GPUs are ['closed', 'gpu', 'old']" in said


def test_gpu_type_that_is_not_there(programs):
    said = problems(Site(None, "cpu", "gpu", "v100", 600))
    assert "no GPU of type 'v100'" in said
    assert "['a100', 'h100']" in said


def test_gpu_type_that_is_there(programs):
    assert problems(Site(None, "cpu", "gpu", "h100", 600)) == ""


def test_partition_that_is_down(programs):
    assert "partition 'closed' (gpu_partition) is down" in problems(
        Site(None, "cpu", "closed", None, 600)
    )


def test_jobs_longer_than_a_partition_allows(programs):
    said = problems(Site(None, "cpu", "gpu", None, 1440))
    assert "'gpu' (gpu_partition) ends jobs after 720 minutes" in said
    assert "longest: 1440" in said


def test_account_where_there_are_none(programs):
    assert "keeps no accounts" in problems(Site("lab", "cpu", "gpu", None, 600))


def test_account_of_somebody_else(programs):
    programs.config(accounting="accounting_storage/slurmdbd")
    programs("sacctmgr", "mine\nours\n")
    said = problems(Site("lab", "cpu", "gpu", None, 600))
    assert "no account 'lab'" in said
    assert "['mine', 'ours']" in said


def test_refusal_is_told_in_slurms_words(programs):
    programs("sbatch", "Invalid account or account/partition combination specified", code=1)
    said = problems()
    assert "SLURM would not take a job with a GPU" in said
    assert "Invalid account or account/partition combination" in said


def test_short_memory_of_ended_jobs(programs):
    programs.config(age="60 sec")
    assert "forgets jobs 60 s after their end (MinJobAge)" in problems()
    assert cluster.slurm_problems(SITE, Path(), status_command="sacct") == []


def test_jobs_of_an_earlier_run_are_named(programs):
    here, elsewhere = Path.cwd(), "/somewhere/else"
    programs("squeue", f"17|RUNNING|{here}|rule_a_1\n18|PENDING|{elsewhere}|rule_b\n")
    said = problems()
    assert "scancel 17" in said
    assert "18" not in said


def test_job_that_snakemake_itself_runs_in_is_not_one_of_an_earlier_run(programs):
    programs("squeue", f"19|RUNNING|{Path.cwd()}|(null)\n")
    assert problems() == ""


@pytest.mark.parametrize(
    ("resources", "types"),
    [
        ("(null)", set()),
        ("nvme:1", set()),
        ("gpu:4", {""}),
        ("gpu", {""}),
        ("gpu:a100:4", {"a100"}),
        ("gpu:tesla_v100:2(S:0)", {"tesla_v100"}),
        ("nvme:1,gpu:a100:2(S:0-1),gpu:h100:2", {"a100", "h100"}),
        ("gpu:1g.10gb:7", {"1g.10gb"}),
    ],
)
def test_gpu_types(resources, types):
    assert slurm.gpu_types(resources) == types


@pytest.mark.parametrize(
    ("limit", "minutes"),
    [
        ("infinite", None),
        ("30:00", 30),
        ("12:00:00", 720),
        ("1-00:00:00", 1440),
        ("2-12:30:00", 3630),
    ],
)
def test_minutes_of_a_time_limit(limit, minutes):
    assert slurm.minutes(limit) == minutes


def test_gpu_that_torch_does_not_see_in_a_gpu_job(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("SLURMD_NODENAME", "node3")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2")
    with pytest.raises(machine.MachineError, match=r"no GPU visible in a GPU job.*17.*node3.*'2'"):
        machine.require_gpu_of_job(seen=False)


def test_jobs_without_a_gpu_of_slurms_may_compute_without(monkeypatch):
    for name in ("SLURM_JOB_ID", "SLURM_JOB_GPUS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    machine.require_gpu_of_job(seen=False)
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    machine.require_gpu_of_job(seen=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    machine.require_gpu_of_job(seen=True)


def test_file_system_without_locks(monkeypatch, tmp_path):
    def refuse(descriptor, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    (said,) = machine.folder_problems(tmp_path)
    assert f"the file system of {str(tmp_path)!r} has no locks (No locks available)" in said


def test_folder_with_locks_has_no_problems(tmp_path):
    assert list(machine.folder_problems(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_not_there(tmp_path):
    (said,) = machine.folder_problems(tmp_path / "gone")
    assert "cannot be written to: No such file or directory" in said


def test_gpus_of_a_machine(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,2")
    assert machine.gpus() == ["0", "2"]
    assert machine.gpu_slots() == 2
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert machine.gpus() == []
    assert machine.gpu_slots() == os.cpu_count()


def test_shipped_site_file_is_right():
    site = Site.read(ROOT)
    assert site.account is None
    assert site.longest == 1440


def site_file(tmp_path, monkeypatch, **changes):
    values = dict.fromkeys(("account", "cpu_partition", "gpu_partition", "gpu_type"))
    path = tmp_path / "site.yaml"
    path.write_text(yaml.safe_dump(values | {"longest": 60} | changes))
    monkeypatch.setenv("METAMERS_SITE", str(path))


def test_site_file_with_another_key(tmp_path, monkeypatch):
    site_file(tmp_path, monkeypatch, partition="gpu")
    with pytest.raises(SiteError, match="expected are the keys"):
        Site.read()


def test_site_file_that_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("METAMERS_SITE", str(tmp_path / "none.yaml"))
    with pytest.raises(SiteError, match=r"no site file .*none\.yaml"):
        Site.read()


def test_account_of_digits_stays_a_text(tmp_path, monkeypatch):
    site_file(tmp_path, monkeypatch, account=123456)
    assert Site.read().cpu_resources() == {"slurm_account": "'123456'"}


def test_local_run_is_asked_for_folders_alone(programs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    programs("sinfo", code=1)
    cluster.require("local", None, ROOT)


def test_run_on_a_cluster_stops_with_a_list(programs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    programs("squeue", f"17|RUNNING|{tmp_path}|rule_a_1\n")
    with pytest.raises(cluster.ClusterError, match="the run cannot begin") as raised:
        cluster.require("slurm", "squeue", ROOT)
    assert "1. partition 'cpu' has no GPU" in str(raised.value)
    assert "scancel 17" in str(raised.value)


# The same as a user meets it: Snakemake's own words, and nothing begun.


def stopped(folder, *arguments, **variables):
    """Return what a run of Snakemake says that ends before its first job."""
    folder.mkdir()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "--directory", str(folder), *arguments),
            *("--configfile", "tests/configurations/small.yaml"),
        ],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert [path.name for path in folder.iterdir() if path.name != ".snakemake"] == []
    return done.stdout + done.stderr


def on_cluster(tmp_path, **variables):
    """The same through the profile, with the programs on PATH and what Snakemake needs of others.

    The folder of the programs is that of the fixture, whether they were put there or not.
    """
    programs = tmp_path / "bin"
    programs.mkdir(exist_ok=True)
    for name in ("bash", "which"):
        (programs / name).symlink_to(shutil.which(name, path=os.defpath))
    profile = ("--workflow-profile", "profiles/slurm")
    return stopped(tmp_path / "run", *profile, PATH=str(programs), **variables)


@pytest.mark.workflow
def test_run_without_slurm_on_path_stops_before_any_job(tmp_path):
    said = on_cluster(tmp_path)
    assert "the run cannot begin (docs/cluster.md)" in said
    assert "['sbatch', 'squeue', 'scancel', 'sinfo', 'scontrol'] are not on PATH" in said


@pytest.mark.workflow
def test_run_without_a_site_file_stops_before_any_job(tmp_path):
    said = on_cluster(tmp_path, METAMERS_SITE="none.yaml")
    assert "no site file 'none.yaml'" in said
    assert "let METAMERS_SITE name a file like 'profiles/slurm/site.yaml'" in said


@pytest.mark.workflow
def test_run_with_a_wrong_site_file_stops_before_any_job(programs, tmp_path, monkeypatch):
    site_file(tmp_path, monkeypatch, account="lab", gpu_partition="cpu")
    said = on_cluster(tmp_path)
    assert "1. partition 'cpu' has no GPU (gpu_partition of" in said
    assert "2. account 'lab' is given, but this cluster keeps no accounts" in said


@pytest.mark.workflow
def test_run_on_a_file_system_without_locks_stops_before_any_job(tmp_path):
    """Of this machine, too: the lock is refused in Snakemake's process."""
    (tmp_path / "sitecustomize.py").write_text(
        "import errno, fcntl, os\n"
        "def refuse(*_):\n"
        "    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))\n"
        "fcntl.flock = refuse\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    said = stopped(tmp_path / "run", "--cores", "1", PYTHONPATH=path.rstrip(os.pathsep))
    assert f"the file system of {str(tmp_path / 'run')!r} has no locks" in said
