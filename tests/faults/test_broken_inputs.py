"""Pictures and models that fail in the middle of a run, and are mended."""

from __future__ import annotations

import os

import faulted_runs
import pytest
from PIL import Image

pytestmark = pytest.mark.workflow

FULL = "METAMERS_FAULTS" in os.environ


def test_a_picture_turns_unreadable(server, tmp_path, record):
    """Between the look at it that begins a run, and its use."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for index in range(3):
        Image.radial_gradient("L").rotate(30 * index).convert("RGB").save(pictures / f"{index}.png")
    config, rows = faulted_runs.settings()
    config["data"] = {"source": "folder", "path": str(pictures)}
    good = (pictures / "1.png").read_bytes()
    fresh = faulted_runs.undisturbed(server, tmp_path / "fresh", config, rows)
    faulted = faulted_runs.Faulted(server, tmp_path / "run", fresh, record, (config, rows))
    run = faulted.start()
    faulted.wait_until(lambda: run.out.exists() and "Job stats" in run.said)
    (pictures / "1.png").write_bytes(good[: len(good) // 2])
    assert faulted.wait() != 0
    assert "1.png" in run.said
    (pictures / "1.png").write_bytes(good)
    faulted.hit("a picture turns unreadable")
    faulted.compare()


OWN_NETWORK = """
import torch, torchvision

class Own(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.network = torchvision.models.squeezenet1_0()

    def forward(self, images):
        logits = self.network({images})
        return {answer}

def network():
    return Own()
"""

SOUND = ("images", "logits")
ANSWERS = {
    "NaN": ("images", "logits * float('nan')"),
    "NaN where it is differentiated": (
        "images * (float('nan') if images.requires_grad else 1)",
        "logits",
    ),
    "ten classes": ("images", "logits[:, :10]"),
    "a dictionary": ("images", "{'logits': logits}"),
}


def network_of(images, answer):
    return OWN_NETWORK.format(images=images, answer=answer)


@pytest.fixture(scope="module")
def sound(server, tmp_path_factory):
    """A run whose network `b` is a user's own, and works."""
    folder = tmp_path_factory.mktemp("sound") / "run"
    own, configured = with_own_network(folder)
    own.write_text(network_of(*SOUND))
    return faulted_runs.undisturbed(server, folder, *configured)


def with_own_network(folder):
    config, rows = faulted_runs.settings()
    rows["b"]["architecture"] = "import:own:network"
    rows["b"]["blocks"] = [f"network.{pattern}" for pattern in rows["b"]["blocks"]]
    folder.mkdir()
    return folder / "own.py", (config, rows)


SOME = ["NaN where it is differentiated", "ten classes"]


@pytest.mark.parametrize("answer", ANSWERS if FULL else SOME)
def test_a_model_answers_wrongly(server, sound, tmp_path, record, answer):
    """The run stops and names the model; mended, it is that of the sound one."""
    own, configured = with_own_network(tmp_path / "run")
    own.write_text(network_of(*ANSWERS[answer]))
    faulted = faulted_runs.Faulted(server, tmp_path / "run", sound, record, configured)
    run = faulted.start()
    assert faulted.wait() != 0
    assert "'b'" in run.said, run.said[-3000:]
    own.write_text(network_of(*SOUND))
    faulted.hit(f"a model answers with {answer}")
    faulted.compare()
