"""Every test reads a real photograph, changed into the kind of file that it is about."""

import contextlib
import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from metamers.images.errors import UnreadableImageError
from metamers.images.preprocessing import (
    Preprocessing,
    center_crop,
    read_bytes,
    read_image,
)
from metamers.images.sources import candidates

PATHS = [image.path for image in candidates({"source": "embedded"})]
EAGLE = PATHS[17]
WIDE = PATHS[10]
SETTINGS = Preprocessing(size=56, crop=0.875, interpolation="bicubic")


def small(mode="RGB", size=(120, 80), path=WIDE):
    return Image.open(path).convert("RGB").resize(size).convert(mode)


def encoded(picture, kind="PNG", **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def pixels_of(content):
    return center_crop(content, SETTINGS, "made.up")[0]


def refused(content):
    with pytest.raises(UnreadableImageError, match=r"^made\.up: ") as caught:
        pixels_of(content)
    return str(caught.value)


@pytest.mark.parametrize("path", [EAGLE, WIDE])
@pytest.mark.parametrize("size", [56, 97, 224])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_squares_are_those_of_torchvision(path, size, interpolation):
    reference = transforms.Compose(
        [
            transforms.Resize(int(size / 0.875), InterpolationMode(interpolation)),
            transforms.CenterCrop(size),
        ]
    )
    expected = np.asarray(reference(Image.open(path))).transpose(2, 0, 1)
    met = read_image(path, Preprocessing(size, 0.875, interpolation))
    assert np.array_equal(met, expected)


@pytest.mark.parametrize("shape", [(83, 131), (131, 83), (64, 65), (40, 333)])
def test_odd_shapes_are_cropped_as_by_torchvision(shape):
    picture = small(size=shape)
    reference = transforms.Compose(
        [transforms.Resize(64, InterpolationMode.BICUBIC), transforms.CenterCrop(56)]
    )
    expected = np.asarray(reference(picture)).transpose(2, 0, 1)
    assert np.array_equal(pixels_of(encoded(picture)), expected)


@pytest.mark.parametrize(("size", "short"), [(224, 256), (240, 274), (260, 297), (112, 128)])
def test_the_short_side_is_timms(size, short):
    # timm.data.transforms_factory: math.floor(size / crop_pct); the zoo's rows have the same.
    assert Preprocessing(size, 0.875, "bicubic").short_side == short


def test_the_crop_is_described():
    _, crop = center_crop(read_bytes(WIDE), SETTINGS, "wide")
    assert crop == "1024x683 to 95x64 (bicubic), centre 56x56 from 20,4"


@pytest.mark.parametrize(
    ("kind", "turn"),
    [
        (1, lambda stored: stored),
        (2, np.fliplr),
        (3, lambda stored: np.rot90(stored, 2)),
        (4, np.flipud),
        (5, lambda stored: stored.swapaxes(0, 1)),
        (6, lambda stored: np.rot90(stored, -1)),
        (7, lambda stored: np.rot90(stored, 2).swapaxes(0, 1)),
        (8, lambda stored: np.rot90(stored, 1)),
    ],
)
def test_exif_orientation_is_applied(kind, turn):
    # The eight orientations of Exif 2.3, written as numpy operations.
    stored, exif = small(), Image.Exif()
    exif[0x0112] = kind
    upright = Image.fromarray(np.ascontiguousarray(turn(np.asarray(stored))))
    assert np.array_equal(pixels_of(encoded(stored, exif=exif)), pixels_of(encoded(upright)))


def test_an_orientation_that_does_not_exist_is_none():
    stored, exif = small(), Image.Exif()
    exif[0x0112] = 9
    _, crop = center_crop(encoded(stored, exif=exif), SETTINGS, "made.up")
    assert "EXIF" not in crop


def test_damaged_exif_is_noted_and_the_picture_read():
    little_endian_directory_cut_short = b"Exif\0\0II*\0\x08\0\0\0\xff\xff"
    content = encoded(small(), "JPEG", exif=little_endian_directory_cut_short)
    met, crop = center_crop(content, SETTINGS, "made.up")
    assert np.array_equal(met, pixels_of(encoded(small(), "JPEG")))
    assert crop.startswith("Pillow warned: Corrupt EXIF data.")


def test_grey_becomes_three_equal_channels():
    grey = small("L")
    met = pixels_of(encoded(grey))
    assert np.array_equal(met[0], met[1])
    assert np.array_equal(met, pixels_of(encoded(grey.convert("RGB"))))


@pytest.mark.parametrize(("kind", "endian"), [("PNG", "<"), ("TIFF", "<"), ("TIFF", ">")])
def test_sixteen_bit_grey_is_scaled_not_cut_off(kind, endian):
    grey = small("L")
    levels = np.asarray(grey).astype(f"{endian}u2") * 257
    mode = "I;16" if endian == "<" else "I;16B"
    deep = Image.frombytes(mode, grey.size, levels.astype(f"{endian}u2").tobytes())
    assert np.array_equal(pixels_of(encoded(deep, kind)), pixels_of(encoded(grey)))


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pixels_of_unknown_range_are_refused(mode):
    assert f"mode {mode!r}" in refused(encoded(small("L").convert(mode), "TIFF"))


def test_cmyk_keeps_its_colours():
    picture = small()
    met = pixels_of(encoded(picture.convert("CMYK"), "JPEG", quality=98)).astype(float)
    # JPEG's own loss is 1 to 2 of 255 levels; inverted inks would be off by about 100.
    assert np.abs(met - pixels_of(encoded(picture))).mean() < 3


def test_a_palette_is_looked_up():
    palette = small().quantize(64)
    assert np.array_equal(pixels_of(encoded(palette)), pixels_of(encoded(palette.convert("RGB"))))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_transparent_is_white(mode):
    picture = small(mode)
    picture.putalpha(0)
    assert (pixels_of(encoded(picture)) == 255).all()
    picture.putalpha(255)
    opaque = small("RGB" if mode == "RGBA" else "L")
    assert np.array_equal(pixels_of(encoded(picture)), pixels_of(encoded(opaque)))


def test_half_transparent_is_halfway_to_white():
    picture = Image.new("RGBA", (64, 64), (100, 0, 200, 128))
    # 255 + (colour - 255) * 128 / 255, by hand: 177.2, 127, 227.4.
    assert pixels_of(encoded(picture))[:, 0, 0].tolist() == pytest.approx([177, 127, 227], abs=1)


def test_a_transparent_colour_of_a_palette_is_white():
    palette = Image.new("P", (64, 64), 3)
    palette.putpalette([10, 20, 30] * 256)
    assert (pixels_of(encoded(palette, transparency=3)) == 255).all()
    assert pixels_of(encoded(palette, transparency=2))[:, 0, 0].tolist() == [10, 20, 30]


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "PNG", "WEBP"])
def test_several_frames_are_refused(kind):
    frames = [small(path=path) for path in PATHS[:3]]
    content = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    assert "has 3 frames" in refused(content)


