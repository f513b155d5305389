"""Images with the spectrum of photographs."""

import numpy as np
import torch

N, SIDE = 3, 64
IDS = [f"image {i}" for i in range(N)]


def natural(seed, n=N, side=SIDE):
    """Return images with the spectrum of photographs: amplitude over frequency."""
    noise = np.random.default_rng(seed).normal(size=(n, 3, side, side))
    grid = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    smooth = np.fft.ifft2(np.fft.fft2(noise) / np.maximum(grid, 1 / side)).real
    low, high = smooth.min(axis=(1, 2, 3), keepdims=True), smooth.max(axis=(1, 2, 3), keepdims=True)
    return torch.from_numpy(np.round(255 * (smooth - low) / (high - low)).astype(np.uint8))
