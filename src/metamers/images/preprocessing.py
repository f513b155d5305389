"""Turn an image file into a square of 8-bit RGB, or say why it cannot be one."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from metamers.files import read_regular
from metamers.images.crops import Window
from metamers.images.errors import UnreadableImageError

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
"""What is read, whatever a file's name says; Pillow would run Ghostscript for PostScript."""

MINIMUM_SIDE = 32
MAXIMUM_SIDE = 32_768
"""An image of Pillow's limit of pixels, in one thin line, would be resized to billions of them."""

MAXIMUM_BYTES = 1_000_000_000
INTERPOLATIONS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}
_RGB_OF_PILLOW = ("1", "L", "CMYK", "YCbCr", "HSV")
_TRANSPARENT = ("LA", "La", "PA", "RGBA", "RGBa")
_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")
_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Preprocessing:
    """How a photograph becomes a square: section ``preprocessing`` of the configuration.

    Attributes
    ----------
    size
        Side of the square, pixels.
    crop
        Share of the short side that the square keeps, in (0, 1]: the short side becomes
        ``floor(size / crop)``, for 224 and 0.875 the usual 256.
    interpolation
        Pillow's filter, antialiased: ``bilinear`` or ``bicubic``.
    """

    size: int
    crop: float
    interpolation: str

    def __post_init__(self) -> None:
        """Refuse values outside their ranges, all in one error."""
        problems = []
        if not isinstance(self.size, int) or isinstance(self.size, bool) or self.size < 1:
            problems.append(f"preprocessing.size is {self.size!r}; expected pixels, from 1")
        if not isinstance(self.crop, int | float) or not 0 < self.crop <= 1:
            problems.append(f"preprocessing.crop is {self.crop!r}; expected a share in (0, 1]")
        if self.interpolation not in INTERPOLATIONS:
            problems.append(
                f"preprocessing.interpolation is {self.interpolation!r}; "
                f"allowed are {', '.join(INTERPOLATIONS)}"
            )
        if problems:
            raise ValueError("\n".join(problems))

    @classmethod
    def of(cls, section: Mapping[str, Any]) -> Preprocessing:
        """Read the section, which has exactly the keys of the fields."""
        names = [field.name for field in fields(cls)]
        if set(section) != set(names):
            raise ValueError(f"preprocessing has the keys {list(section)}; expected {names}")
        return cls(**section)

    @property
    def short_side(self) -> int:
        """Return what the short side is resized to before the crop."""
        return int(self.size / self.crop)


def read_image(path: str | Path, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Return an image file as a square of RGB, shape (3, size, size).

    Raises
    ------
    UnreadableImageError
        If the file is not an image, is broken, has a side under 32 pixels, or is of a kind
        whose colours are not known.
    """
    return center_crop(read_bytes(Path(path)), preprocessing, str(path))[0]


def read_bytes(path: Path) -> bytes:
    """Return a file's content, or raise `UnreadableImageError`."""
    try:
        return read_regular(path, MAXIMUM_BYTES)
    except OSError as error:
        raise UnreadableImageError(f"{path}: cannot be read ({error.strerror})") from error


def center_crop(
    content: bytes, preprocessing: Preprocessing, name: str
) -> tuple[NDArray[np.uint8], str]:
    """Return the square of an image file's content, (3, size, size), and how it was made."""
    picture, notes = _decode(content, name)
    side, short = preprocessing.size, preprocessing.short_side
    width, height = (short * length // min(picture.size) for length in picture.size)
    resized = picture.resize((width, height), INTERPOLATIONS[preprocessing.interpolation])
    left, top = (round((length - side) / 2) for length in resized.size)
    cropped = resized.crop((left, top, left + side, top + side))
    notes.append(
        f"{picture.width}x{picture.height} to {resized.width}x{resized.height} "
        f"({preprocessing.interpolation}), centre {side}x{side} from {left},{top}"
    )
    return _as_array(cropped), "; ".join(notes)


def window_crop(
    content: bytes, preprocessing: Preprocessing, window: Window, name: str
) -> tuple[NDArray[np.uint8], str]:
    """Return one square of an image file's content, (3, size, size), and how it was made.

    The window's square is resized; the section's ``crop`` does not apply.
    """
    picture, notes = _decode(content, name)
    side = round(window.side * min(picture.size))
    left = round(window.left * (picture.width - side))
    top = round(window.top * (picture.height - side))
    resized = picture.resize(
        (preprocessing.size, preprocessing.size),
        INTERPOLATIONS[preprocessing.interpolation],
        box=(left, top, left + side, top + side),
    )
    notes.append(
        f"{side}x{side} from {left},{top} of {picture.width}x{picture.height} to "
        f"{preprocessing.size}x{preprocessing.size} ({preprocessing.interpolation}), one of "
        "several crops of the photograph"
    )
    return _as_array(resized), "; ".join(notes)


def _as_array(picture: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(picture).transpose(2, 0, 1).copy()


def _decode(content: bytes, name: str) -> tuple[Image.Image, list[str]]:
    """Return an upright RGB image, and what had to be done for that."""
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture: Image.Image = Image.open(io.BytesIO(content), formats=FORMATS)
            _refuse_size(picture, name)
            picture.load()
            frames = getattr(picture, "n_frames", 1)
            turned = picture.getexif().get(_ORIENTATION, 1)
            ImageOps.exif_transpose(picture, in_place=True)
    except UnreadableImageError:
        raise
    except UnidentifiedImageError:
        raise UnreadableImageError(
            f"{name}: is not an image; expected is one of {', '.join(FORMATS)}"
        ) from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise UnreadableImageError(f"{name}: is too large ({error})") from None
    except Exception as error:  # a made-up file makes Pillow raise any of them
        raise UnreadableImageError(f"{name}: is broken or cut short ({error})") from error
    if frames != 1 and picture.format != "MPO":
        raise UnreadableImageError(f"{name}: has {frames} frames; expected one picture")
    # Damaged EXIF is common and harmless, but then the rotation may be unknown: it is noted.
    notes = sorted({f"Pillow warned: {str(warning.message).strip()}" for warning in warned})
    if turned in range(2, 9):
        notes.append(f"EXIF orientation {turned} applied")
    if picture.mode != "RGB":
        notes.append(f"{picture.mode} to RGB")
    return _to_rgb(picture, name), notes


def _refuse_size(picture: Image.Image, name: str) -> None:
    if not MINIMUM_SIDE <= min(picture.size) <= max(picture.size) <= MAXIMUM_SIDE:
        raise UnreadableImageError(
            f"{name}: is {picture.width}x{picture.height} pixels; "
            f"expected are sides of {MINIMUM_SIDE} to {MAXIMUM_SIDE}"
        )


def _to_rgb(picture: Image.Image, name: str) -> Image.Image:
    """Return the image in RGB; transparent parts become white."""
    if picture.mode in _SIXTEEN_BIT:
        levels = np.asarray(picture).astype(np.float64) / 65535
        return Image.fromarray(np.rint(levels * 255).astype(np.uint8)).convert("RGB")
    if picture.mode in _TRANSPARENT or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    if picture.mode in ("RGB", "P", *_RGB_OF_PILLOW):
        return picture.convert("RGB")
    raise UnreadableImageError(
        f"{name}: has pixels of mode {picture.mode!r}, whose range is not known; expected 8-bit "
        "grey, palette, RGB, CMYK or YCbCr, with or without alpha, or 16-bit grey"
    )
