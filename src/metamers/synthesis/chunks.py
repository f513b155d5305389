"""Chunks: images are computed a fixed number at a time, whatever batch they come in.

Libraries choose their kernels, and with them the order of sums, by the number of images that they
are given. With one number for all, an image has the same bits beside any others.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

# Unless the caller says otherwise. Small, so that a chunk's activations stay in a CPU's cache;
# not 1, for which some kernels are slow and one of torch's is wrong (docs/engine.md).
CHUNK_SIZE = 4


def padded_rows(n_images: int, chunk_size: int) -> np.ndarray:
    """Return the indices of images in whole chunks: the last is filled up from the first on."""
    return np.resize(np.arange(n_images), -(-n_images // chunk_size) * chunk_size)


def pad(images: Tensor, chunk_size: int) -> Tensor:
    """Return images in whole chunks, ``(n, …)``: the last is filled up from the first on."""
    if len(images) % chunk_size == 0:
        return images
    return images[torch.from_numpy(padded_rows(len(images), chunk_size)).to(images.device)]


def whole_chunks(batch_size: int, chunk_size: int) -> int:
    """Return the size of the largest batch of whole chunks within a size; at least one chunk."""
    return max(1, batch_size // chunk_size) * chunk_size
