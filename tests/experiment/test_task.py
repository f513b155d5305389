"""Pictures of the task, and the scripts that it brings along."""

import csv
import hashlib

import numpy as np
from fixtures import ROOT

from metamers.experiment import task
from metamers.experiment.design import blind_name

FOLDER = ROOT / "src/metamers/data/task/jspsych"


def test_scripts_of_others_are_those_that_the_list_names():
    rows = list(csv.DictReader((FOLDER / "SOURCES.csv").read_text().splitlines()))
    assert {row["file"] for row in rows} == {path.name for path in FOLDER.glob("*.js")}
    for row in rows:
        content = (FOLDER / row["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == row["sha256"], row["file"]
    assert "MIT" in (FOLDER / "LICENSE").read_text()


def test_masks_have_amplitudes_that_fall_with_frequency():
    noise = task.pink_noise(128, np.random.default_rng(0)) / 255
    spectrum = np.abs(np.fft.fft2(noise - noise.mean()))
    radius = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.fftfreq(128)[None])
    low, high = ((radius > a) & (radius < b) for a, b in ((0.02, 0.06), (0.2, 0.6 / 1.5)))
    ratio = spectrum[low].mean() / spectrum[high].mean()
    assert 4 < ratio < 11  # 1/f: the mean radii are 0.045 and 0.3
    assert abs(noise.mean() - 0.5) < 0.02


def test_words_can_be_read_and_differ():
    dog, cat = (np.asarray(task.word_picture(word, 64)) for word in ("dog", "cat"))
    assert dog.max() == 255
    assert (dog != cat).any()


def test_blind_names_differ_by_all_that_they_hide():
    names = {blind_name(s, c, i) for s in (0, 1) for c in "ab" for i in ("x", "y")}
    assert len(names) == 8
