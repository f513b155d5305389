"""The gallery's folder: its page, its data in small scripts, and its images.

A page of ``file:`` may not read files, but it may run scripts and show images beside it: the data
are scripts that hand themselves over, in chunks, so that the first are shown before the last come.
No name of a photograph or a condition is in a path.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image

from metamers.config import listings
from metamers.config.plan import Condition
from metamers.gallery.description import description
from metamers.gallery.details import details
from metamers.gallery.run_tables import RunTables
from metamers.images import references as reference_files
from metamers.storage import metamers as metamer_files

ROWS_OF_A_CHUNK = 1000
THUMBNAIL = 112  # pixels; images that are hardly larger stand for themselves
PAGE = ("index.html", "gallery.css", "selection.js", "charts.js", "view.js", "gallery.js")


def write(folder: Path, run: RunTables, metamers: Sequence[str], references: Sequence[str]) -> None:
    """Write the gallery of a run.

    Parameters
    ----------
    folder
        Where it is made; whatever is there is replaced.
    run
        What is known of the metamers.
    metamers, references
        Files of metamers, and of reference images, one of each draw.
    """
    shutil.rmtree(folder, ignore_errors=True)
    write_page(folder, run)
    places = {
        (row.references, row.image_id): place
        for place, row in enumerate(run.photographs.itertuples())
    }
    suffix = _suffix(run.config["preprocessing"]["size"])
    for path in references:
        ids, pixels = reference_files.load(path)
        for image_id, image in zip(ids, pixels, strict=True):
            place = places.get((Path(path).stem, image_id))
            if place is not None:
                _save(folder, place, "reference", image.permute(1, 2, 0).numpy(), suffix)
    conditions = {condition: place for place, condition in enumerate(run.conditions)}
    for path in metamers:
        found = metamer_files.load(path)
        condition = Condition.of(found.notes["condition"])
        for image_id, image in zip(found.image_ids, found.pixels, strict=True):
            place = places[condition.references, image_id]
            name = str(conditions[condition])
            _save(folder, place, name, image.permute(1, 2, 0).numpy(), suffix)
    listings.write(folder)


def write_page(folder: Path, run: RunTables) -> None:
    """Write the page and its data, without images."""
    (folder / "data").mkdir(parents=True)
    for name in PAGE:
        text = resources.files("metamers").joinpath("data/gallery", name).read_bytes()
        (folder / name).write_bytes(text)
    starts = range(0, max(len(run.rows), 1), ROWS_OF_A_CHUNK)
    small = _suffix(run.config["preprocessing"]["size"])
    shown = {"thumbnails": "images" if small == "png" else "thumbnails", "suffix": small}
    words = description(run, len(starts)) | shown
    _script(folder / "data/run.js", f"const gallery = {{ run: {_json(words)} }};\n")
    for chunk, first in enumerate(starts):
        columns = run.columns(first, first + ROWS_OF_A_CHUNK)
        _script(folder / f"data/rows-{chunk}.js", f"gallery.rows({chunk}, {_json(columns)});\n")
    for place, found in details(run):
        path = folder / f"data/photograph-{place}.js"
        _script(path, f"gallery.details({place}, {_json(found)});\n")


def _suffix(side: int) -> str:
    return "png" if side <= 1.2 * THUMBNAIL else "webp"


def _save(folder: Path, photograph: int, name: str, pixels: np.ndarray, suffix: str) -> None:
    image = Image.fromarray(pixels)
    path = folder / f"images/{photograph}/{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    if suffix != "png":
        small = folder / f"thumbnails/{photograph}/{name}.{suffix}"
        small.parent.mkdir(parents=True, exist_ok=True)
        image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
        image.save(small, quality=85)


def _script(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _json(content: object) -> str:
    return json.dumps(content, separators=(",", ":"), allow_nan=False)
