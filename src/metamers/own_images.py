"""Metamers of a user's own pictures in one call, without Snakemake."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from metamers.config import revisions
from metamers.config.plan import Condition
from metamers.evaluation.evaluators import Evaluator
from metamers.execution import checkpoints, runner
from metamers.execution.outputs import SynthesisOutputs
from metamers.execution.settings import ExecutionSettings
from metamers.execution.spec import SynthesisSpec
from metamers.images.classes import CLASSES, class_name, most_probable
from metamers.images.preprocessing import MINIMUM_SIDE, Preprocessing, read_image
from metamers.models import zoo
from metamers.models.classifier import fetch_pretrained
from metamers.models.weights.cache import cache_folder, target
from metamers.models.weights.errors import WeightsError
from metamers.models.zoo import ModelSpec
from metamers.storage.metamers import Metamers, loss_rows
from metamers.synthesis.chunks import CHUNK_SIZE

STAGES = {"early": 0.2, "middle": 0.5, "late": 0.8}  # paper, section 4.4
UNFINISHED = "unfinished.safetensors"
OWN = "own"
"""Family of a network that is in no zoo."""
# torchvision's and timm's most frequent normalisation, which a network without a row is given.
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


@dataclass(frozen=True)
class Answer:
    """What a judge answers to an image and to its metamer.

    Attributes
    ----------
    member
        Whether the metamer was made for the judge; else it is held out.
    before, after
        The five most probable classes, name and probability, of the image and of the metamer.
    """

    image_id: str
    judge: str
    member: bool
    before: tuple[tuple[str, float], ...]
    after: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Made:
    """Metamers with their references.

    Attributes
    ----------
    image_ids
        One per picture: its file's name without the ending.
    references, images
        The pictures as squares, and their metamers: uint8, ``(n, 3, size, size)``.
    losses
        For each picture and model the loss before, after, and of the 8-bit image.
    answers
        Of each judge to each picture.
    metamers
        All of it with what made it (`metamers.storage.metamers.save`).
    """

    image_ids: Sequence[str]
    references: NDArray[np.uint8]
    images: NDArray[np.uint8]
    losses: Sequence[Mapping[str, Any]]
    answers: Sequence[Answer]
    metamers: Metamers


def make(
    images: str | Path | Sequence[str | Path],
    models: Sequence[str],
    stage: str = "late",
    size: int = 224,
    steps: int = 300,
    optimizer: str = "sgd",
    seed: int = 0,
    layer: str | None = None,
    weights: str | Path | None = None,
    threads: int = 1,
    checkpoint_folder: str | Path | None = None,
) -> Made:
    """Return metamers of picture files for one model or several, and what classifiers answer.

    Parameters
    ----------
    images
        Files.
    models
        Names of the zoo; or one network as ``library:name``, for example
        ``torchvision:resnet18``, with ``layer`` and ``weights``.
    stage
        ``early``, ``middle`` or ``late``: 20, 50 or 80 % of the depth.
    size
        Side of the square that is cut from the middle of each picture, pixels.
    steps
        Gradient evaluations, shared by the models.
    optimizer
        One of `metamers.synthesis.settings.OPTIMIZERS`.
    seed
        Decides where each metamer starts.
    layer
        Name of a module in place of a stage.
    weights
        File of the network's weights, or ``random``.
    threads
        Of torch on the CPU. One is the default: small batches gain little from more, and lose
        much where other programs run.
    checkpoint_folder
        Where unfinished work is kept, and taken up again by the same call; ``None``: nowhere.

    Raises
    ------
    ValueError
        If an image, model, layer, stage or number cannot be used; the message says why.
    metamers.synthesis.solver.Interrupted
        After Ctrl-C.
    """
    _refuse(size, steps, stage, threads)
    paths = [Path(images)] if isinstance(images, str | Path) else [Path(path) for path in images]
    rows = [_row(name, stage, layer, weights) for name in models]
    if not paths or not rows:
        raise ValueError(f"{len(paths)} pictures and {len(rows)} models; expected one or more")
    preparation = Preprocessing(size, 0.875, "bicubic")
    references = np.stack([read_image(path, preparation) for path in paths])
    torch.set_num_threads(threads)
    rows = [_fitted(row, references) for row in rows]
    work = _specification(rows, stage, size, steps, optimizer, seed)
    with nullcontext(checkpoint_folder) if checkpoint_folder else TemporaryDirectory() as folder:
        checkpoint = Path(folder) / UNFINISHED
        metamers = _run(work, _names(paths), references, checkpoint).metamers
        pixels = metamers.pixels.numpy()
        answers = _answers(rows, metamers.image_ids, references, pixels)
        checkpoints.remove(checkpoint)
    return Made(
        image_ids=metamers.image_ids,
        references=references,
        images=pixels,
        losses=loss_rows(metamers, {}),
        answers=answers,
        metamers=metamers,
    )


def _fitted(row: dict[str, Any], references: NDArray[np.uint8]) -> dict[str, Any]:
    """Return a row; of a network in no zoo, ``head`` says whether it has ImageNet's classes.

    Raises
    ------
    ValueError
        If the network takes no images of this size.
    """
    classifier = fetch_pretrained(ModelSpec.of(row), cache_folder(None))
    try:
        with torch.inference_mode():
            given = classifier(torch.from_numpy(references[:1]).float() / 255)
    except (RuntimeError, AssertionError) as error:
        side = references.shape[-1]
        raise ValueError(
            f"{row['name']!r} does not take images of {side} pixels: {error}"
        ) from error
    if row["family"] == OWN and getattr(given, "shape", ()) == (1, CLASSES):
        return {key: value for key, value in row.items() if key != "head"}
    return row


def _refuse(size: int, steps: int, stage: str, threads: int) -> None:
    if size < MINIMUM_SIDE:
        raise ValueError(f"the size is {size}; expected {MINIMUM_SIDE} pixels or more")
    if steps < 1 or threads < 1:
        raise ValueError(f"steps are {steps} and threads {threads}; expected 1 or more")
    if stage not in STAGES:
        raise ValueError(f"the stage is {stage!r}; expected one of {', '.join(STAGES)}")


def _row(name: str, stage: str, layer: str | None, weights: str | Path | None) -> dict[str, Any]:
    """Return the row of a model of the zoo, or one for a network that is in no zoo."""
    stages = {"stages": {stage: layer}} if layer else {}
    if ":" in name:
        return _own_row(name, layer, weights) | stages
    if weights is not None:
        raise ValueError(f"{name!r} is of the zoo and has weights; --weights is for library:name")
    rows = zoo.read(zoo.default_path())
    if name not in rows:
        raise ValueError(
            f"model {name!r} is not in the zoo; it has {', '.join(rows)} "
            "(or library:name, as torchvision:resnet18)"
        )
    return {"name": name} | rows[name] | stages


def _own_row(name: str, layer: str | None, weights: str | Path | None) -> dict[str, Any]:
    if layer is None or weights is None:
        raise ValueError(f"{name!r} is not of the zoo: it needs a layer and weights (or 'random')")
    source: dict[str, Any] = {"source": "random"}
    if str(weights) != "random":
        if not Path(weights).is_file():
            raise ValueError(f"{str(weights)!r}: there is no such file of weights")
        file = Path(weights).absolute()
        source = {"source": "local", "path": str(file), "file": file.name}
    return {
        "name": name,
        "label": name,
        "family": OWN,
        "training": "standard",
        "architecture": name,
        "blocks": ["*"],
        "normalisation": IMAGENET,
        "weights": source,
        "head": "none",
    }


def _names(paths: Sequence[Path]) -> list[str]:
    """Return a name for each picture; of those that are called alike, the later are numbered."""
    seen: Counter[str] = Counter()
    names = []
    for path in paths:
        seen[path.stem] += 1
        count = seen[path.stem]
        names.append(path.stem if count == 1 else f"{path.stem}-{count}")
    if len(set(names)) < len(names):
        raise ValueError(f"two pictures would both be called one of {names}: rename one")
    return names


def _specification(
    rows: Sequence[Mapping[str, Any]], stage: str, size: int, steps: int, optimizer: str, seed: int
) -> SynthesisSpec:
    per_turn = max(1, min(10, steps // len(rows)))
    gradient = "raw" if optimizer in ("adam", "lbfgs") else "l2_normalised"
    # A step of a given length is spread over more pixels in a larger image: the quickstart's is 2
    # at 112.
    start = {"adam": 0.05, "lbfgs": 1.0}.get(optimizer, 2.0 * size / 112)
    return SynthesisSpec(
        condition=Condition("own", "make", "+".join(row["name"] for row in rows), stage, "none"),
        models=rows,
        depth=STAGES[stage],
        bound={"norm": "linf", "center": "initial", "radius": 1},
        recipe={
            "budget": {"total_steps": steps, "steps_per_turn": per_turn},
            "gradient": gradient,
            "optimizer": optimizer,
            "ensemble": "mean_gradient" if optimizer == "lbfgs" else "round_robin",
            "schedule": {"kind": "exponential", "start": start, "stop": start / 200},
        },
        seed=seed,
        shard="000-of-001",
        revision=revisions.SYNTHESIS,
    )


def _run(
    work: SynthesisSpec,
    ids: Sequence[str],
    references: NDArray[np.uint8],
    checkpoint: Path,
) -> SynthesisOutputs:
    engine = ExecutionSettings(
        device="auto",
        batch_size=32,
        chunk_size=CHUNK_SIZE,
        fold_batch_norm=True,
        channels_last=True,
        precision="float32",
        checkpoint_every=1,
    )
    pixels = torch.from_numpy(references)
    return runner.run(work, engine, ids, pixels, cache_folder(None), checkpoint)


def _answers(
    rows: Sequence[Mapping[str, Any]],
    ids: Sequence[str],
    references: NDArray[np.uint8],
    pixels: NDArray[np.uint8],
) -> list[Answer]:
    """Return what the members that answer and all embedded models say, members first."""
    found = []
    members = [row["name"] for row in rows]
    judges = [row for row in rows if zoo.has_head(row)]
    for row in [*judges, *(row for row in _embedded() if row["name"] not in members)]:
        judge = Evaluator.load(row, cache_folder(None), torch.device("cpu"), CHUNK_SIZE, CHUNK_SIZE)
        tops = [map(_top, judge.predict(torch.from_numpy(of))) for of in (references, pixels)]
        for image_id, before, after in zip(ids, *tops, strict=True):
            found.append(Answer(image_id, judge.spec.name, row["name"] in members, before, after))
    return found


def _embedded() -> list[dict[str, Any]]:
    """Return the rows of the models whose weights lie in installed packages."""
    rows = zoo.read(zoo.default_path())
    return [
        {"name": name} | row
        for name, row in rows.items()
        if row.get("weights", {}).get("source") == "package"
        and _installed(ModelSpec.of({"name": name} | row))
    ]


def _installed(spec: ModelSpec) -> bool:
    try:
        return target(spec.weights, cache_folder(None)).exists()
    except WeightsError:
        return False


def _top(probabilities: NDArray[np.float64]) -> tuple[tuple[str, float], ...]:
    classes, shares = most_probable(probabilities[np.newaxis])
    return tuple(zip(map(class_name, classes[0].tolist()), shares[0].tolist(), strict=True))
