"""What `make test` and `.ci/run` run, and that nothing which fails or is left out goes unseen."""

import os
import shutil
import subprocess
import sys

import pytest
from fixtures import ROOT

PYTHON = """\
#!/bin/sh
echo "$*" >> {calls}
case "$*" in
    "-m pytest tests/workflow/slurm") exit {slurm} ;;
    "-m pytest") exit {tests} ;;
esac
exit 9
"""


@pytest.fixture
def make_test(tmp_path):
    """A function that runs `make test` on programs that do nothing but end with given codes."""
    programs = tmp_path / ".venv/bin"
    programs.mkdir(parents=True)
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("ruff", "mypy", "lint-imports", "snakefmt", "snakemake"):
        (programs / name).symlink_to(shutil.which("true"))
    (tmp_path / ".venv/.installed").touch()
    calls = tmp_path / "calls"

    def run(**codes):
        (programs / "python").write_text(PYTHON.format(calls=calls, **codes))
        (programs / "python").chmod(0o755)
        done = subprocess.run(
            ["make", "test"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        return done, calls.read_text().splitlines()

    return run


@pytest.mark.parametrize(("tests", "slurm"), [(0, 0), (1, 0), (0, 1), (5, 2)])
def test_make_test_runs_both_parts_and_fails_with_either(make_test, tests, slurm):
    done, calls = make_test(tests=tests, slurm=slurm)
    assert calls == ["-m pytest", "-m pytest tests/workflow/slurm"]
    assert (done.returncode == 0) == (tests == slurm == 0)
    assert f"exit codes: {tests} of the tests, {slurm} of those on a SLURM" in done.stdout


def on_no_slurm(folder, **variables):
    """Run one of the tests on a SLURM where there is none, and none may be installed."""
    test = "tests/workflow/slurm/test_slurm.py::test_whole_workflow_makes_tables_and_figures"
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", test],
        cwd=ROOT,
        env=os.environ | {"PATH": str(folder), "METAMERS_TESTS_INSTALL": "no"} | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_missing_slurm_is_a_loud_skip(tmp_path):
    done = on_no_slurm(tmp_path, METAMERS_REQUIRE_SLURM="0")
    assert done.returncode == 0, done.stdout
    assert "UserWarning: SLURM is not tested: " in done.stdout
    assert "1 skipped, 1 warning" in done.stdout


def test_missing_slurm_is_an_error_where_it_is_required(tmp_path):
    done = on_no_slurm(tmp_path, METAMERS_REQUIRE_SLURM="1")
    assert done.returncode == 1
    assert "AssertionError: SLURM is not tested: " in done.stdout


def test_ci_requires_slurm_where_it_can_install_packages():
    text = (ROOT / ".ci/run").read_text()
    as_root = text[text.index('"$(id -u)" -eq 0') : text.index("else\n")]
    assert "export METAMERS_REQUIRE_SLURM=1" in as_root
    assert text.splitlines()[-1] == "make test"
