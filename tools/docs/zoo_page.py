"""The page docs/zoo.md, from the rows of the zoo and the card of their stages. No torch here."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from metamers.models import zoo
from metamers.models.weights.row import WeightsRow
from metamers.models.zoo import ModelSpec, Normalisation

IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

INTRODUCTION = """\
# The zoo

<!-- Made by `python tools/docs/zoo_page.py` from config/models.yaml, tests/golden/stages.csv. -->

A model is a row of `config/models.yaml`; `workflow/schemas/models.schema.yaml` says what each key
means. The paper's 31 models are the 29 of its Table 4, whose labels and numbers of parameters the
rows repeat, and the two wide ResNets that only its Table 5 names. Whenever a model is built its
parameters are counted, and a number other than the row's is refused. Before them stand models whose
real ImageNet weights come inside Python packages, so that everything runs without a download,
and two trunks without a head, which are fetched from the package index when a run names them:

- of MobileNetV2, all blocks equal torchvision's, which has been given the same file, bit for bit;
- of the transformer, all blocks differ from onnxruntime's by 2e-6 of their length at most
  (`tools/evidence/trunk_agreement.py`, four photographs, on a CPU).

Table 4 names architectures and data sets, not files. Where several published weights have its
number of parameters the row takes torchvision's `IMAGENET1K_V1`, else the one its note defends.

What was checked, and what was not: every row's architecture, number of parameters, stages and
checkpoint layout are tested with random weights (`pytest tests/paper/test_zoo_models.py`). The
weights of the paper's models themselves were not downloaded for this: their hashes are checked
when they are fetched, their accuracy when they are first used. `metamers weights fetch` and
`metamers weights verify` do the first for all; the reference images of a run, by the accuracy
expected below, the second.
"""

STAGES = """\
## Stages

Early, middle and late end at 20, 50 and 80 % of the depth (section 4.4). Depth counts the blocks
of the trunk in the order they run: of n blocks, a stage is the output of the one with index
ceil(fraction · n) − 1, counted from 0. The paper does not list its modules, so these are this
project's reading of the rule. Shapes are those of one image at the model's own size. The last
number is the share of the forward pass's floating-point operations done up to there
(convolutions, products of matrices and attention). `metamers stages` prints this card, for your
own models too.
"""

UNHASHED = """\
## Weights without a published hash

For these files no hash is published, or none was at hand (see the notes). The hash of the first
download is recorded in `config/weights.lock`, and later ones must equal it; that the first was
right, only the accuracy tells.
"""

HEADLESS = """\
## Networks without a head

A trunk, a self-supervised encoder, a classifier of ten classes: whatever does not answer with the
logits of ImageNet's 1000 classes has `head: none` in its row. What it returns is not looked at,
only what its modules give on the way. It can be

- a member of a model set: metamers are made from activations alone;
- an evaluator: similarity, likeness and shared invariance need no answer;
- a feature network.

