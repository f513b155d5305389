"""Figure 2: references and metamers, to be seen."""

from __future__ import annotations

import base64
import io
from collections.abc import Collection, Sequence

import altair as alt
import numpy as np
import pandas as pd
from PIL import Image

from metamers.figures import style
from metamers.figures.data import (
    ConditionKey,
    Labels,
    in_order,
    inline,
    is_flagged,
    pick,
    printed,
    refuse_other_columns,
    set_labels,
    sets_in_order,
)
from metamers.figures.recognizability import LABEL_SPACE_TEXT, RULE_TEXT
from metamers.storage.tables import CONDITION_KEY, RECOGNITION

METAMER_COLUMNS = (*CONDITION_KEY, "image_id", "image")
REFERENCE_COLUMNS = ("references", "image_id", "image")
_REFERENCE = "reference"
_PICTURE = [*CONDITION_KEY, "image_id"]
_GAP, _CAPTION = 6, 14
_CHOSEN = (
    "Photographs: the one whose metamers held-out models recognise most often, the middle one of "
    "those of which they recognise any, and the one that they recognise least."
)
_BENEATH = "Beneath each metamer: held-out models that recognise it, of how many. Recognised:"


def examples(
    metamers: pd.DataFrame,
    references: pd.DataFrame,
    *,
    labels: Labels,
    stages: Sequence[str],
    recognition: pd.DataFrame | None = None,
    rule: str = "self",
    label_space: str = "1000",
    side: int = 96,
    title: str = "References and their metamers",
    flagged: Collection[ConditionKey] = (),
) -> alt.VConcatChart:
    """Return Fig 2: a row per model set; per reference image, it and its metamers by stage.

    Parameters
    ----------
    metamers
        Columns `METAMER_COLUMNS`; `image` holds arrays (height, width, 3) of uint8.
    references
        Columns `REFERENCE_COLUMNS`; `image` as above. Images appear in their order.
    labels
        Printed labels of sets and, where they have one, of images.
    stages
        Names of the stages, from shallow to deep.
    recognition
        Table `recognition`; if given, each picture says how many of the held-out evaluators
        recognise it.
    rule, label_space
        Which rows of `recognition` count.
    side
        Width and height of a picture, in pixels of the chart; it is embedded at twice that.
    title
        Title of the figure.
    flagged
        Conditions that are not metamers: their pictures have a dashed frame.

    Raises
    ------
    ValueError
        If columns are missing, an image is no such array, or a metamer's reference is missing.
    """
    _refuse(metamers, METAMER_COLUMNS, "metamers")
    _refuse(references, REFERENCE_COLUMNS, "references")
    counts = None if recognition is None else _counts(recognition, rule, label_space)
    rows = _pictures(metamers, references, labels, flagged, side)
    rows["caption"] = "" if counts is None else _captions(rows, counts)
    sets = sets_in_order(rows["model_set"], rows["set"], labels)
    shown = in_order(set(rows["stage"]) - {_REFERENCE}, stages)
    images = [n for n in printed(references["image_id"], labels) if n in set(rows["shown"])]
    columns = [_REFERENCE, *shown]
    grid = _grid(sets, columns, side, _CAPTION if counts is not None else 0)
    notes = (
        []
        if counts is None
        else [_CHOSEN, _BENEATH + f" {RULE_TEXT[rule]}, {LABEL_SPACE_TEXT[label_space]}."]
    )
    return style.finish(
        grid.facet(
            column=alt.Column("shown:N", sort=images, title=None), data=inline(rows), spacing=14
        ),
        title,
        notes=[*notes, *style.flag_notes(rows, "Dashed frames")],
        width=(side + _GAP) * len(columns) * rows["shown"].nunique() + 100,
    )


def thumbnail(image: np.ndarray, side: int) -> str:
    """Return an image (height, width, 3; uint8) as a PNG in a ``data:`` address.

    It is made smaller if a side is longer than `side` pixels, never larger.

    Raises
    ------
    ValueError
        If it is no such array.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(
            f"an image is an array (height, width, 3) of uint8; this one has the shape "
            f"{image.shape!r} and the type {str(image.dtype)!r}"
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
    if frame.empty:
        raise ValueError(f"the frame of {what} has no rows: there is nothing to draw")


def _pictures(
    metamers: pd.DataFrame,
    references: pd.DataFrame,
    labels: Labels,
    flagged: Collection[ConditionKey],
    side: int,
) -> pd.DataFrame:
    known = set(zip(references["references"], references["image_id"], strict=True))
    needed = set(zip(metamers["references"], metamers["image_id"], strict=True))
    if needed - known:
        raise ValueError(f"these metamers have no reference: {sorted(needed - known)}")
    own = metamers.assign(set=set_labels(metamers, labels), flagged=is_flagged(metamers, flagged))
    beside = own.drop(columns=["image", "stage", "flagged"]).drop_duplicates(
        ["references", "image_id", "set"]
    )
    beside = beside.merge(references, on=["references", "image_id"])
    rows = pd.concat([own, beside.assign(stage=_REFERENCE, flagged=False)], ignore_index=True)
    rows["shown"] = printed(rows["image_id"], labels)
    # Read out to who cannot see; else it would be the address, and the file twice as large.
    rows["words"] = rows["shown"] + ", " + rows["set"] + ", " + rows["stage"]
    rows["url"] = [thumbnail(image, 2 * side) for image in rows["image"]]
    return rows.drop(columns=["image"])


def _counts(recognition: pd.DataFrame, rule: str, label_space: str) -> pd.Series:
    refuse_other_columns(recognition, RECOGNITION)
    rows = pick(recognition, rule=rule, label_space=label_space)
    held_out = rows[~rows["member"] & ~rows["same_weights"]]
    counts = held_out.groupby(_PICTURE)["recognised"].agg(["sum", "size"])
    return counts["sum"].astype(str) + " / " + counts["size"].astype(str)


def _captions(rows: pd.DataFrame, counts: pd.Series) -> pd.Series:
    keys = pd.MultiIndex.from_frame(rows[_PICTURE])
    return pd.Series(counts.reindex(keys).fillna("").to_numpy(), index=rows.index)


def _grid(sets: list[str], columns: list[str], side: int, caption: int) -> style.Layers:
    base = alt.Chart().encode(
        x=alt.X("stage:N", sort=columns, title=None)
        .scale(domain=columns, paddingInner=0, paddingOuter=0)
        .axis(orient="top", labelAngle=0, ticks=False, domain=False),
        y=alt.Y("set:N", sort=sets, title=None)
        .scale(domain=sets, paddingInner=0, paddingOuter=0)
        .axis(ticks=False, domain=False, labelLimit=260),
    )
    frame = base.transform_filter(alt.datum.flagged).mark_rect(
        fillOpacity=0,
        stroke=style.BLACK,
        strokeWidth=1.6,
        strokeDash=style.DASH,
        width=side + 3,
        height=side + 3,
        yOffset=-caption / 2,
    )
    return alt.layer(
        base.mark_image(width=side, height=side, yOffset=-caption / 2).encode(
            url="url:N", description="words:N"
        ),
        frame,
        base.mark_text(fontSize=10, dy=side / 2 + 1).encode(text="caption:N"),
    ).properties(
        width=alt.Step(side + _GAP),
        height=alt.Step(side + _GAP + caption),
        view=alt.ViewBackground(strokeOpacity=0),
    )
