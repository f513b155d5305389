"""The workflow as a module of another folder, as snakedeploy lays it out."""

import re
import shutil
import subprocess
import sys

import pytest
from fixtures import ROOT

pytestmark = pytest.mark.workflow
DEPLOYED = """
configfile: "config/config.yaml"

module metamers:
    snakefile: {snakefile!r}
    config: config

use rule * from metamers
"""


def snakemake(folder, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments, "--configfile", "config/config.yaml",
         "config/small.yaml"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout + done.stderr


def jobs(said):
    found = re.findall(r"^(\w+) +(\d+)$", said, flags=re.MULTILINE)
    return {rule: int(count) for rule, count in found if rule not in ("job", "all", "deployed")}


@pytest.fixture
def deployed(tmp_path):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    shutil.copy(ROOT / "tests/configurations/small.yaml", tmp_path / "config")
    (tmp_path / "workflow").mkdir()
    text = DEPLOYED.format(snakefile=str(ROOT / "workflow/Snakefile"))
    (tmp_path / "workflow/Snakefile").write_text(text)
    return tmp_path


def test_deployed_workflow_plans_the_same_jobs_and_does_one(deployed):
    planned = jobs(snakemake(deployed, "-n", "--quiet", "rules"))
    own = jobs(snakemake(deployed, "-n", "--quiet", "rules", "-s", str(ROOT / "Snakefile")))
    assert planned == own
    assert planned["synthesize_metamers"] > 1
    snakemake(deployed, "--cores", "1", "--until", "prepare_references")
    assert (deployed / "results/small/references/photographs.safetensors").exists()
