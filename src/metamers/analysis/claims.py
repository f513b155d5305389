"""The paper's claims, and the effect that decides each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from metamers.analysis import (
    association_effects,
    claim_effects,
    human_alignment,
    image_effects,
    level_effects,
)
from metamers.analysis.run_results import Effect, RunResults


@dataclass(frozen=True)
class Claim:
    """What the paper says, and the effect that decides it.

    Attributes
    ----------
    measure
        The effect in words.
    smallest
        The smallest effect of interest, a key of the configuration's `smallest_effects`.
    confirms
        On which side of the threshold the whole interval must lie.
    keeps
        The threshold is a loss or another negative number, that of `smallest`.
    level
        A threshold that the paper itself gives; None: the smallest effect of interest.
    of_recognition
        Whether it rests on the table `recognition`, and so on the rule that counts.
    of_run
        Whether it rests on the run, and not on published answers alone.
    """

    name: str
    statement: str
    place: str
    measure: str
    effect: Callable[[RunResults], Effect | str]
    smallest: str = "recognizability"
    confirms: Literal["above", "below"] = "above"
    keeps: bool = False
    level: float | None = None
    of_recognition: bool = True
    of_run: bool = True

    def threshold(self, evidence: RunResults) -> float:
        """Return the value that the whole interval must pass."""
        if self.level is not None:
            return self.level
        smallest = float(evidence.plan.config["smallest_effects"][self.smallest])
        return -smallest if self.keeps else smallest


CLAIMS = (
    Claim(
        "ensembles transfer better",
        "Metamers of several models are recognised better by other models than those of one.",
        "section 1 and 5.4",
        "recognizability of an ensemble less that of its members alone, or of single models of "
        "its family and training, by trained models held out for both, families of these "
        "counted alike; in the family of ensembles that gains least",
        claim_effects.ensemble_gain,
    ),
    Claim(
        "ensembles transfer better at equal loss",
        "The same of metamers that are finished alike: at equal steps, members of an ensemble get "
        "fewer of them each.",
        "section 1 and 5.4",
        "the same, of images that ensemble and single models brought to one loss",
        claim_effects.gain_at_equal_loss,
    ),
    Claim(
        "CNN ensembles transfer better",
        "Metamers of several CNNs are recognised better by other models than those of one.",
        "section 5.1",
        "the same, of CNN ensembles",
        lambda evidence: claim_effects.gain_within(evidence, "cnn"),
    ),
    Claim(
        "transformer ensembles transfer better",
        "Metamers of several transformers are recognised better than those of one.",
        "section 5.2",
        "the same, of transformer ensembles",
        lambda evidence: claim_effects.gain_within(evidence, "transformer"),
    ),
    Claim(
        "transformers gain less",
        "The advantage of an ensemble is smaller for transformers than for CNNs.",
        "section 5.2",
        "gain of CNN ensembles less gain of transformer ensembles, by models held out for all",
        claim_effects.gain_difference,
    ),
    Claim(
        "late stages stay recognisable",
        "CNN ensembles keep their recognizability at the late stage.",
        "section 4.5, Figure 3",
        "recognizability late less early, of CNN ensembles, by held-out models; a loss smaller "
        "than the threshold counts as kept",
        claim_effects.kept_late,
        "loss",
        keeps=True,
    ),
    Claim(
        "robust ensembles look natural",
        "Metamers of robust ensembles look more natural than those of standard ensembles.",
        "section 4.5, Figure 4",
        "CLIP-IQA of robust ensembles less that of standard ones, late stage, image by image; of "
        "the prompts good, natural and real, with their contraries, the pair that shows it least",
        image_effects.naturalness,
        "clip_iqa",
        of_recognition=False,
    ),
    Claim(
        "robust ensembles have natural spectra",
        "Metamers of robust ensembles look natural: their spectra fall as those of photographs do.",
        "section 4.5, Figure 4",
        "how far the spectral slope of a metamer is from its reference's, of standard ensembles "
        "less robust ones, late stage, image by image",
        lambda evidence: image_effects.image_contrast(
            evidence, "slope_difference", image_effects.STANDARD, image_effects.ROBUST
        ),
        "spectral_slope",
        of_recognition=False,
    ),
    Claim(
        "transformers transfer worse",
        "Metamers of transformer ensembles are recognised less than those of CNN ensembles.",
        "section 5.1 and 5.2",
        "recognizability of CNN ensembles less that of transformer ensembles of the same "
        "training, by models held out for both",
        claim_effects.transformer_deficit,
    ),
    Claim(
        "a bound of 8/255 breaks recognition",
        "Kept within 8/255 of their start, metamers are severely limited.",
        "section 4.6, Figure 6",
        "recognizability without a bound less that within 8/255, by all models",
        claim_effects.bound_loss,
        "loss",
    ),
    Claim(
        "80 images suffice",
        "More than 80 images suffice for distributions of activations.",
        "section 4.5",
        "standard deviation of a Jensen-Shannon divergence of 80 images, of divergences between "
        "0.05 and 0.95, which have room to spread; less than the threshold counts as enough",
        image_effects.spread,
        "divergence",
        "below",
        of_recognition=False,
    ),
    Claim(
        "robust members help",
        "Robust models raise the recognizability of the sets that they are members of.",
        "Appendix B, Table 5",
        "change of a mixed set's recognizability from no robust member to all, with size and "
        "families held fixed",
        lambda evidence: image_effects.of_members(evidence, "robust"),
        of_recognition=False,
    ),
    Claim(
        "single models become unrecognisable",
        "Metamers of single networks from late stages remain unrecognisable.",
        "section 1, Figure 2",
        "recognizability of single models' metamers at the latest stage, by held-out models; the "
        'paper: "usually below 0.2"',
        level_effects.single_late,
        confirms="below",
        level=level_effects.RECOGNISABLE,
    ),
    Claim(
        "all sets are recognisable early",
        "All model sets generate recognisable metamers at the early stage.",
        "section 4.5, Figure 2",
        "recognizability at the earliest stage, by held-out models, of the set recognised least",
        level_effects.least_early,
        level=level_effects.RECOGNISABLE,
    ),
    Claim(
        "only CNN and robust ensembles stay recognisable",
        "At the late stage only the CNN set and robust ensembles are recognisable.",
        "section 4.5, Figure 2",
        "distance of a set's late recognizability from 0.2, positive on its side (CNN and robust "
        "ensembles above, single models and transformers below), of the set nearest to failing",
        level_effects.divide_late,
        level=0.0,
    ),
    Claim(
        "CNN ensembles gain late what they lose early",
        "The great recognizability of CNN sets at the late stage comes at the cost of the early.",
        "section 4.5, Figure 3",
        "recognizability late less early, of CNN ensembles, by held-out models",
        claim_effects.kept_late,
    ),
    Claim(
        "CNN ensembles are best",
        "The CNN set is the best-performing set.",
        "section 4.6",
        "recognizability of CNN ensembles less that of another set, all stages, by models held out "
        "for both; of the other set that comes nearest",
        level_effects.best_of_sets,
    ),
    Claim(
        "robust transformers look natural",
        "Robust transformer ensembles generate natural metamers.",
        "section 1 and 5.2",
        "CLIP-IQA of robust transformer ensembles less that of standard ones, late; by the pair of "
        "prompts that shows it least",
        lambda evidence: image_effects.naturalness(
            evidence,
            {"training": "robust", "family": "transformer"},
            {"training": "standard", "family": "transformer"},
        ),
        "clip_iqa",
        of_recognition=False,
    ),
    Claim(
        "robust transformers are recognised poorly",
        "Natural as they look, metamers of robust transformers score low in recognizability.",
        "section 1 and 5.2",
        "recognizability of robust CNN ensembles less that of robust transformer ensembles, late",
        lambda evidence: claim_effects.late_deficit(evidence, "robust"),
    ),
    Claim(
        "transformers look unnatural",
        "Transformer ensembles fail to produce natural metamers.",
        "section 1",
        "CLIP-IQA of standard CNN ensembles less that of standard transformer ensembles, late; by "
        "the pair of prompts that shows it least",
        lambda evidence: image_effects.naturalness(
            evidence,
            {"training": "standard", "family": "cnn"},
            {"training": "standard", "family": "transformer"},
        ),
        "clip_iqa",
        of_recognition=False,
    ),
    Claim(
        "transformers are recognised poorly",
        "Transformer ensembles fail to produce recognisable metamers.",
        "section 1",
        "recognizability of CNN ensembles less that of transformer ensembles, late, both standard",
        lambda evidence: claim_effects.late_deficit(evidence, "standard"),
    ),
    Claim(
        "natural metamers transfer best",
        "Metamers of natural appearance transfer best between models.",
        "section 5.2",
        "rank correlation of CLIP-IQA and recognizability over conditions, which are resampled",
        association_effects.natural_transfer,
        "correlation",
        of_recognition=False,
    ),
    Claim(
        "activations go with the class",
        "There is a large correlation between internal activations and the output class.",
        "section 4.5",
        "rank correlation, over conditions and held-out judges, of recognizability and the "
        "divergence of reference-metamer from reference-reference distances; conditions resampled",
        association_effects.activations_go_with_class,
        "correlation",
        "below",
        keeps=True,
        of_recognition=False,
    ),
    Claim(
        "unlearned metrics find the best metamer",
        "Metrics without a learned classifier are able to determine the best metamer.",
        "section 4.5, Figure 4",
        "rank correlation, over conditions, of recognizability and the mean rank by SSIM, PSNR, "
        "VIF, RASE and SCC; conditions are resampled",
        association_effects.metrics_find_best,
        "correlation",
        of_recognition=False,
    ),
    Claim(
        "mixed sets stay recognisable",
        "Metamers of mixed sets have an impressive recognizability, 0.751 on average.",
        "Appendix B, Figure 7",
        "mean recognizability of mixed sets, which are resampled; to be above 0.547, the mean of "
        "the six sets of section 4.5 at the same stage",
        level_effects.mixed_level,
        level=0.547,
        of_recognition=False,
    ),
    Claim(
        "transformers lower a mixed set",
        "Transformers have a negative impact on the sets that they are members of.",
        "Appendix B, Table 5",
        "change of a mixed set's recognizability from no transformer to all, size and the rest "
        "held fixed",
        lambda evidence: image_effects.of_members(evidence, "transformer"),
        confirms="below",
        keeps=True,
        of_recognition=False,
    ),
    Claim(
        "CNN judges bear perturbations better",
        "CNNs are more robust to such perturbations than vision transformers.",
        "section 5.3",
        "recognizability within 8/255 of the start by CNN judges less that by transformer judges, "
        "held out; judges and images are resampled",
        level_effects.judges_under_bound,
    ),
    Claim(
        "robust CNNs leave a checkerboard",
        "Metamers of robust CNNs have a repeating checkerboard pattern.",
        "section 4.5",
        "checkerboard (dB above the spectrum beside) in metamers of robust CNN ensembles less that "
        "of standard ensembles, late stage, image by image",
        lambda evidence: image_effects.image_contrast(
            evidence, "checkerboard", image_effects.ROBUST_CNN, image_effects.STANDARD
        ),
        "checkerboard",
        of_recognition=False,
    ),
    Claim(
        "recognizability predicts human recognition",
        "Whether people recognise metamers is strongly predicted by whether other models do.",
        "section 1",
        "Spearman's correlation, over metamers of single networks by layer, of people's share "
        "and the share of networks that did not make them, both as published by Feather et al. "
        "(2023), with people, networks and layers resampled; more than 0.7 counts as strong",
        human_alignment.effect,
        level=0.7,
        of_recognition=False,
        of_run=False,
    ),
)
