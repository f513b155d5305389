"""Draw the README's picture: photographs in the public domain, and metamers of them.

    python tools/docs/metamers_picture.py docs/images/metamers.jpg

About three minutes on one core. The photographs are scikit-image's: NASA's of Eileen Collins, in
the public domain, and a cat (Stefan van der Walt) and a cup of coffee (Rachel Michetti), both CC0.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import skimage
from PIL import Image, ImageDraw

import metamers

PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png")
MODEL = ["efficientnet_lite0"]
COLUMNS = (
    ("early stage", MODEL, "early"),
    ("middle stage", MODEL, "middle"),
    ("late stage", MODEL, "late"),
    ("late, two networks", [*MODEL, "squeezenet1_1"], "late"),
)
SIDE, STEPS, GAP, TITLE = 160, 600, 6, 18


def main(path: Path) -> None:
    """Make the metamers and write the picture."""
    folder = Path(skimage.__file__).parent / "data"
    photographs = [folder / name for name in PHOTOGRAPHS]
    columns = []
    for title, models, stage in COLUMNS:
        made = metamers.make(photographs, models=models, stage=stage, size=SIDE, steps=STEPS)
        columns.append((title, made.images))
        print(title, made.losses)
    draw([("photograph", made.references), *columns]).save(path, quality=85)


def draw(columns: list[tuple[str, np.ndarray]]) -> Image.Image:
    """Return a row of images for each photograph, under the columns' titles."""
    step = SIDE + GAP
    height = TITLE + len(PHOTOGRAPHS) * step
    picture = Image.new("RGB", (len(columns) * step - GAP, height - GAP), "white")
    pen = ImageDraw.Draw(picture)
    for column, (title, images) in enumerate(columns):
        pen.text((column * step + 2, 2), title, fill="black", font_size=13)
        for row, image in enumerate(images):
            tile = Image.fromarray(image.transpose(1, 2, 0))
            picture.paste(tile, (column * step, TITLE + row * step))
    return picture


if __name__ == "__main__":
    main(Path(sys.argv[1]))