Recognition (`predictions` and all that follows from it, `chance`, `ceiling`) leaves it out, and the
run says so when it begins. Its metamers succeed by the two criteria on activations
([evaluation.md](evaluation.md#success-of-the-optimisation)), and the accuracy gate asks that its
activations of the references differ, are not all zero, and are finite. A configuration whose
evaluators all lack a head is refused, and so is a row with `head: none` and an accuracy.
"""

OWN_MODELS = """\
## Your own model

Add a row at the end of `config/models.yaml`, or of a copy that the configuration's `zoo` names,
then the model's name to `model_sets` or `evaluators`:

```yaml
my_model:
  label: My model
  family: cnn                        # cnn, transformer or mlp: the colour in figures
  training: standard
  architecture: timm:resnet26        # or torchvision:NAME, or import:package.module:factory
  blocks: ["layer?.*"]               # modules that count as depth; `metamers stages my_model` shows
  normalisation: {mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}   # or null
  weights: {source: local, path: /path/to/checkpoint.pth}
```

`metamers catalog robustbench:Linf/Engstrom2019Robustness` prints the row of any ImageNet model of
RobustBench's catalog: architecture, normalisation and file from there, blocks and accuracy to be
filled in. The file goes the way of all others: verified, read without executing anything, names
compared; RobustBench's own loader is not used. It needs the packages robustbench and pyautoattack,
which the lock has.

A factory takes no arguments and returns a `torch.nn.Module` from images, normalised as the row
says, to logits of the 1000 ImageNet classes; its module is one that Python finds, or a file in the
working directory. The checkpoint is a state dict in a `.safetensors` or torch file;
`weights.layout` says how its names become the network's, and names that do not fit are an error.
With `weights: {source: factory}` the factory loads its weights itself. They are not verified then,
and results are not made anew when they change, so give the factory another name with them. Without
a checkpoint, `weights: {source: random, seed: 0}` draws weights.
"""


def page(specs: Iterable[ModelSpec], card: Mapping[str, Sequence[Mapping[str, str]]]) -> str:
    """Return the page in Markdown.

    Parameters
    ----------
    specs
        The rows.
    card
        For each model, its stages with ``stage``, ``module``, ``shape`` and ``flops_share``.
    """
    rows = list(specs)
    unhashed = [s for s in rows if not _hash(s.weights) and s.weights.has_file]
    sections = [
        INTRODUCTION,
        "## Models\n\n" + _table(rows, _MODEL),
        "## Weights\n\n" + _table(rows, _WEIGHTS),
        UNHASHED + "\n" + "".join(f"- {_code(s.name)}: {s.weights.file}\n" for s in unhashed),
        STAGES + "\n" + _stage_table(rows, card),
        "## Notes\n\n" + _notes(rows),
        OWN_MODELS,
        HEADLESS,
    ]
    return "\n".join(sections)


def read_card(path: Path) -> dict[str, list[dict[str, str]]]:
    """Return the lines of a CSV that ``metamers stages`` wrote, by model."""
    card: dict[str, list[dict[str, str]]] = {}
    with path.open(newline="") as file:
        for line in csv.DictReader(file):
            card.setdefault(line["model"], []).append(line)
    return card


def _table(rows: Sequence[ModelSpec], columns: Mapping[str, Callable[[ModelSpec], str]]) -> str:
    lines = [list(columns), ["---"] * len(columns)]
    lines += [[cell(spec) for cell in columns.values()] for spec in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _stage_table(rows: Sequence[ModelSpec], card: Mapping[str, Sequence[Mapping[str, str]]]) -> str:
    names = [line["stage"] for line in card[rows[0].name]]
    return _table(
        rows,
        {"model": lambda s: _code(s.name)}
        | {name: lambda s, i=i: _stage(card[s.name][i]) for i, name in enumerate(names)},
    )


def _stage(line: Mapping[str, str]) -> str:
    return f"{_code(line['module'])} {line['shape']}, {float(line['flops_share']):.0%}"


def _notes(rows: Sequence[ModelSpec]) -> str:
    about: dict[str, list[str]] = {}
    for spec in rows:
        for note in (spec.note, spec.weights.note):
            if note:
                about.setdefault(note.strip(), []).append(_code(spec.name))
    return "".join(f"- {', '.join(names)}: {note}\n" for note, names in about.items())


def _code(text: str) -> str:
    return f"`{text}`"


def _normalisation(spec: ModelSpec) -> str:
    if spec.normalisation is None:
        return "none, [0, 1]"
    if spec.normalisation == IMAGENET:
        return "ImageNet"
    mean, std = spec.normalisation.mean, spec.normalisation.std
    return f"mean {mean[0]}, sd {std[0]}" if len({*mean}) == len({*std}) == 1 else f"{mean}, {std}"


def _preparation(spec: ModelSpec) -> str:
    given = spec.input
    return f"{given['resize']} {given['interpolation']}, {given['size']}" if given else ""


def _hash(weights: WeightsRow) -> str:
    return weights.sha256 or weights.sha256_prefix


def _hash_cell(spec: ModelSpec) -> str:
    if spec.weights.source == "random":
        return f"seed {spec.weights.seed}"
    if not spec.weights.has_file:
        return "the factory's"
    if not _hash(spec.weights):
        return "**none**"
    return f"{_code(_hash(spec.weights)[:10])}{'…' if spec.weights.sha256 else ' (digits given)'}"


def _source(spec: ModelSpec) -> str:
    weights = spec.weights
    if weights.url:
        return f"[{weights.source}]({weights.url})"
    return f"{weights.source} {weights.package}".strip()


def _size(spec: ModelSpec) -> str:
    size = spec.weights.size or spec.weights.size_about
    return f"{size / 1e6:,.0f}" if size else ""


def _accuracy(spec: ModelSpec) -> str:
    top1 = spec.accuracy.get("top1")
    return "" if top1 is None else f"{top1:.1%}"


_MODEL: dict[str, Callable[[ModelSpec], str]] = {
    "model": lambda s: _code(s.name),
    "label": lambda s: s.label,
    "family": lambda s: s.family,
    "training": lambda s: s.training,
    "lineage": lambda s: ", ".join(s.lineage),
    "architecture": lambda s: _code(s.architecture),
    "parameters": lambda s: f"{s.parameters:,}",
    "normalisation": _normalisation,
    "published resizing, size": _preparation,
}

_WEIGHTS: dict[str, Callable[[ModelSpec], str]] = {
    "model": lambda s: _code(s.name),
    "source": _source,
    "MB, about": _size,
    "sha256": _hash_cell,
    "licence": lambda s: s.weights.licence,
    "top-1": _accuracy,
    "says": lambda s: s.accuracy.get("source", ""),
}

if __name__ == "__main__":
    root = Path(__file__).parents[2]
    rows = zoo.specs(zoo.read(root / "config/models.yaml"))
    card = read_card(root / "tests/golden/stages.csv")
    (root / "docs/zoo.md").write_text(page(rows.values(), card))
