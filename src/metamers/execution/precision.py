"""The numbers that networks compute with; losses and pixels are always float32."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def prepare(precision: str, device: torch.device) -> None:
    """Set what float32 means on GPUs, for the whole process.

    ``float32`` and ``bf16``: IEEE's, with 24 bits of fraction. ``tf32``: products of matrices and
    convolutions round their factors to 11 bits (NVIDIA's tensor cores, since Ampere).

    Raises
    ------
    ValueError
        If the device does not have the precision.
    """
    if precision == "tf32" and device.type != "cuda":
        raise ValueError(
            f"the precision 'tf32' needs a GPU, and the device is {str(device)!r}; take 'float32' "
            "or 'bf16' (config/README.md, engine.precision)"
        )
    mode = "tf32" if precision == "tf32" else "ieee"
    backends: Any = torch.backends
    for backend in (backends.cudnn, backends.cuda.matmul):
        backend.fp32_precision = mode
        # The older switch too: where the two disagree, torch refuses to answer.
        backend.allow_tf32 = mode == "tf32"


class Bfloat16Features(nn.Module):
    """Features whose convolutions and matrix products take bfloat16 (torch's autocast).

    Reductions and normalisations stay float32. Attributes are those of
    `metamers.models.stages.Features`.
    """

    def __init__(self, features: Any) -> None:  # noqa: ANN401  (a `stages.Features`)
        super().__init__()
        self.features = features
        self.classifier = features.classifier
        self.module = features.module

    def forward(self, images: Tensor) -> Tensor:
        """Return the activation of the module for images in [0, 1]."""
        with torch.autocast(images.device.type, torch.bfloat16):
            return self.features(images)
