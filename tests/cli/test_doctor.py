"""What the doctor says of the folder that it is asked in."""

import headless
import yaml
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


def test_a_wrong_configuration_and_wrong_networks_are_problems(tmp_path):
    rows = yaml.safe_load((ROOT / "config/models.yaml").read_text())
    rows["tens"] = headless.row("ten_classes", head="imagenet")
    (tmp_path / "models.yaml").write_text(yaml.safe_dump(rows))
    overlay = {"zoo": str(tmp_path / "models.yaml"), "weights_cache": str(tmp_path), "shards": 0}
    overlay["evaluators"] = ["efficientnet_lite0", "tens"]
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(overlay))
    result = doctor("--base", ROOT, "--configfile", tmp_path / "own.yaml")
    assert result.exit_code == 1
    assert "'shards'" in result.output
    assert "gave (1, 10)" in result.output


def test_photographs_that_are_not_there_are_a_problem(tmp_path):
    (tmp_path / "own.yaml").write_text("data: {source: folder, path: /nowhere}\n")
    result = doctor("--base", ROOT, "--configfile", tmp_path / "own.yaml")
    assert result.exit_code == 1
    assert "/nowhere" in result.output
