"""Figure 2: references and metamers, to be seen."""

from __future__ import annotations

import base64
import io
from collections.abc import Collection, Sequence

import altair as alt
import numpy as np
import pandas as pd
from PIL import Image

from metamers import chart_style as style
from metamers.chart_style import ConditionKey, Labels
from metamers.tables import CONDITION_KEY

METAMER_COLUMNS = (*CONDITION_KEY, "image_id", "image")
REFERENCE_COLUMNS = ("references", "image_id", "image")
_REFERENCE = "reference"


def examples(
    metamers: pd.DataFrame,
    references: pd.DataFrame,
    *,
    labels: Labels,
    stages: Sequence[str],
    side: int = 96,
    flagged: Collection[ConditionKey] = (),
) -> alt.VConcatChart:
    """Return Fig 2: a row per model set, a column per reference image and stage.

    Parameters
    ----------
    metamers
        Columns `METAMER_COLUMNS`; `image` holds arrays (height, width, 3) of uint8.
    references
        Columns `REFERENCE_COLUMNS`; `image` as above.
    labels
        Printed labels of sets and, where they have one, of images.
    stages
        Names of the stages, from shallow to deep.
    side
        Width and height of a picture, in pixels of the chart; it is embedded at twice that.
    flagged
        Conditions that are not metamers: their pictures have a dashed frame.

    Raises
    ------
    ValueError
        If columns are missing, an image is no such array, or a metamer's reference is missing.
    """
    _refuse(metamers, METAMER_COLUMNS, "metamers")
    _refuse(references, REFERENCE_COLUMNS, "references")
    rows = _pictures(metamers, references, labels, side, flagged)
    shown = style.in_order(set(rows["stage"]) - {_REFERENCE}, stages)
    sets = style.order_of_sets(metamers, style.set_labels(metamers, labels), labels)
    images = list(dict.fromkeys(references["image_id"].map(lambda name: labels.get(name, name))))
    chart = _grid(rows, sets, shown, [name for name in images if name in set(rows["shown"])], side)
    return style.finish(
        chart,
        "References and their metamers",
        notes=style.flag_notes(rows, "Dashed frames"),
        width=(side + 6) * rows["shown"].nunique() * (len(shown) + 1),
    )


def thumbnail(image: np.ndarray, side: int) -> str:
    """Return an image (height, width, 3; uint8) as a PNG in a ``data:`` address.

    It is made smaller if a side is longer than `side` pixels, never larger.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(
            f"an image is an array (height, width, 3) of uint8, not {image.shape!r} of "
            f"{image.dtype}"
        )
    picture = Image.fromarray(image)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _refuse(frame: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    if set(frame.columns) != set(columns):
        raise ValueError(
            f"the frame of {what} has the columns {sorted(frame.columns)}; "
            f"expected are {sorted(columns)}"
        )


def _pictures(
    metamers: pd.DataFrame,
    references: pd.DataFrame,
    labels: Labels,
    side: int,
    flagged: Collection[ConditionKey],
) -> pd.DataFrame:
    known = set(zip(references["references"], references["image_id"], strict=True))
    needed = set(zip(metamers["references"], metamers["image_id"], strict=True))
    if needed - known:
        raise ValueError(f"these metamers have no reference: {sorted(needed - known)}")
    sets = style.set_labels(metamers, labels)
    own = metamers.assign(set=sets, flagged=style.is_flagged(metamers, flagged))
    used = references.merge(
        own[["references", "image_id", "set"]].drop_duplicates(), on=["references", "image_id"]
    ).assign(stage=_REFERENCE, flagged=False)
    rows = pd.concat([used, own], ignore_index=True)
    rows["shown"] = rows["image_id"].map(lambda name: labels.get(name, name))
    rows["url"] = [thumbnail(image, 2 * side) for image in rows["image"]]
    return rows[["set", "stage", "shown", "url", "flagged"]]


def _grid(
    rows: pd.DataFrame, sets: list[str], stages: list[str], images: list[str], side: int
) -> alt.FacetChart:
    order = [_REFERENCE, *stages]
    base = alt.Chart().encode(
        x=alt.X("stage:N", sort=order, title=None)
        .scale(domain=order, paddingInner=0, paddingOuter=0)
        .axis(orient="top", labelAngle=0, ticks=False, domain=False),
        y=alt.Y("set:N", sort=sets, title=None)
        .scale(domain=sets, paddingInner=0, paddingOuter=0)
        .axis(ticks=False, domain=False),
    )
    return (
        alt.layer(
            base.mark_image(width=side, height=side).encode(url="url:N"),
            base.transform_filter(alt.datum.flagged).mark_rect(
                fillOpacity=0,
                stroke=style.MEMBER,
                strokeWidth=2,
                strokeDash=style.DASH,
                width=side,
                height=side,
            ),
        )
        .properties(width=alt.Step(side + 6), height=alt.Step(side + 6))
        .facet(column=alt.Column("shown:N", sort=images, title=None), data=style.inline(rows))
    )
