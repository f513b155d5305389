"""One lock: what installs, what is declared, and what is imported agree."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements.lock"
SCRIPT = ROOT / "envs/metamers.post-deploy.sh"
CHOSEN = {
    "snakemake", "torch", "timm", "robustbench", "torchmetrics",
    "pyiqa", "scipy", "pandas", "pyarrow", "altair",
}  # fmt: skip
# In pieces, so that this file passes its own test.
REGISTRIES = [
    "py" + "pi.org",
    "python" + "hosted",
    "anaconda" + ".org",
    "docker" + ".io",
    "ghcr" + ".io",
]


def pins():
    lines = [line for line in LOCK.read_text().splitlines() if line and not line.startswith("#")]
    return {canonicalize_name(r.name): r for r in map(Requirement, lines)}


def version(name):
    (specifier,) = pins()[canonicalize_name(name)].specifier
    return specifier.version


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def declared(*extras):
    optional = project()["optional-dependencies"]
    lines = [*project()["dependencies"], *(line for extra in extras for line in optional[extra])]
    return {canonicalize_name(r.name): r for r in map(Requirement, lines)}


def imported(folder):
    """Names of the packages that the files of a folder import, at the top or within functions."""
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found.add(node.module.partition(".")[0])
    own = {"metamers", *(path.stem for path in folder.rglob("*.py"))}
    return found - set(sys.stdlib_module_names) - own


def committed_files():
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_every_line_of_the_lock_is_one_exact_pin():
    for name, requirement in pins().items():
        assert [s.operator for s in requirement.specifier] == ["=="], name


def test_torch_and_torchvision_stand_first():
    assert list(pins())[:2] == ["torch", "torchvision"]


def test_lock_has_all_ten_chosen_libraries():
    assert pins().keys() >= CHOSEN


def test_lock_has_what_is_declared_in_a_version_that_is_allowed():
    for name, requirement in declared(*project()["optional-dependencies"]).items():
        assert version(name) in requirement.specifier, name


@pytest.mark.parametrize(
    ("name", "allowed"),
    [("timm", "==1.0.9"), ("setuptools", "<81"), ("huggingface_hub", ">=1.31,<2")],
)
def test_what_docs_decisions_holds_back_is_held_back(name, allowed):
    assert version(name) in SpecifierSet(allowed)


def test_the_installed_versions_are_those_of_the_lock():
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "list", "--format=json", "--disable-pip-version-check"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    installed = {
        canonicalize_name(row["name"]): row["version"] for row in json.loads(listed.stdout)
    }
    wanted = {n: version(n) for n, r in pins().items() if not r.marker or r.marker.evaluate()}
    assert {name: installed.get(name) for name in wanted} == wanted


def test_library_declares_what_it_imports():
    known = packages_distributions()
    for package in sorted(imported(ROOT / "src") | imported(ROOT / "workflow")):
        names = {canonicalize_name(name) for name in known[package]}
        assert names & declared().keys(), f"{package} is imported, but not declared"


def test_tests_declare_what_they_import():
    known = packages_distributions()
    own = {
        path.stem
        for name in ("tests", "benchmarks", "tools")
        for path in (ROOT / name).rglob("*.py")
    }
    for package in sorted(imported(ROOT / "tests") | imported(ROOT / "benchmarks")):
        if package in own | {"benchmarks"}:
            continue
        names = {canonicalize_name(name) for name in known[package]} | {package}
        assert names & declared("test", "embedded").keys(), package


def test_pyiqa_is_an_extra_that_is_imported_only_where_a_configuration_names_it():
    """It is PolyForm Noncommercial, and the library is MIT."""
    assert "pyiqa" not in imported(ROOT / "src") | imported(ROOT / "workflow")
    assert "pyiqa" not in declared()
    assert "pyiqa" in declared("pyiqa")


def test_chosen_libraries_import_together():
    program = f"""
import importlib, sys, warnings
warnings.simplefilter("ignore")
import pyautoattack
sys.modules["autoattack"] = pyautoattack  # the name that robustbench imports
for name in {sorted(CHOSEN)}:
    importlib.import_module(name)
import robustbench.model_zoo, torchmetrics.functional.image
print(len(robustbench.model_zoo.model_dicts))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_conda_file_leaves_all_packages_to_the_lock():
    environment = yaml.safe_load((ROOT / "envs/metamers.yaml").read_text())
    python, pip = environment["dependencies"]
    assert pip == "pip"
    assert python.removeprefix("python=") + ".0" in SpecifierSet(project()["requires-python"])


