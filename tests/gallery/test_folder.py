"""The gallery's folder: every image under a number, smaller ones where they are large."""

from __future__ import annotations

import json

import made_up_gallery as made_up
import numpy as np
import pytest
import torch
from PIL import Image

from metamers.gallery import folder as gallery_folder
from metamers.images import references
from metamers.storage import metamers
from metamers.storage.metamers import Metamers


@pytest.mark.parametrize(("side", "smaller"), [(64, False), (224, True)])
def test_images_are_those_of_the_files_and_names_are_in_no_path(tmp_path, side, smaller):
    ids = ["../a", 'b"><script>']
    run = made_up.run_of(ids=ids)
    run.config["preprocessing"]["size"] = side
    pixels = torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8)
    references.save(tmp_path / "draw.safetensors", ids, pixels.numpy())
    files = [
        save(tmp_path / f"{place}.safetensors", ids, condition, pixels.roll(place, 0))
        for place, condition in enumerate(run.conditions)
    ]
    gallery_folder.write(tmp_path / "gallery", run, files, [tmp_path / "draw.safetensors"])
    shown = np.asarray(Image.open(tmp_path / "gallery/images/1/3.png"))
    assert np.array_equal(shown, pixels[0].permute(1, 2, 0).numpy())
    assert len(list((tmp_path / "gallery/images").glob("*/*.png"))) == 2 * 25
    assert len(list((tmp_path / "gallery").glob("thumbnails/*/*.webp"))) == smaller * 2 * 25
    listed = json.loads((tmp_path / "gallery/files.json").read_text())["files"]
    there = {p for p in (tmp_path / "gallery").rglob("*") if p.is_file()}
    names = {path.relative_to(tmp_path / "gallery").as_posix() for path in there}
    assert set(listed) == names - {"index.html", "files.json"}
    text = (tmp_path / "gallery/data/run.js").read_text()
    words = json.loads(text.removeprefix("const gallery = { run: ").removesuffix(" };\n"))
    assert [one["id"] for one in words["photographs"]] == ids


def save(path, ids, condition, pixels):
    losses = [np.full((len(ids), 1), value) for value in (1.0, 0.5, 0.6)]
    steps = [np.full(len(ids), value) for value in (1, 2)]
    notes = {"condition": condition.columns()}
    metamers.save(path, Metamers(ids, ["m"], pixels / 255, pixels, *losses, *steps, notes))
    return str(path)
