"""The page ``docs/metrics.md``, made from the cards of `metamers.evaluation.metrics.registry`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from metamers.evaluation.metrics.registry import MEASURES, TABLE_1, WEIGHTS, MetricSpec

_HEADING = """# Image metrics

Made by `python tools/docs/metrics_page.py docs/metrics.md` from the cards in
`src/metamers/evaluation/metrics/registry.py`, which tables and figures take names and directions
from too; do not edit. A test compares the two. Values are in the table
[`image_metrics`](tables.md#image_metrics).

- A metric of an image is tabulated for each image. Its mean over images, with a bootstrap interval
  over images, is in the figure of the paper's Figure 4.
- A distance between sets is one number for all images of a condition, with the interval `low` to
  `high`: of kernel distances by bootstrap over images; of Fréchet distances from random halves of
  the images (the delete-half jackknife), since a resample with fewer different images would add
  bias. The interval of a Fréchet distance says where other images, as many, would have put it. It
  does not hold the bias itself, which is there because covariances of few images lack full rank:
  compare Fréchet distances of the same references and the same number of images alone, and read the
  unbiased kernel distance beside them.
- Where images are crops, intervals resample photographs ([data.md](data.md#crops)).
- A metric that is not computed says why in the column `status`. Weights that no package carries go
  by hand into the folder of weights ([weights.md](weights.md)), under the names given here.
- Each metric is compared with a second implementation in
`tests/evaluation/metrics/test_compute.py`,
  `tests/evaluation/metrics/test_frechet.py` and `tests/evaluation/metrics/test_learned.py`; those
  that need weights, with the real code on files of the real format made for the test.
- Metrics of a classifier of the zoo, with its features in the place of Inception's or AlexNet's,
  are made for each of `evaluation.feature_networks`; the cards below are those of the default.
"""


def markdown(cards: Iterable[MetricSpec] = tuple(MEASURES.values())) -> str:
    """Return the page: the paper's nine metrics, then those that stand beside them."""
    listed = list(cards)
    own = [card for card in listed if card.name in TABLE_1]
    others = [card for card in listed if card.name not in TABLE_1]
    parts = [_HEADING, "## The paper's Table 1\n", *map(_card, own)]
    parts += ["## Beside them\n", *map(_card, others)]
    return "\n".join(parts).rstrip() + "\n"


def _card(card: MetricSpec) -> str:
    better = {"up": "higher", "down": "lower", "neither": "neither"}[card.better]
    rows = {
        "definition": card.definition,
        "range": card.range + (f" ({card.unit})" if card.unit else ""),
        "better": better,
        "one number for": "each image" if card.per_image else "all images of a condition",
        "library": card.library,
        "weights": _weights(card),
        "source": card.source,
    }
    lines = "\n".join(f"| {name} | {text} |" for name, text in rows.items())
    return f"### {card.label}\n\n`{card.name}`\n\n| | |\n|---|---|\n{lines}\n"


def _weights(card: MetricSpec) -> str:
    if not card.weights:
        return "none beyond the zoo's"
    row = WEIGHTS[card.weights]
    known = row.sha256 or f"{row.sha256_prefix}…"
    return f"`{row.file}`: {row.note} ({row.licence}; sha256 `{known}`), <{row.url}>"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(markdown())
