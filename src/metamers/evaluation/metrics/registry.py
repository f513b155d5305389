"""What each measure is: the card that tables, figures and documentation take it from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from metamers.models.weights.row import WeightsRow


@dataclass(frozen=True)
class MetricSpec:
    """One image metric.

    Attributes
    ----------
    name
        Its name in tables.
    label
        Its name in figures.
    better
        Direction of a better image: ``up``, ``down``, or ``neither``.
    unit, range
        Unit and range of its values, in words.
    per_image
        Whether it is one number per image; otherwise one per set of images.
    weights
        Weights that it needs and that no package of the lock carries, a key of `WEIGHTS`;
        empty if none.
    definition
        What it is, as computed here.
    library
        Who computes it.
    source
        Where it was defined.
    """

    name: str
    label: str
    better: Literal["up", "down", "neither"]
    unit: str
    range: str
    per_image: bool
    definition: str
    library: str
    source: str
    weights: str = ""


TABLE_1 = ("fid", "ssim", "psnr", "vif", "lpips", "rase", "scc", "tv", "clip_iqa")
"""The nine metrics of the paper's Table 1, by their names here."""

WEIGHTS = {
    "inception": WeightsRow(
        source="url",
        file="weights-inception-2015-12-05-6726825d.pth",
        url="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
        "weights-inception-2015-12-05-6726825d.pth",
        sha256_prefix="6726825d",
        size_about=95_700_000,
        licence="Apache-2.0",
        note="Inception v3 of the original FID",
    ),
    "alexnet": WeightsRow(
        source="url",
        file="alexnet-owt-7be5be79.pth",
        url="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        sha256_prefix="7be5be79",
        size_about=233_000_000,
        licence="BSD-3-Clause",
        note="torchvision's AlexNet; the LPIPS heads come with torchmetrics",
    ),
    "clip_rn50": WeightsRow(
        source="url",
        file="RN50.pt",
        url="https://openaipublic.azureedge.net/clip/models/"
        "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762/RN50.pt",
        sha256="afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762",
        licence="MIT",
        note="CLIP ResNet-50, a TorchScript archive",
    ),
}
"""Files that metrics need and no package carries, by a name of this project."""

_OWN = "own"
_TORCHMETRICS = "torchmetrics"

_CARDS = (
    MetricSpec(
        "fid",
        "FID",
        "down",
        "",
        "0 to infinity; biased upwards below some 10 000 images",
        False,
        "squared Fréchet distance of gaussians fitted to 2048 features of Inception v3; fewer "
        "images than features leave covariances without full rank, so that values of other "
        "numbers of images, published ones among them, cannot be compared",
        "features: torchmetrics with torch-fidelity's network; distance: own, exact in singular "
        "values",
        "Heusel et al. 2017",
        "inception",
    ),
    MetricSpec(
        "ssim",
        "SSIM",
        "up",
        "",
        "-1 to 1",
        True,
        "structural similarity, gaussian window of 11 pixels, data range 1, mean over RGB, the "
        "mirrored border included",
        _TORCHMETRICS,
        "Wang et al. 2004",
    ),
    MetricSpec(
        "psnr",
        "PSNR",
        "up",
        "dB",
        "0 to infinity; empty for identical images",
        True,
        "10 log10(1 / mean squared error), of each image",
        _TORCHMETRICS,
        "no one paper's",
    ),
    MetricSpec(
        "vif",
        "VIF",
        "up",
        "",
        "0 to about 1; above 1 where contrast is raised",
        True,
        "visual information fidelity in the pixel domain, on pixels 0 to 255, mean over RGB; "
        "from 41 pixels a side",
        _TORCHMETRICS,
        "Sheikh and Bovik 2006",
    ),
    MetricSpec(
        "lpips",
        "LPIPS",
        "down",
        "",
        "0 to about 1",
        True,
        "weighted squared differences of channel-normalised activations of AlexNet at five "
        "depths, version 0.1",
        _TORCHMETRICS,
        "Zhang et al. 2018",
        "alexnet",
    ),
    MetricSpec(
        "rase",
        "RASE",
        "down",
        "%",
        "0 to infinity",
        True,
        "100 / mean(reference) * root of the mean squared error of the channels, over the whole "
        "image",
        _OWN,
        "Wald 2000",
    ),
    MetricSpec(
        "scc",
        "SCC",
        "up",
        "",
        "-1 to 1; scc_ceiling is the most that the reference allows",
        True,
        "correlation of Laplacians in windows of 8 pixels, averaged; flat windows count 0",
        _TORCHMETRICS,
        "Zhou et al. 1998",
    ),
    MetricSpec(
        "tv",
        "TV",
        "neither",
        "per pixel and channel",
        "0 to 2",
        True,
        "anisotropic total variation of the metamer over its number of values",
        _TORCHMETRICS,
        "Rudin et al. 1992",
    ),
    MetricSpec(
        "clip_iqa",
        "CLIP-IQA",
        "up",
        "",
        "0 to 1",
        True,
        "share of 'Good photo.' against 'Bad photo.' in CLIP's similarities, ResNet-50 without "
        "positional embedding; the paper does not say which prompts it used",
        "piq",
        "Wang et al. 2023",
        "clip_rn50",
    ),
    *(
        MetricSpec(
            f"clip_iqa_{name}",
            f"CLIP-IQA, {name}",
            "up",
            "",
            "0 to 1",
            True,
            f"as CLIP-IQA, of '{good} photo.' against '{bad} photo.'; prompts of torchmetrics",
            "piq",
            "Wang et al. 2023",
            "clip_rn50",
        )
        for name, good, bad in (
            ("natural", "Natural", "Synthetic"),
            ("real", "Real", "Abstract"),
            ("noisiness", "Clean", "Noisy"),
        )
    ),
    MetricSpec(
        "fid_floor",
        "FID of halves of the references",
        "neither",
        "",
        "0 to infinity; what bias alone gives at half the number of images",
        False,
        "FID of random halves of the references, photographs whole, mean of 10",
        "as FID",
        "this project's",
        "inception",
    ),
    MetricSpec(
        "kid",
        "KID",
        "down",
        "",
        "0 in expectation for equal distributions; may be below 0",
        False,
        "squared maximum mean discrepancy with a cubic kernel of Inception's features, unbiased: "
        "an image's own metamer is left out",
        "features as for FID; distance: own",
        "Binkowski et al. 2018",
        "inception",
    ),
    MetricSpec(
        "rase_windowed",
        "RASE, windowed",
        "down",
        "%",
        "0 to infinity; empty where the reference has a black window",
        True,
        "mean of RASE over windows of 8 pixels",
        "torchmetrics, over 64 to undo its error of scale",
        "as torchmetrics has it",
    ),
    MetricSpec(
        "scc_ceiling",
        "SCC of the reference with itself",
        "neither",
        "",
        "0 to 1",
        True,
        "as SCC; below 1 where the reference has flat windows",
        _TORCHMETRICS,
        "this project's",
    ),
    MetricSpec(
        "tv_ratio",
        "log(TV / TV of the reference)",
        "neither",
        "",
        "0 is best; positive: busier than the reference; negative: smoother",
        True,
        "natural logarithm of the ratio of total variations",
        _TORCHMETRICS,
        "this project's",
    ),
    MetricSpec(
        "spectral_slope",
        "Spectral slope",
        "neither",
        "",
        "about -4 to 1; photographs have about -2, white noise has 0",
        True,
        "slope of log power against log frequency, grey, Hann window, from 2 cycles per image to "
        "half the pixels, each octave counting alike",
        _OWN,
        "Field 1987",
    ),
    MetricSpec(
        "slope_difference",
        "Difference of spectral slopes",
        "down",
        "",
        "0 to infinity",
        True,
        "absolute difference of the spectral slopes of metamer and reference",
        _OWN,
        "this project's",
    ),
    MetricSpec(
        "checkerboard",
        "Checkerboard",
        "down",
        "dB",
        "about 0 without a pattern; no upper end; a period of 16 needs 64 pixels a side",
        True,
        "power at the frequencies of patterns that repeat after 2, 4, 8 and 16 pixels both ways, "
        "off the axes, over that of frequencies two steps away; mean of ratios, periods alike",
        _OWN,
        "this project's; the patterns: Odena et al. 2016",
    ),
)


