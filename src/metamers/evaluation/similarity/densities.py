"""Smoothed densities of weighted samples on a shared grid, many resamples at a time.

The density is that of scipy's ``gaussian_kde``: a gaussian kernel at each value. Values are
first shared out between the two grid points around them, so that a resample costs one
convolution; agreement with ``gaussian_kde`` is tested. `Convention` holds what the paper leaves
open: the width of the kernel, and the unit of the divergence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, sparse, special

Array = NDArray[np.float64]

GRID_POINTS = 1000  # "a sampling rate of 1000" (section 4.5)
CHUNK = 2**22  # weights held at a time
CUT = 3.0  # bandwidths that the grid runs past the outermost values
NARROWEST = 1e-3  # least width of a grid, relative to the largest value in size


@dataclass(frozen=True)
class Convention:
    """How wide kernels are, and what a divergence is given in.

    Attributes
    ----------
    bandwidth
        What the standard deviation of a sample of n values is multiplied by: ``scott``,
        ``n ** (-1/5)``, and ``silverman``, ``(3 n / 4) ** (-1/5)``, are those of ``gaussian_kde``;
        ``scott_images`` is Scott's of the number of images, since distances that share an image
        are not independent; a number is taken as it stands.
    base
        Of the logarithm: 2, for bits from 0 to 1, or ``e``, for nats from 0 to 0.693.
    root
        Whether the square root is taken: the distance of Jensen and Shannon.
    """

    bandwidth: Literal["scott_images", "scott", "silverman"] | float = "scott_images"
    base: Literal[2, "e"] = 2
    root: bool = False

    def factor(self, total: Array, size: float | None) -> Array | float:
        """Return what multiplies standard deviations of samples of some total weights.

        Parameters
        ----------
        total
            How many values each sample has, shape (resamples,).
        size
            Number of independent values that each is worth, for ``scott_images``; None: all.
        """
        if not isinstance(self.bandwidth, str):
            return self.bandwidth
        if self.bandwidth == "silverman":
            return (0.75 * total) ** -0.2
        if self.bandwidth == "scott_images" and size is not None:
            return float(size**-0.2)
        return total**-0.2

    def of(self, bits: ArrayLike) -> Array:
        """Return divergences in bits in this unit."""
        found = np.asarray(bits, dtype=np.float64) * (np.log(2) if self.base == "e" else 1.0)
        return np.sqrt(found) if self.root else found

    @property
    def unit(self) -> str:
        """Return the unit's name."""
        name = "nats" if self.base == "e" else "bits"
        return f"root of {name}" if self.root else name


BITS = Convention()


@dataclass(frozen=True)
class Sample:
    """Values that each belong to one image, or to a pair of them.

    Attributes
    ----------
    values
        Shape (values,).
    first, second
        Positions of the images that a value belongs to; ``second`` is None where it is one.
    """

    values: Array
    first: NDArray[np.intp]
    second: NDArray[np.intp] | None = None

    def weights(self, counts: Array) -> Array:
        """Return how often each value occurs where images occur ``counts`` times.

        A resample that holds an image c times and another d times holds their pair c d times.
        """
        if self.second is None:
            return counts[:, self.first]
        return counts[:, self.first] * counts[:, self.second]