def run_script(root, folder):
    """Run the script with a python that notes what it is asked for."""
    calls = folder / "calls"
    python = folder / "python"
    python.write_text(
        f'#!/bin/sh\necho "$@" >> {calls}\nfor last; do :; done\n'
        f'if [ -f "$last" ]; then cat "$last" >> {calls}; fi\n'
    )
    python.chmod(0o755)
    environment = os.environ | {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "METAMERS_ROOT": str(root),
    }
    done = subprocess.run(["bash", SCRIPT], env=environment, capture_output=True, text=True)
    return done, calls.read_text() if calls.exists() else ""


def test_conda_script_installs_torch_then_the_lock_then_the_library(tmp_path):
    done, calls = run_script(ROOT, tmp_path)
    assert done.returncode == 0, (
        f"{done.stderr}\nif the lock was changed on purpose, put the output of\n"
        "  grep -v '^#' requirements.lock | sha256sum\ninto envs/metamers.post-deploy.sh"
    )
    installs = [line for line in calls.splitlines() if line.startswith("-m pip install")]
    assert len(installs) == 3
    first = calls.split(installs[1])[0].splitlines()[1:]
    assert first == [f"torch=={version('torch')}", f"torchvision=={version('torchvision')}"]
    assert installs[1].endswith(f"-r {LOCK}")
    assert installs[2].endswith(f"--no-deps --no-build-isolation -e {ROOT}")


def test_conda_script_refuses_another_lock(tmp_path):
    other = tmp_path / "root"
    other.mkdir()
    (other / "requirements.lock").write_text(LOCK.read_text() + "another==1.0\n")
    done, calls = run_script(other, tmp_path)
    assert done.returncode != 0
    assert "is not the lock" in done.stderr
    assert not calls


def test_container_installs_the_lock_on_the_same_python():
    text = (ROOT / "envs/Dockerfile").read_text()
    python = yaml.safe_load((ROOT / "envs/metamers.yaml").read_text())["dependencies"][0]
    assert f"FROM {python.replace('=', ':')}-" in text
    assert "python -m pip install --no-deps -r requirements.lock" in text
    # Each instruction once its continued lines are joined, no other packages among them.
    steps = re.sub(r"\\\n\s*", "", re.sub(r"(?m)^#.*\n", "", text)).split("\n")
    installs = [s for step in steps for s in step.split("&&") if "pip install" in s]
    assert [s.split("install ")[1].strip() for s in installs] == [
        "--no-deps -r first.txt",
        "--no-deps -r requirements.lock",
        "--no-deps --no-build-isolation -e .",
    ]
    for copied in re.findall(r"(?m)^COPY (.*) \S+$", text):
        assert all((ROOT / name).exists() for name in copied.split())


def test_make_installs_the_lock():
    text = (ROOT / "Makefile").read_text()
    assert "pip install -q --no-deps -r requirements.lock" in text


def test_shell_scripts_parse():
    for path in [SCRIPT, ROOT / ".ci/run"]:
        subprocess.run(["bash", "-n", path], check=True)
        assert os.access(path, os.X_OK)
        assert "set -euo pipefail" in path.read_text()


def test_hooks_are_programs_of_the_lock():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repository["repo"] for repository in hooks] == ["local"]
    for hook in hooks[0]["hooks"]:
        assert hook["language"] == "system"
        assert hook["entry"].split()[0] in pins()


def test_no_file_names_a_registry():
    for path in committed_files():
        text = path.read_bytes().decode(errors="ignore")
        named = [host for host in REGISTRIES if host in text]
        assert not named, f"{path.relative_to(ROOT)} names {named}"


@pytest.mark.filterwarnings("ignore")
def test_pyiqa_gives_the_same_psnr():
    import pyiqa
    import torch

    from metamers.evaluation.metrics import pixel

    generator = torch.Generator().manual_seed(0)
    metamers, references = torch.rand((2, 3, 3, 32, 32), generator=generator)
    theirs = pyiqa.create_metric("psnr")(metamers, references)
    # Both work in float32; the values are near 8 dB.
    torch.testing.assert_close(
        theirs.flatten(), pixel.psnr(metamers, references), rtol=0, atol=1e-4
    )
