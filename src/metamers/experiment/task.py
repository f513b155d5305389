"""The folder that people's browsers open, and the key that stays with the experimenter."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from metamers.config.finished_run import FinishedRun
from metamers.config.plan import Condition
from metamers.experiment.design import CATCH, PRACTICE, TEST, UNCHANGED, Design, blind_name
from metamers.files import write_atomically
from metamers.images.classes import CATEGORIES

KEY = "key.csv"
TASK = "task"
MASKS = 8
TRIALS_PER_CATCH = 10


def write(
    folder: Path, run: FinishedRun, design: Design, seed: int, practice: int
) -> tuple[Path, Path]:
    """Write the task and its key; return the page that people open, and the key.

    Parameters
    ----------
    folder
        Gets ``task/``, which tells people nothing of categories and conditions, and ``key.csv``.
    practice
        Number of practice trials. They and the catch trials show a category's name as a
        picture, so that they use up no photograph; of catch trials there is one in ten.
    """
    task = folder / TASK
    (task / "images").mkdir(parents=True, exist_ok=True)
    stimuli = design.stimuli.assign(kind=TEST)
    size = _save_stimuli(task / "images", run, stimuli)
    rng = np.random.default_rng([seed, 1])
    catch = max(1, len(design.lists[0]) // TRIALS_PER_CATCH)
    words = pd.concat([_words(seed, CATCH, catch, rng), _words(seed, PRACTICE, practice, rng)])
    for word, file in zip(words["category"], words["file"], strict=True):
        word_picture(word, size).save(task / "images" / file)
    masks = [f"mask-{index}.png" for index in range(MASKS)]
    for mask in masks:
        Image.fromarray(pink_noise(size, rng)).save(task / "images" / mask)
    _save_page(task, design, words, masks, size)
    key = pd.concat([stimuli, words], ignore_index=True)
    write_atomically(folder / KEY, key.to_csv(index=False).encode())
    return task / "index.html", folder / KEY


def word_picture(word: str, size: int) -> Image.Image:
    """Return a grey picture with a word in its middle."""
    image = Image.new("RGB", (size, size), (128, 128, 128))
    font = ImageFont.load_default(size / 6)
    ImageDraw.Draw(image).text((size / 2, size / 2), word, "white", font, anchor="mm")
    return image


def pink_noise(size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a grey mask whose amplitudes fall with frequency, as those of photographs do.

    Mean 0.5 and standard deviation 0.2 before values are cut off; shape (size, size).
    """
    frequencies = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    frequencies[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.normal(size=(size, size))) / frequencies
    noise = np.fft.irfft2(spectrum, s=(size, size))
    return ((0.5 + 0.2 * noise / noise.std()).clip(0, 1) * 255).round().astype(np.uint8)


def _words(seed: int, kind: str, count: int, rng: np.random.Generator) -> pd.DataFrame:
    names = [str(name) for name in rng.permutation(np.resize(CATEGORIES, count))]
    files = [blind_name(seed, kind, str(index), name) for index, name in enumerate(names)]
    return pd.DataFrame({"file": files, "category": names, "condition": kind, "kind": kind})


def _save_stimuli(folder: Path, run: FinishedRun, stimuli: pd.DataFrame) -> int:
    """Write the images under their blind names; return their side, pixels."""
    draw = next(Condition.parse(name).references for name in stimuli["condition"] if "/" in name)
    for name, rows in stimuli.groupby("condition"):
        if name == UNCHANGED:
            ids, pixels = run.references(draw)
        else:
            made = run.metamers(Condition.parse(str(name)))
            ids, pixels = list(made.image_ids), made.pixels
        for image_id, file in zip(rows["image_id"], rows["file"], strict=True):
            image = pixels[ids.index(image_id)].numpy().transpose(1, 2, 0)
            Image.fromarray(image).save(folder / file)
    return int(pixels.shape[-1])


def _save_page(
    task: Path, design: Design, words: pd.DataFrame, masks: Sequence[str], size: int
) -> None:
    of_kind = dict(list(words.groupby("kind")))
    practice = of_kind.get(PRACTICE, words.iloc[:0])
    trials = {
        "categories": CATEGORIES,
        "size": size,
        "masks": masks,
        "lists": design.lists,
        "catch": of_kind[CATCH]["file"].tolist(),
        "practice": practice[["file", "category"]].to_dict("records"),
    }
    (task / "trials.js").write_text(f"const TRIALS = {json.dumps(trials)};\n")
    source = resources.files("metamers").joinpath("data", "task")
    for name, content in _files(source):
        path = task / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)


def _files(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _files(entry, f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}", entry.read_bytes()
