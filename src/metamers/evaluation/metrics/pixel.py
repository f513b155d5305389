"""Metrics of an image and its reference that need no network, one value per image.

Their definitions, ranges and libraries are on their cards in
`metamers.evaluation.metrics.registry`. torchmetrics is imported when a metric is first computed:
beside torch and timm it takes another second or two, all of it for parts that are not used here,
and cannot be imported in part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from metamers.evaluation.metrics import spectrum

VIF_SMALLEST_SIDE = 41  # pixels; four scales of windows
UNDEFINED = {
    "vif": "undefined: the reference is constant",
    "psnr": "infinite: metamer and reference are identical",
    "rase": "undefined: the reference is black",
    "rase_windowed": "undefined: the reference has a black window",
    "tv_ratio": "undefined: the reference or the metamer is constant",
    "spectral_slope": "undefined: the metamer is constant",
    "slope_difference": "undefined: the reference or the metamer is constant",
    "checkerboard": "undefined: the metamer is constant, or below 8 pixels",
}

Metric = Callable[[Tensor, Tensor], Tensor]


def psnr(metamers: Tensor, references: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio in dB, infinity for identical images."""
    from torchmetrics.functional.image import peak_signal_noise_ratio

    return peak_signal_noise_ratio(
        metamers, references, data_range=1.0, reduction="none", dim=(1, 2, 3)
    )


def ssim(metamers: Tensor, references: Tensor) -> Tensor:
    """Return the structural similarity, -1 to 1."""
    from torchmetrics.functional.image import structural_similarity_index_measure

    values = structural_similarity_index_measure(
        metamers, references, data_range=1.0, reduction="none"
    )
    return values.reshape(-1)  # type: ignore[union-attr]


def vif(metamers: Tensor, references: Tensor) -> Tensor:
    """Return the visual information fidelity, 0 to about 1.

    torchmetrics' noise variance of 2 is meant for pixels from 0 to 255, and it has no
    ``data_range`` (its issue 3184): pixels in [0, 1] would reverse the order of images.
    """
    from torchmetrics.functional.image import visual_information_fidelity

    return visual_information_fidelity(metamers * 255, references * 255, reduction="none").reshape(
        -1
    )


def rase(metamers: Tensor, references: Tensor) -> Tensor:
    """Return the relative average spectral error in percent, Wald's formula on whole images.

    ``100 / mean(reference) * sqrt(mean over channels of the mean squared error)``.
    torchmetrics takes windows instead, gives infinity for a reference with one black window,
    and is 64 times too large (`rase_windowed`).
    """
    errors = (metamers.double() - references.double()).square().mean(dim=(1, 2, 3))
    return 100 * errors.sqrt() / references.double().mean(dim=(1, 2, 3))


def rase_windowed(metamers: Tensor, references: Tensor) -> Tensor:
    """Return torchmetrics' relative average spectral error over 64, in percent.

    It divides the mean of a window by the window's area once more, 8 * 8. It pools a batch,
    so that images go one by one.
    """
    from torchmetrics.functional.image import relative_average_spectral_error

    pairs = zip(metamers.split(1), references.split(1), strict=True)
    return torch.stack([relative_average_spectral_error(m, r) / 64 for m, r in pairs])


def scc(metamers: Tensor, references: Tensor) -> Tensor:
    """Return the spatial correlation coefficient, -1 to `scc_ceiling`."""
    from torchmetrics.functional.image import spatial_correlation_coefficient

    return spatial_correlation_coefficient(metamers, references, reduction="none").reshape(-1)


def scc_ceiling(metamers: Tensor, references: Tensor) -> Tensor:
    """Return the spatial correlation of references with themselves: 1, less flat windows."""
    return scc(references, references)


def tv(metamers: Tensor, references: Tensor) -> Tensor:
    """Return the metamers' total variation per pixel and channel, 0 to 2."""
    from torchmetrics.functional.image import total_variation

    return total_variation(metamers, reduction="none") / metamers[0].numel()


def tv_ratio(metamers: Tensor, references: Tensor) -> Tensor:
    """Return the logarithm of the metamers' total variation over the references'."""
    return (tv(metamers, references) / tv(references, references)).log()


METRICS: Mapping[str, Metric] = {
    "psnr": psnr,
    "ssim": ssim,
    "vif": vif,
    "rase": rase,
    "scc": scc,
    "scc_ceiling": scc_ceiling,
    "tv": tv,
    "tv_ratio": tv_ratio,
    "spectral_slope": spectrum.slope,
    "slope_difference": spectrum.slope_difference,
    "checkerboard": spectrum.checkerboard,
}
"""Metrics of an image and its reference that need no weights."""
