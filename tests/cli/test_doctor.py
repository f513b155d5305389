"""What the doctor says of the folder that it is asked in."""

from fixtures import ROOT
from typer.testing import CliRunner

from metamers.cli.main import app


def doctor(*arguments):
    return CliRunner().invoke(app, ["doctor", *map(str, arguments)])


def test_a_folder_without_the_workflow_is_a_problem(tmp_path):
    result = doctor("--base", tmp_path)
    assert result.exit_code == 1
    assert f"{tmp_path} has no Snakefile" in result.output
    assert "1 problem (" in result.output


def test_the_project_is_none():
    assert "has no Snakefile" not in doctor("--base", ROOT).output
