"""Spectral measures against images whose slope or pattern is known."""

import numpy as np
import pytest
import torch
from natural_images import natural

from metamers.evaluation.metrics import spectrum

SIDE = 96


def noise(exponent, n=12, side=SIDE, seed=0):
    """Images of random phase whose power falls as frequency to the exponent."""
    generator = np.random.default_rng(seed)
    rows, columns = np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side), indexing="ij")
    radius = np.hypot(rows, columns)
    radius[0, 0] = 1
    white = np.fft.fft2(generator.normal(size=(n, 1, side, side)))
    images = np.fft.ifft2(white * radius ** (exponent / 2)).real
    images = images / images.std(axis=(1, 2, 3), keepdims=True)
    return torch.from_numpy(0.5 + 0.1 * images).repeat(1, 3, 1, 1).float()


def board(period, side=SIDE, shift=0):
    """A checkerboard of 1 and -1 that repeats after `period` pixels."""
    index = (torch.arange(side) + shift) // (period // 2)
    return ((index[:, None] + index) % 2 * 2 - 1).float()


@pytest.mark.parametrize("exponent", [0.0, -1.0, -2.0, -3.0])
def test_slope_is_the_one_that_was_put_in(exponent):
    images = noise(exponent)
    found = spectrum.slope(images, images)
    assert found.mean().item() == pytest.approx(exponent, abs=0.08)
    assert found.std() < 0.15


def test_slope_depends_on_neither_brightness_nor_contrast():
    images = noise(-2.0)
    found = spectrum.slope(images, images)
    changed = spectrum.slope(0.3 * images + 0.1, images)
    torch.testing.assert_close(found, changed, atol=1e-4, rtol=0)


def test_slope_of_images_that_are_not_square_is_the_same():
    images = noise(-2.0)
    wide = spectrum.slope(images[..., :64, :], images)
    assert wide.mean().item() == pytest.approx(-2, abs=0.12)


def test_difference_of_slopes_has_no_sign():
    rough, smooth = noise(-1.0), noise(-3.0)
    for pair in ((rough, smooth), (smooth, rough)):
        assert spectrum.slope_difference(*pair).mean().item() == pytest.approx(2, abs=0.15)
    assert spectrum.slope_difference(rough, rough).max() == 0


@pytest.mark.parametrize("exponent", [0.0, -2.0])
def test_noise_has_no_checkerboard(exponent):
    found = spectrum.checkerboard(noise(exponent, n=60), noise(0.0))
    # a ratio to the mean of 16 alike is above 1 by about a sixteenth, more where they go together
    assert (10 ** (found / 10)).mean().item() == pytest.approx(1.1, abs=0.15)


@pytest.mark.parametrize("period", [2, 4, 8, 16])
def test_checkerboard_of_each_period_is_found_and_grows_with_contrast(period):
    images = noise(-2.0)
    weak, strong = (
        spectrum.checkerboard(images + contrast * board(period), images) for contrast in (0.05, 0.1)
    )
    plain = spectrum.checkerboard(images, images)
    assert (weak - plain).mean() > 3
    assert (strong > weak).all()
    assert (strong > plain + 3).all()


def test_power_of_a_checkerboard_is_its_own():
    # white noise of variance v, a board of contrast c: at (1/2, 1/2) the ratio is known
    contrast, sd = 0.1, 0.1
    window = np.hanning(SIDE + 1)[:-1]
    expected = 1 + contrast**2 * window.sum() ** 4 / (sd**2 * (window**2).sum() ** 2)
    found = spectrum.checkerboard(noise(0.0, n=60) + contrast * board(2), noise(0.0))
    periods = len(spectrum.PERIODS)
    mean = 10 * np.log10((expected + periods - 1) / periods)
    assert found.mean().item() == pytest.approx(mean, abs=0.5)


def test_place_of_a_checkerboard_does_not_matter():
    images = noise(0.0)
    values = [
        spectrum.checkerboard(images + 0.3 * board(8, shift=k), images).mean().item()
        for k in (0, 1, 3)
    ]
    assert values == pytest.approx([values[0]] * 3, abs=0.2)


@pytest.mark.parametrize("period", [4, 8])
def test_stripes_along_an_axis_are_no_checkerboard(period):
    images = noise(-2.0)
    stripes = (torch.arange(SIDE) // (period // 2) % 2 * 2 - 1).float()
    striped = spectrum.checkerboard(images + 0.1 * stripes, images)
    assert (striped - spectrum.checkerboard(images, images)).abs().max() < 1


def test_photographs_have_no_checkerboard():
    images = natural(0) / 255
    assert spectrum.checkerboard(images, images).abs().max() < 5
    assert (spectrum.checkerboard(images + 0.1 * board(8, images.shape[-1]), images) > 8).all()


def test_sides_need_not_be_whole_periods():
    images = noise(-2.0, side=101) + 0.1 * board(4, 101)
    assert (spectrum.checkerboard(images[..., :90], images) > 10).all()


def test_constant_images_have_no_spectrum():
    images = torch.full((2, 3, 64, 64), 0.3)
    for measure in (spectrum.slope, spectrum.slope_difference, spectrum.checkerboard):
        assert measure(images, images).isnan().all()


def test_images_too_small_for_any_period_have_no_checkerboard():
    images = noise(0.0)[..., :7, :7]
    assert spectrum.checkerboard(images, images).isnan().all()
