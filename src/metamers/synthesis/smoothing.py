"""Gradients smoothed as natural images are: their Fourier amplitudes over the frequency.

The gradient of a network by its image is mostly of high frequencies, and the amplitudes of natural
images fall as the frequency rises (Field 1987). Steps against a smoothed gradient are steepest
descent in the Fourier coefficients over f^(-EXPONENT / 2), the colour and space parameters of
feature visualisation (Olah et al. 2017) less their colours.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

EXPONENT = 1.0


def smooth_(gradient: Tensor, chunk_size: int) -> Tensor:
    """Divide the amplitudes of each colour by f^EXPONENT, in place, and return the gradient.

    The mean of an image counts as its lowest frequency.

    Parameters
    ----------
    gradient
        ``(batch, 3, height, width)``, in whole chunks.
    chunk_size
        Images that are transformed at a time; always as many, since that decides the rounding.
    """
    height, width = gradient.shape[-2:]
    weights = _weights(height, width, gradient.device)
    for chunk in gradient.split(chunk_size):
        spectrum = torch.fft.rfft2(chunk).mul_(weights)
        chunk.copy_(torch.fft.irfft2(spectrum, s=(height, width)))
    return gradient


@lru_cache(maxsize=8)
def _weights(height: int, width: int, device: torch.device) -> Tensor:
    """Return f^-EXPONENT at the frequencies of `torch.fft.rfft2`, ``(height, width // 2 + 1)``."""
    vertical = torch.fft.fftfreq(height, device=device).unsqueeze(1)
    horizontal = torch.fft.rfftfreq(width, device=device)
    frequency = torch.hypot(vertical, horizontal).clamp_min(1 / max(height, width))
    return frequency**-EXPONENT