def divergence(
    first: Sample,
    second: Sample,
    counts: Array,
    other_counts: Array,
    size: float | None,
    convention: Convention = BITS,
) -> Array:
    """Return the Jensen-Shannon divergence of two samples in each resample of their images.

    Parameters
    ----------
    first, second
        The samples.
    counts, other_counts
        How often each image occurs, for the first and the second sample; shape
        (resamples, images).
    size
        Number of independent values that each sample is worth (`bandwidth`); None: as many as
        it has values.
    convention
        Width of the kernels, and unit of what is returned.
    """
    both = ((first, counts), (second, other_counts))
    grid = grid_of(
        [sample.values for sample, _ in both],
        [float(bandwidth(s.values, s.weights(c[:1]), size, convention)[0]) for s, c in both],
    )
    shares = [_shares(sample.values, grid) for sample, _ in both]
    rows = max(1, CHUNK // max(sample.values.size for sample, _ in both))
    found = []
    for start in range(0, len(counts), rows):
        densities = []
        for (sample, all_counts), share in zip(both, shares, strict=True):
            weights = sample.weights(all_counts[start : start + rows])
            widths = bandwidth(sample.values, weights, size, convention)
            densities.append(smoothed((share.T @ weights.T).T, widths, grid))
        found.append(jensen_shannon(*densities))
    return convention.of(np.concatenate(found))


def bandwidth(
    sample: Array, weights: Array, size: float | None, convention: Convention = BITS
) -> Array:
    """Return the bandwidth of each resample: a factor times its standard deviation.

    Parameters
    ----------
    sample
        Values, shape (values,).
    weights
        How often each value occurs, shape (resamples, values).
    size
        Number of independent values that the sample is worth; None: its total weight.
    convention
        What the factor is.
    """
    total = weights.sum(axis=1)
    centred = sample - sample.mean()
    mean = weights @ centred / total
    squares = weights @ centred**2 - total * mean**2
    variance = np.clip(squares, 0.0, None) / np.maximum(total - 1.0, 1.0)
    return np.asarray(np.sqrt(variance) * convention.factor(total, size))


def grid_of(samples: Sequence[Array], bandwidths: Sequence[float]) -> Array:
    """Return the grid that samples share: even, from below the lowest to above the highest.

    It may begin below zero: smoothed distances leak there, and a cut would take mass from the
    sample that lies closest to zero. Values that agree to about a millionth fall on one point.
    """
    low = min(s.min() - CUT * w for s, w in zip(samples, bandwidths, strict=True))
    high = max(s.max() + CUT * w for s, w in zip(samples, bandwidths, strict=True))
    largest = max(float(np.abs(s).max()) for s in samples) or 1.0
    lacking = max(0.0, NARROWEST * largest - (high - low))
    margin = lacking / 2 + CUT * (high - low + lacking) / (GRID_POINTS - 1)
    return np.linspace(low - margin, high + margin, GRID_POINTS)


def _shares(values: Array, grid: Array) -> sparse.csr_array:
    """Return how each value is shared between the grid points around it: (values, points)."""
    place = (values - grid[0]) / (grid[1] - grid[0])
    left = np.clip(np.floor(place).astype(np.int64), 0, grid.size - 2)
    share = place - left
    rows = np.arange(values.size)
    return sparse.csr_array(
        (
            np.concatenate([1.0 - share, share]),
            (np.concatenate([rows, rows]), np.concatenate([left, left + 1])),
        ),
        shape=(values.size, grid.size),
    )


def smoothed(on_grid: Array, bandwidths: Array, grid: Array) -> Array:
    """Return gaussian-smoothed weights, each row summing to 1, shape (resamples, points).

    A bandwidth below one grid step is taken as one step: a constant becomes a narrow peak.
    """
    points = grid.size
    step = grid[1] - grid[0]
    length = fft.next_fast_len(2 * points, real=True)
    offsets = np.minimum(np.arange(length), length - np.arange(length))
    widths = np.maximum(bandwidths / step, 1.0)
    kernels = np.exp(-0.5 * (offsets / widths[:, None]) ** 2)
    spectrum = fft.rfft(on_grid, length, axis=1) * fft.rfft(kernels, axis=1)
    density = np.clip(fft.irfft(spectrum, length, axis=1)[:, :points], 0.0, None)
    return density / density.sum(axis=1, keepdims=True)


def jensen_shannon(first: Array, second: Array) -> Array:
    """Return the Jensen-Shannon divergence of each pair of rows, in bits.

    0 for equal rows, 1 for disjoint ones. It is the divergence: the square of what scipy's
    ``jensenshannon`` calls the distance.
    """
    middle = (first + second) / 2
    entropies = special.rel_entr(first, middle) + special.rel_entr(second, middle)
    return np.clip(entropies.sum(axis=-1) / (2 * np.log(2)), 0.0, 1.0)