def feature_cards(network: str, label: str) -> tuple[MetricSpec, ...]:
    """Return the cards of the measures that take a classifier of the zoo as their network.

    Parameters
    ----------
    network
        Row of the zoo.
    label
        Its name in figures.
    """
    return (
        MetricSpec(
            f"frechet_{network}",
            f"Fréchet distance ({label})",
            "down",
            "",
            "0 to infinity; biased upwards for few images; not FID",
            False,
            f"as FID, in features of {label}: its last block, averaged over places",
            _OWN,
            "Heusel et al. 2017, with another network",
        ),
        MetricSpec(
            f"kid_{network}",
            f"Kernel distance ({label})",
            "down",
            "",
            "0 in expectation for equal distributions; may be below 0; not KID",
            False,
            f"as KID, in features of {label}: its last block, averaged over places",
            _OWN,
            "Binkowski et al. 2018, with another network",
        ),
        MetricSpec(
            f"floor_{network}",
            f"Fréchet distance of halves of the references ({label})",
            "neither",
            "",
            "0 to infinity; what bias alone gives at half the number of images",
            False,
            f"Fréchet distance in features of {label} of random halves of the references, "
            "photographs whole, mean of 10",
            _OWN,
            "this project's",
        ),
        MetricSpec(
            f"perceptual_{network}",
            f"Unweighted perceptual distance ({label})",
            "down",
            "",
            "0 to 4 for each of 5 depths, summed; not LPIPS",
            True,
            f"squared difference of channel-normalised activations of {label} at five depths",
            _OWN,
            "Zhang et al. 2018, without trained weights",
        ),
    )


MEASURES = {
    card.name: card
    for card in (*_CARDS, *feature_cards("efficientnet_lite0", "EfficientNet-Lite0"))
}
"""Every measure of an image or a set of images, by name."""


def floor_of(name: str) -> str:
    """Return the name of the measure that is the floor of a Fréchet distance, or an empty one."""
    if name == "fid":
        return "fid_floor"
    kind, _, network = name.partition("_")
    return f"floor_{network}" if kind == "frechet" else ""


def takes_a_classifier(name: str) -> bool:
    """Return whether a measure is one of `feature_cards`, of any network."""
    network = name.partition("_")[2]
    return bool(network) and any(made.name == name for made in feature_cards(network, network))


def card(name: str) -> MetricSpec:
    """Return a measure's card.

    A name that begins as those of `feature_cards` do and is not declared gets one with
    the network's name as its label; one that begins with ``pyiqa:`` has what pyiqa says of it.

    Raises
    ------
    ValueError
        If no such measure is known.
    """
    if name in MEASURES:
        return MEASURES[name]
    if name.startswith("pyiqa:"):
        from metamers.evaluation.metrics import pyiqa_catalog

        return pyiqa_catalog.card(name)
    network = name.partition("_")[2]
    if takes_a_classifier(name):
        return next(m for m in feature_cards(network, network) if m.name == name)
    raise ValueError(f"no measure is called {name!r}; known are {', '.join(MEASURES)}")
