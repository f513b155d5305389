"""Image metrics between metamers and references (Table 1), one value per image.

The definition, range and library of each are on its card in `metamers.measures`.
torchmetrics is imported when the first metric is computed: that import takes seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import pandas as pd
import torch
from torch import Tensor

from metamers.measures import MEASURES, TABLE_1, WEIGHTS

COMPUTED = "computed"
VIF_SMALLEST_SIDE = 41  # pixels; four scales of windows
UNDEFINED = {
    "psnr": "infinite: metamer and reference are identical",
    "rase": "undefined: the reference is black",
    "rase_windowed": "undefined: the reference has a black window",
    "tv_ratio": "undefined: the reference or the metamer is constant",
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
}
"""Metrics of an image and its reference that need no weights."""

MISSING = {
    name: f"not computed: weights missing: {', '.join(WEIGHTS[key].file for key in keys)}; "
    f"get them: {' '.join(WEIGHTS[key].url for key in keys)}"
    for name in TABLE_1
    if (keys := [key for key in MEASURES[name].weights.split(",") if key])
}
"""What is said of the metrics whose weights no package carries."""


def measure(
    metamers: Tensor,
    references: Tensor,
    image_ids: Sequence[str],
    *,
    metrics: Mapping[str, Metric] = METRICS,
    device: str | torch.device = "cpu",
    batch_size: int = 16,
) -> pd.DataFrame:
    """Return each metric of each image: columns image_id, measure, value, status.

    Parameters
    ----------
    metamers, references
        uint8, or floats in [0, 1], of shape (n, 3, height, width).
    image_ids
        Their names, in the same order.
    metrics
        By name: functions of metamers and references to one value per image.
    device
        Where to compute.
    batch_size
        Images at a time; bounds memory and changes no value.

    Raises
    ------
    ValueError
        If shapes disagree, pixels leave [0, 1] or are not finite, or ids are too few.
    """
    first, second = pixels(metamers, "metamers"), pixels(references, "references")
    if first.shape != second.shape or len(first) != len(image_ids):
        raise ValueError(
            f"metamers have the shape {tuple(first.shape)}, references {tuple(second.shape)}, "
            f"and there are {len(image_ids)} image ids; they have to agree"
        )
    batches = [
        (m.to(device), r.to(device))
        for m, r in zip(first.split(batch_size), second.split(batch_size), strict=True)
    ]
    rows = []
    with torch.inference_mode():
        for name, metric in metrics.items():
            if name == "vif" and min(first.shape[2:]) < VIF_SMALLEST_SIDE:
                status = (
                    f"not computed: images of {tuple(first.shape[2:])} pixels, and VIF needs "
                    f"{VIF_SMALLEST_SIDE}"
                )
                rows += [_row(image, name, math.nan, status) for image in image_ids]
                continue
            values = torch.cat([metric(m, r).double().cpu() for m, r in batches]).tolist()
            rows += [
                _row(image, name, value) for image, value in zip(image_ids, values, strict=True)
            ]
    for name, status in MISSING.items():
        owners = image_ids if MEASURES[name].per_image else [None]
        rows += [_row(owner, name, math.nan, status) for owner in owners]
    return pd.DataFrame(rows)


def pixels(images: Tensor, name: str) -> Tensor:
    """Return images as float32 in [0, 1].

    Raises
    ------
    ValueError
        If they are not of shape (n, 3, height, width), or leave [0, 1].
    """
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"{name} have the shape {tuple(images.shape)}; expected is (n, 3, h, w)")
    if images.dtype == torch.uint8:
        return images.float() / 255
    if not images.is_floating_point():
        raise ValueError(f"{name} are {images.dtype}; expected are uint8 or floats in [0, 1]")
    low, high = float(images.min()), float(images.max())
    if not (low >= 0 and high <= 1):
        raise ValueError(f"{name} have pixels from {low!r} to {high!r}; expected are 0 to 1")
    return images.float()


def _row(
    image: str | None, name: str, value: float, status: str | None = None
) -> dict[str, str | float | None]:
    finite = math.isfinite(value)
    if status is None:
        status = COMPUTED if finite else UNDEFINED.get(name, f"undefined: {value}")
    return {
        "image_id": image,
        "measure": name,
        "value": value if finite else None,
        "status": status,
    }
