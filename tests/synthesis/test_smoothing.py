"""Smoothed gradients against numpy, by hand, and as descent."""

import math

import numpy as np
import pytest
import torch

from metamers.synthesis.projected_step import direction_
from metamers.synthesis.smoothing import EXPONENT, smooth_

GRADIENT = torch.randn((8, 3, 12, 9), generator=torch.Generator().manual_seed(2))


def plainly(image):
    """The whole spectrum of one colour, in double precision."""
    height, width = image.shape
    vertical, horizontal = np.meshgrid(np.fft.fftfreq(height), np.fft.fftfreq(width), indexing="ij")
    frequency = np.maximum(np.hypot(vertical, horizontal), 1 / max(height, width))
    return np.fft.ifft2(np.fft.fft2(image.double()) * frequency**-EXPONENT)


def test_smoothed_gradient_equals_that_of_the_whole_spectrum():
    found = smooth_(GRADIENT.clone(), 4)
    for image, smoothed in zip(GRADIENT.flatten(0, 1), found.flatten(0, 1), strict=True):
        expected = plainly(image)
        assert np.abs(expected.imag).max() < 1e-12
        np.testing.assert_allclose(smoothed, expected.real, rtol=0, atol=2e-5)  # float32


def test_wave_is_divided_by_its_frequency():
    wave = torch.cos(2 * math.pi * 4 * torch.arange(16) / 16).expand(4, 3, 16, 16)
    found = smooth_(wave.clone(), 4)
    torch.testing.assert_close(found, wave * (4 / 16) ** -EXPONENT, atol=1e-5, rtol=0)


def test_smoothed_gradient_is_a_direction_of_descent_of_one_length():
    found = direction_("smoothed", GRADIENT.clone(), 4)
    assert ((found * GRADIENT).sum(dim=(1, 2, 3)) > 0).all()
    torch.testing.assert_close(found.square().mean(dim=(1, 2, 3)), torch.ones(8))


@pytest.mark.parametrize("side", [9, 32, 48])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_image_is_smoothed_alike_beside_any_others(side, layout):
    generator = torch.Generator().manual_seed(3)
    gradient = torch.randn((12, 3, side, side), generator=generator)
    whole = smooth_(gradient.clone(memory_format=layout), 4)
    for rows in ([4, 5, 6, 7], [11, 2, 5, 0], [0, 1, 2, 3, 8, 9, 10, 11]):
        part = gradient[rows].clone(memory_format=layout)
        assert torch.equal(smooth_(part, 4), whole[rows])