def test_a_camera_jpeg_with_a_preview_gives_its_first_picture():
    first, preview = small(), small(path=EAGLE)
    content = encoded(first, "MPO", save_all=True, append_images=[preview], quality=95)
    assert np.array_equal(pixels_of(content), pixels_of(encoded(first, "JPEG", quality=95)))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_truncated_file_is_refused(kind, share):
    content = encoded(small(), kind)
    assert refused(content[: int(share * len(content))])


@pytest.mark.parametrize("content", [b"", b"file,label\n", b"<!DOCTYPE html><html></html>"])
def test_what_is_no_image_is_refused(content):
    assert "is not an image" in refused(content)


def test_a_tiny_image_is_refused():
    assert "31x80 pixels; expected are sides of 32 to 32768" in refused(
        encoded(small(size=(31, 80)))
    )
    assert pixels_of(encoded(small(size=(32, 80)))).shape == (3, 56, 56)


@pytest.mark.parametrize("limit", [5000, 1000])
def test_an_image_of_too_many_pixels_is_refused(monkeypatch, limit):
    # Pillow warns above its limit and raises above twice that; here are 9600 pixels.
    content = encoded(small())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    assert "too large" in refused(content)


def png_of_size(width, height):
    """Return a PNG of few bytes whose header says that it is of this size."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [header, b"IDAT" + zlib.compress(bytes(1000)), b"IEND"]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in chunks
    )


@pytest.mark.parametrize("size", [(2_700_000, 32), (32, 2_700_000), (32_769, 64)])
def test_a_thin_image_is_refused_before_it_is_decoded(size, monkeypatch):
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("decoded"))
    message = refused(png_of_size(*size))
    assert message == f"made.up: is {size[0]}x{size[1]} pixels; expected are sides of 32 to 32768"


def test_a_postscript_file_is_no_image_whatever_its_name_says():
    postscript = encoded(small(), "EPS")
    assert postscript.startswith(b"%!PS")
    assert "is not an image" in refused(postscript)


def test_a_renamed_file_is_read_by_its_content(tmp_path):
    (tmp_path / "photo.gif").write_bytes(encoded(small()))
    assert np.array_equal(read_image(tmp_path / "photo.gif", SETTINGS), pixels_of(encoded(small())))


def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path):
    os.mkfifo(tmp_path / "photo.png")
    with pytest.raises(UnreadableImageError, match=r"photo\.png: cannot be read .*pipe"):
        read_image(tmp_path / "photo.png", SETTINGS)


def test_a_link_to_a_device_without_an_end_is_refused(tmp_path):
    (tmp_path / "photo.png").symlink_to("/dev/zero")
    with pytest.raises(UnreadableImageError, match=r"photo\.png: cannot be read .*device"):
        read_image(tmp_path / "photo.png", SETTINGS)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP"])
def test_a_damaged_image_is_read_or_refused_by_name(kind):
    content, rng = encoded(small(), kind), np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(content)
        for place in rng.integers(0, min(len(content), 400), 3):
            damaged[place] = rng.integers(256)
        with contextlib.suppress(UnreadableImageError):
            pixels_of(bytes(damaged))


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(UnreadableImageError, match=r"gone\.jpg: cannot be read"):
        read_image(tmp_path / "gone.jpg", SETTINGS)
    with pytest.raises(UnreadableImageError, match="cannot be read"):
        read_image(tmp_path, SETTINGS)


def test_reading_twice_gives_the_same_and_leaves_the_file(tmp_path):
    path = tmp_path / "a picture – 写真.jpg"
    path.write_bytes(read_bytes(EAGLE))
    assert np.array_equal(read_image(path, SETTINGS), read_image(str(path), SETTINGS))
    assert path.read_bytes() == read_bytes(EAGLE)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"size": 0}, "size is 0; expected pixels, from 1"),
        ({"size": 56.0}, "size is 56.0"),
        ({"crop": 0}, r"crop is 0; expected a share in \(0, 1\]"),
        ({"crop": 1.1}, "crop is 1.1"),
        ({"interpolation": "nearest"}, "'nearest'; allowed are bilinear, bicubic"),
        ({"colour": 1}, r"expected \['size', 'crop', 'interpolation'\]"),
    ],
)
def test_strange_settings_are_refused(section, message):
    good = {"size": 56, "crop": 0.875, "interpolation": "bicubic"}
    assert Preprocessing.of(good) == SETTINGS
    with pytest.raises(ValueError, match=message):
        Preprocessing.of(good | section)
