"""What an image's power spectrum says: how fast it falls, and whether a pattern repeats in it.

Of the mean of the channels, less its mean, under a Hann window, so that the borders make no
frequencies. No library of the lock has either measure.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

PERIODS = (2, 4, 8, 16)
"""Pixels after which a pattern repeats: products of the strides of networks."""
FEWEST_CYCLES = 4  # of a pattern in an image, so that its frequencies have neighbours between them
LOWEST = 2  # cycles per image: below, the window itself
FLAT = 1e-6  # largest deviation from the mean of an image that is constant but for rounding
FAINT = 1e-10  # of the mean power: what numbers are rounded to, and no pattern


class Spectrum(NamedTuple):
    """Power spectra of images.

    Attributes
    ----------
    power
        Shape (n, height, width), as ``fft2`` orders it.
    constant
        Shape (n,): which images are constant, and have no spectrum.
    """

    power: Tensor
    constant: Tensor


def spectrum_of(images: Tensor) -> Spectrum:
    """Return the power spectra of images of shape (n, channels, height, width)."""
    grey = images.double().mean(dim=1)
    centred = grey - grey.mean(dim=(1, 2), keepdim=True)
    height, width = grey.shape[1:]
    rows, columns = (_hann(side).to(grey) for side in (height, width))
    power = torch.fft.fft2(centred * rows[:, None] * columns).abs().square()
    return Spectrum(power, centred.abs().amax(dim=(1, 2)) < FLAT)


def slope(metamers: Tensor, references: Tensor) -> Tensor:
    """Return the slope of the logarithm of power against that of frequency, shape (n,).

    Of the mean power at each whole number of cycles per image, from `LOWEST` to half the
    shorter side, fitted by least squares in which every octave counts alike. Natural images have
    about -2 (Field 1987), white noise has 0. NaN for a constant image. References are not looked
    at.
    """
    power, constant = spectrum_of(metamers)
    frequencies, means = _radial(power)
    x, weights = frequencies.log(), 1 / frequencies
    y = means.clamp_min(torch.finfo(means.dtype).tiny).log()
    shares = weights / weights.sum()
    x = x - (shares * x).sum()
    found = (shares * x * y).sum(dim=1) / (shares * x.square()).sum()
    return torch.where(constant, torch.nan, found)


def slope_difference(metamers: Tensor, references: Tensor) -> Tensor:
    """Return how far the slope of each metamer's spectrum is from that of its reference."""
    return (slope(metamers, references) - slope(references, references)).abs()


def checkerboard(metamers: Tensor, references: Tensor) -> Tensor:
    """Return how far a repeating pattern stands out of the spectrum, in dB, shape (n,).

    A pattern that repeats after p pixels both ways has its power at multiples of 1/p cycles per
    pixel. There, off the axes, on which any edges lie, power is taken over its mean in the 16
    frequencies two steps away; these ratios are averaged over the frequencies that each of
    `PERIODS` adds to the shorter ones, and over periods. 0 dB: no more power than beside; a ratio
    of 2 is 3 dB. A period counts that fits into both sides at least `FEWEST_CYCLES` times; images
    are cut to whole periods. NaN for a constant image, and where no period fits. References
    are not looked at.
    """
    side = min(metamers.shape[2:])
    periods = [p for p in PERIODS if p * FEWEST_CYCLES <= side]
    if not periods:
        return torch.full((len(metamers),), torch.nan, dtype=torch.float64)
    height, width = (size - size % periods[-1] for size in metamers.shape[2:])
    power, constant = spectrum_of(metamers[:, :, :height, :width])
    ratios = _over_neighbours(power)
    rows, columns = (_smallest_period(size, periods) for size in (height, width))
    of_period = torch.maximum(rows[:, None], columns)
    off_axes = torch.ones_like(of_period, dtype=torch.bool)
    off_axes[0], off_axes[:, 0] = False, False
    found = [ratios[:, ((of_period == p) & off_axes).to(ratios.device)].mean(1) for p in periods]
    decibels = 10 * torch.stack(found).mean(dim=0).log10()
    return torch.where(constant, torch.nan, decibels)


def _hann(side: int) -> Tensor:
    return torch.hann_window(side, periodic=True, dtype=torch.float64)


def _radial(power: Tensor) -> tuple[Tensor, Tensor]:
    """Return frequencies in cycles per shorter side, and the mean power at each: (n, many)."""
    height, width = power.shape[1:]
    side = min(height, width)
    rows, columns = (torch.fft.fftfreq(size, 1 / side).to(power) for size in (height, width))
    radius = torch.hypot(rows[:, None], columns).round().long().flatten()
    counts = torch.bincount(radius)
    sums = power.new_zeros(len(power), len(counts)).index_add_(1, radius, power.flatten(1))
    frequencies = torch.arange(LOWEST, side // 2 + 1, device=power.device)
    return frequencies.to(power), (sums / counts)[:, frequencies]


def _over_neighbours(power: Tensor) -> Tensor:
    """Return power over its mean two steps away; the window spreads a frequency over one."""
    steps = [(i, j) for i in range(-2, 3) for j in range(-2, 3) if max(abs(i), abs(j)) == 2]
    beside = torch.stack([power.roll(step, dims=(1, 2)) for step in steps]).mean(dim=0)
    faint = FAINT * power.mean(dim=(1, 2), keepdim=True)
    return (power + faint) / (beside + faint).clamp_min(torch.finfo(power.dtype).tiny)


def _smallest_period(size: int, periods: list[int]) -> Tensor:
    """Return the shortest period that has each of a side's frequencies; `size` + 1 where none."""
    frequency = torch.arange(size)
    found = torch.full((size,), size + 1)
    for period in reversed(periods):
        found[frequency % (size // period) == 0] = period
    return found
