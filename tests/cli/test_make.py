"""`metamers make`: metamers of one's own pictures."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from fixtures import ROOT
from PIL import Image
from typer.testing import CliRunner

import metamers
from metamers import __version__, own_images
from metamers.cli import main
from metamers.execution import checkpoints
from metamers.own_images import UNFINISHED

PROGRAM = [sys.executable, "-m", "metamers", "make"]
QUICK = ["--size", "48", "--steps", "20"]


def run(*arguments):
    return CliRunner().invoke(main.app, [str(one) for one in arguments])


@pytest.fixture
def photo(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(noise).save(path)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    path = folder / "photo.png"
    Image.fromarray(np.tile(np.arange(96, dtype=np.uint8), (96, 1))).save(path)
    result = run("make", path, *QUICK, "--output", folder / "out")
    assert result.exit_code == 0, result.output
    return folder / "out", result.output


def test_side_by_side_has_the_metamer_at_the_right(made):
    with (
        Image.open(made[0] / "side_by_side_photo.png") as pair,
        Image.open(made[0] / "metamer_photo.png") as alone,
    ):
        assert pair.size == (96, 48)
        assert np.array_equal(np.asarray(pair)[:, 48:], np.asarray(alone))


def test_losses_of_each_model_fall(made):
    with (made[0] / "losses.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["model"] for row in rows] == ["efficientnet_lite0", "squeezenet1_1"]
    assert all(float(row["loss_after"]) < float(row["loss_before"]) for row in rows)


def test_each_judge_gives_five_classes_before_and_after(made):
    answers = json.loads((made[0] / "answers.json").read_text())
    members = {one["judge"] for one in answers if one["member"]}
    assert members == {"efficientnet_lite0", "squeezenet1_1"}
    assert len(answers) == 4
    for answer in answers:
        for side in ("before", "after"):
            shares = [share for _, share in answer[side]]
            assert len(shares) == 5
            assert shares == sorted(shares, reverse=True)
            assert 0 < sum(shares) <= 1 + 1e-9


def test_terminal_tells_members_from_judges_held_out(made):
    assert "efficientnet_lite0 (member)" in made[1]
    assert "efficientnet_lite2 (held out)" in made[1]


def test_no_unfinished_work_is_left(made):
    assert not list(made[0].glob(f"*{UNFINISHED}*"))


def test_same_call_makes_the_same_metamers(photo):
    first, second = (
        metamers.make(photo, ["squeezenet1_1"], size=48, steps=4).images for _ in range(2)
    )
    assert np.array_equal(first, second)


def test_network_of_ones_own_is_inverted_at_a_layer(photo, tmp_path):
    import torch
    import torchvision

    torch.manual_seed(0)
    network = torchvision.models.resnet18()
    torch.save(network.state_dict(), tmp_path / "w.pth")
    made = metamers.make(
        photo, ["torchvision:resnet18"], size=48, steps=6, layer="layer2.1",
        weights=tmp_path / "w.pth",
    )  # fmt: skip
    (row,) = made.losses
    assert row["loss_after"] < row["loss_before"]
    assert {one.judge for one in made.answers if one.member} == {"torchvision:resnet18"}


@pytest.mark.parametrize("factory", ["ten_classes", "trunk"])
def test_a_network_without_imagenets_classes_is_inverted_and_answers_nothing(photo, factory):
    made = metamers.make(
        photo, [f"import:headless:{factory}"], size=48, steps=4, layer="2", weights="random"
    )
    assert made.losses[0]["loss_after"] < made.losses[0]["loss_before"]
    assert made.answers
    assert not any(one.member for one in made.answers)


@pytest.mark.parametrize("optimizer", ["nesterov", "adam", "lbfgs"])
def test_each_optimizer_lowers_the_loss(photo, optimizer):
    made = metamers.make(photo, ["squeezenet1_1"], size=64, steps=20, optimizer=optimizer)
    (row,) = made.losses
    assert row["loss_after"] < row["loss_before"]


def test_pictures_called_alike_get_names_of_their_own(photo):
    made = metamers.make([photo, photo], ["squeezenet1_1"], size=48, steps=2)
    assert list(made.image_ids) == ["photo", "photo-2"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--models", "alexnett"], "'alexnett' is not in the zoo; it has efficientnet_lite0"),
        (["--models", "squeezenet1_1", "--layer", "nowhere"], "there is no module 'nowhere'"),
        (["--models", "torchvision:resnet18"], "needs a layer and weights"),
        (
            ["--models", "torchvision:resnet18", "--layer", "layer1", "--weights", "no.pth"],
            "no such file of weights",
        ),
        (["--size", "8"], "the size is 8; expected 32 pixels or more"),
        (
            ["--models", "timm:vit_tiny_patch16_224", "--layer", "blocks.1", "--weights", "random"],
            "does not take images of 48 pixels",
        ),
        (["--stage", "deep"], "the stage is 'deep'"),
        (["--steps", "0"], "expected 1 or more"),
        (["--optimizer", "magic"], "magic"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(photo, tmp_path, arguments, said):
    result = run("make", photo, *QUICK, *arguments, "--output", tmp_path / "out")
    assert result.exit_code == 2
    assert said in result.output


def test_missing_picture_is_refused_by_its_name(tmp_path):
    result = run("make", tmp_path / "nowhere.jpg", "--output", tmp_path / "out")
    assert result.exit_code == 2
    assert "nowhere.jpg: cannot be read" in result.output


def test_interrupted_work_goes_on_with_the_same_command(photo, tmp_path):
    command = [*PROGRAM, str(photo), "--size", "48", "--models", "squeezenet1_1", "--steps"]
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    long = [*command, "600", "--output"]
    subprocess.run([*long, str(whole)], cwd=ROOT, capture_output=True, check=True)
    process = subprocess.Popen(
        [*long, str(halves)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    deadline = time.monotonic() + 60
    while not (halves / UNFINISHED).exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    told, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on" in told
    assert "Traceback" not in told
    assert (halves / UNFINISHED).exists()
    subprocess.run([*long, str(halves)], cwd=ROOT, capture_output=True, check=True)
    assert (halves / "metamer_photo.png").read_bytes() == (whole / "metamer_photo.png").read_bytes()


def test_metamers_are_kept_when_interrupted_as_models_are_asked(photo, tmp_path, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(own_images, "_answers", interrupt)
    out = tmp_path / "out"
    result = run("make", photo, *QUICK, "--models", "squeezenet1_1", "--output", out)
    assert result.exit_code == 130
    assert len(checkpoints.finished_files(out / UNFINISHED)) == 1


def test_terminal_has_no_warnings_of_other_libraries(photo, tmp_path):
    ended = subprocess.run(
        [*PROGRAM, str(photo), *QUICK, "--output", str(tmp_path / "out")],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "Warning" not in ended.stdout + ended.stderr


def test_version_is_told():
    result = run("--version")
    assert result.exit_code == 0
    assert result.output.strip() == f"metamers {__version__}"


def test_completion_of_the_shell_can_be_installed():
    assert "--install-completion" in run("--help").output
