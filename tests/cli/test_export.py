"""PNG files of a finished run."""

import finished_runs
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from metamers.cli.main import app
from metamers.config.finished_run import FinishedRun
from metamers.images import png


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return finished_runs.write(tmp_path_factory.mktemp("run"))


def export(*arguments):
    return CliRunner().invoke(app, ["export", *map(str, arguments)], env={"COLUMNS": "300"})


def test_every_image_is_written_as_it_is_stored(run, tmp_path):
    result = export(run, "--output", tmp_path)
    assert result.exit_code == 0, result.output
    found = FinishedRun.open(run)
    assert len(list(tmp_path.rglob("*.png"))) == 20 * (1 + len(found.plan.conditions))
    condition = found.conditions("*/lite_pair/late/*")[0]
    made = found.metamers(condition)
    for image_id, pixels in zip(made.image_ids, made.pixels.numpy(), strict=True):
        read = np.asarray(Image.open(tmp_path / f"metamers/{condition}/{image_id}.png"))
        np.testing.assert_array_equal(read, pixels.transpose(1, 2, 0))


def test_conditions_are_chosen_by_pattern(run, tmp_path):
    assert export(run, "--output", tmp_path, "--conditions", "*/late/*").exit_code == 0
    assert {path.parts[-3] for path in (tmp_path / "metamers").rglob("*.png")} == {"late"}


def test_what_is_no_run_and_what_no_condition_is_like_is_said(run, tmp_path):
    for arguments, said in (((tmp_path,), "results/<run>"), ((run, "--conditions", "x"), "'x'")):
        result = export(*arguments)
        assert result.exit_code == 2
        assert said in result.output


def test_no_two_images_share_a_file_and_none_leaves_the_folder():
    names = [png.file_name(image_id) for image_id in ("a/b", "a%2Fb", "../a", "a_b")]
    assert len(set(names)) == len(names)
    assert not any("/" in name for name in names)
