"""What the commands say where they cannot work."""

import pytest
from fixtures import ROOT
from typer.testing import CliRunner

from metamers.cli.main import app


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["summary", "nowhere"], "no tables"),
        (["plan"], "config/config.yaml"),
        (["plan", "--configfile", "nope.yaml", "--default", str(ROOT / "config/config.yaml")],
         "nope.yaml"),
        (["plan", "--tflops", "-3"], "above 0"),
        (["stages"], "config/config.yaml"),
        (["weights", "status"], "config/models.yaml"),
    ],
)  # fmt: skip
def test_commands_outside_the_project_say_what_is_missing(command, said, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, command, env={"COLUMNS": "300", "TERM": "dumb"})
    assert result.exit_code == 2
    assert isinstance(result.exception, SystemExit)
    assert said in result.output


def test_a_row_that_is_wrong_stops_only_those_who_ask_for_it(tmp_path):
    zoo = tmp_path / "models.yaml"
    sound = (ROOT / "config/models.yaml").read_text()
    zoo.write_text(sound + "\nbroken: {label: Broken, architecture: timm:resnet18}\n")
    files = ["--models", str(zoo), "--config", str(ROOT / "config/config.yaml")]
    terminal = {"COLUMNS": "300", "TERM": "dumb"}
    good, bad = (
        CliRunner().invoke(app, ["stages", name, *files], env=terminal)
        for name in ("squeezenet1_1", "broken")
    )
    assert good.exit_code == 0, good.output
    assert bad.exit_code == 2
    assert "row 'broken' cannot be read" in bad.output
