"""Plans of the paper's size and ten times that, by dry run: what they cost before any job.

`docs/cluster.md` has the figures of the machine that it was written on; the limits here are
several times those, since they are to catch what grows with the square of a plan.
"""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass

import pytest
import yaml
from fixtures import ROOT

PAPER = ROOT / "config/paper.yaml"
TENFOLD = {"run": "tenfold", "experiments": {"mixed": {"draw": {"count": 1000, "sizes": [2, 10]}}}}
CONDITIONS = 6 * 3 + 3 * 4 + 100
SHARDS = 4
pytestmark = pytest.mark.workflow


@dataclass(frozen=True)
class Cost:
    """What a command printed, the CPU seconds that it took, and its largest memory in MB."""

    said: str
    seconds: float
    megabytes: float

    def jobs(self):
        found = re.findall(r"^(\w+) +(\d+)$", self.said, flags=re.MULTILINE)
        return {rule: int(count) for rule, count in found}


# A process of its own starts Snakemake: a child's peak memory holds its parent's before exec,
# which in a whole run of the tests is pytest's.
MEASURE = """
import json, os, subprocess, sys
process = subprocess.Popen(sys.argv[2:], stderr=subprocess.STDOUT)
_, status, usage = os.wait4(process.pid, 0)
found = [os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]
open(sys.argv[1], "w").write(json.dumps(found))
"""


def cost(folder, *arguments, **variables):
    figures = folder / "figures.json"
    command = [sys.executable, "-m", "snakemake", *map(str, arguments)]
    said = subprocess.run(
        [sys.executable, "-c", MEASURE, str(figures), *command],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    code, seconds, megabytes = json.loads(figures.read_text())
    assert code == 0, said[-3000:]
    return Cost(said, seconds, megabytes)


def dry_run(folder, *arguments, configs=(PAPER,)):
    return cost(folder, "-n", "--directory", folder, *arguments, "--configfile", *configs)


def test_plan_of_the_paper(tmp_path, record_property):
    found = dry_run(tmp_path, "--cores", 1, "--quiet", "rules")
    record_property("seconds", found.seconds)
    record_property("megabytes", found.megabytes)
    assert found.jobs()["synthesize_metamers"] == CONDITIONS * SHARDS
    assert found.seconds < 20
    assert found.megabytes < 600


def test_plan_of_a_thousand_mixed_sets(tmp_path, record_property):
    overlay = tmp_path / "tenfold.yaml"
    overlay.write_text(yaml.safe_dump(TENFOLD))
    found = dry_run(tmp_path, "--cores", 1, "--quiet", "rules", configs=(PAPER, overlay))
    record_property("seconds", found.seconds)
    record_property("megabytes", found.megabytes)
    assert found.jobs()["synthesize_metamers"] == (CONDITIONS + 900) * SHARDS
    assert found.jobs()["evaluate_models"] == 103 * 4
    assert found.seconds < 100
    assert found.megabytes < 1500


def test_short_jobs_of_the_paper_share_submissions(tmp_path):
    profile = ("--workflow-profile", ROOT / "profiles/slurm")
    said = dry_run(tmp_path, *profile).said
    groups = re.findall(r"Group job (\w+)", said)
    assert {name: groups.count(name) for name in set(groups)} == {
        "evaluation": 13,
        "measurement": 4,
        "analysis": 1,
    }


def test_every_gpu_rule_asks_for_one_gpu(tmp_path):
    """Of the rules that want one; the others ask for none."""
    profile = ("--workflow-profile", ROOT / "profiles/slurm")
    said = dry_run(tmp_path, *profile).said
    blocks = re.findall(
        r"^ *(?:local)?rule (\w+):\n(.*?)(?=\n\n|\n *rule |\n\[)", said, re.M | re.S
    )
    with_gpu = {rule for rule, block in blocks if re.search(r"resources: .*\bgpu=1\b", block)}
    assert with_gpu == {
        "synthesize_metamers",
        "predict_references",
        "measure_baselines",
        "evaluate_models",
    }


def test_snakefile_parses_quickly_and_without_torch(tmp_path, record_property):
    """Every job on a cluster parses it twice."""
    (tmp_path / "torch.py").write_text("raise ImportError('the Snakefile imports torch')")
    without_torch = {"PYTHONPATH": str(tmp_path)}
    bare = cost(tmp_path, "--version")
    parsed = cost(tmp_path, "--list-rules", "--configfile", PAPER, **without_torch)
    record_property("seconds", parsed.seconds)
    assert "synthesize_metamers" in parsed.said
    assert parsed.seconds - bare.seconds < 2
