"""Figure 2: references and metamers, to be seen."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import altair as alt
import pandas as pd
from PIL import Image
from torch import Tensor

from metamers.config.plan import Condition
from metamers.figures import style
from metamers.figures.data import inline, pick, printed
from metamers.figures.inputs import RECOGNISED, FigureInputs
from metamers.images import references as reference_files
from metamers.storage import metamers as metamer_files
from metamers.storage.columns import CONDITION_KEY, PRIMARY_RULE
from metamers.storage.tables import matching

_REFERENCE = "reference"
_PICTURE = [*CONDITION_KEY, "image_id"]
# Pixels of the chart: of a picture's width and height, between two, and for the words beneath.
# Pictures are embedded at twice their size.
_SIDE, _GAP, _CAPTION = 96, 6, 14
_CHOSEN = (
    "Photographs: the one whose metamers held-out models recognise most often, the middle one of "
    "those of which they recognise any, and the one that they recognise least."
)
_BENEATH = f"Beneath each metamer: held-out models that recognise it, of how many. {RECOGNISED}"


def examples(inputs: FigureInputs) -> alt.VConcatChart:
    """Return Fig 2: a row per model set; per reference image, it and its metamers by stage.

    Each picture says how many of the held-out evaluators recognise it; those of flagged
    conditions have a dashed frame.
    """
    recognition = pick(inputs.rows("recognition"), **PRIMARY_RULE)
    held_out = matching(recognition, member=False, same_weights=False)
    references = _references(inputs, held_out)
    inputs = replace(inputs, labels={**inputs.labels, **_image_labels(inputs)})
    rows = _pictures(_metamers(inputs, set(references["image_id"])), references, inputs)
    rows["caption"] = _captions(rows, held_out)
    images = [n for n in printed(references["image_id"], inputs.labels) if n in set(rows["shown"])]
    columns = [_REFERENCE, *inputs.stages(rows[rows["stage"] != _REFERENCE])]
    return style.finish(
        _grid(inputs.sets(rows), columns).facet(
            column=alt.Column("shown:N", sort=images, title=None), data=inline(rows), spacing=14
        ),
        "References and their metamers",
        notes=[_CHOSEN, _BENEATH, *style.flag_notes(rows, "Dashed frames")],
        width=(_SIDE + _GAP) * len(columns) * rows["shown"].nunique() + 100,
    )


def _references(inputs: FigureInputs, held_out: pd.DataFrame) -> pd.DataFrame:
    """Return the photographs that are shown, in order, with their pictures."""
    name = inputs.conditions[0].references
    path = next(path for path in inputs.references if Path(path).stem == name)
    ids, pixels = reference_files.load(path)
    return pd.DataFrame(
        {
            "references": name,
            "image_id": image_id,
            "url": thumbnail(pixels[ids.index(image_id)], 2 * _SIDE),
        }
        for image_id in instructive(ids, held_out)
    )


def _metamers(inputs: FigureInputs, shown: set[str]) -> pd.DataFrame:
    """Return the experiment's metamers of the photographs that are shown."""
    wanted, rows = set(inputs.conditions), []
    for file in inputs.metamers:
        metamers = metamer_files.load(file)
        condition = Condition.of(metamers.notes["condition"])
        rows += [
            condition.columns() | {"image_id": image_id, "url": thumbnail(pixels, 2 * _SIDE)}
            for image_id, pixels in zip(metamers.image_ids, metamers.pixels, strict=True)
            if condition in wanted and image_id in shown
        ]
    return pd.DataFrame(rows)


def _image_labels(inputs: FigureInputs) -> dict[str, str]:
    """Return the name of each image's class beside its id, where it has a label."""
    from torchvision.models import AlexNet_Weights

    labelled = inputs.tables["references"].dropna(subset=["label"])
    names = AlexNet_Weights.IMAGENET1K_V1.meta["categories"]
    pairs = zip(labelled["image_id"].astype(str), labelled["label"].astype(int), strict=True)
    return {image_id: f"{names[label]} ({image_id})" for image_id, label in pairs}


def instructive(ids: Sequence[str], held_out: pd.DataFrame) -> list[str]:
    """Return the photographs to show, of those whose metamers held-out models judge.

    The one whose metamers they recognise most often, the middle one of those of which they
    recognise any, and the one that they recognise least; of equals, the first by name.
    """
    shares = held_out.groupby("image_id", observed=True)["recognised"].mean().reindex(list(ids))
    ranked = shares.fillna(0).sort_index().sort_values(ascending=False, kind="stable")
    some = int((ranked > 0).sum())
    places = sorted({0, max(some // 2, 1), len(ranked) - 1})
    names = [str(name) for name in ranked.index]
    return [names[place] for place in places if place < len(names)]


def thumbnail(image: Tensor, side: int) -> str:
    """Return an image (3, height, width; uint8) as a PNG in a ``data:`` address.

    It is made smaller if a side is longer than `side` pixels, never larger.
    """
    picture = Image.fromarray(image.permute(1, 2, 0).numpy())
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _pictures(
    metamers: pd.DataFrame, references: pd.DataFrame, inputs: FigureInputs
) -> pd.DataFrame:
    """Return the metamers, and each set's references beside them, with words for each."""
    own = inputs.described(metamers)
    beside = own.drop(columns=["url", "stage", "flagged"]).drop_duplicates(
        ["references", "image_id", "set"]
    )
    beside = beside.merge(references, on=["references", "image_id"])
    rows = pd.concat([own, beside.assign(stage=_REFERENCE, flagged=False)], ignore_index=True)
    rows["shown"] = printed(rows["image_id"], inputs.labels)
    # Read out to who cannot see; else it would be the address, and the file twice as large.
    return rows.assign(words=rows["shown"] + ", " + rows["set"] + ", " + rows["stage"])


def _captions(rows: pd.DataFrame, held_out: pd.DataFrame) -> pd.Series:
    """Return how many of the held-out evaluators recognise each picture; nothing of references."""
    counts = held_out.groupby(_PICTURE, observed=True)["recognised"].agg(["sum", "size"])
    words = counts["sum"].astype(str) + " / " + counts["size"].astype(str)
    keys = pd.MultiIndex.from_frame(rows[_PICTURE])
    return pd.Series(words.reindex(keys).fillna("").to_numpy(), index=rows.index)


def _grid(sets: list[str], columns: list[str]) -> style.Layers:
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
        width=_SIDE + 3,
        height=_SIDE + 3,
        yOffset=-_CAPTION / 2,
    )
    return alt.layer(
        base.mark_image(width=_SIDE, height=_SIDE, yOffset=-_CAPTION / 2).encode(
            url="url:N", description="words:N"
        ),
        frame,
        base.mark_text(fontSize=10, dy=_SIDE / 2 + 1).encode(text="caption:N"),
    ).properties(
        width=alt.Step(_SIDE + _GAP),
        height=alt.Step(_SIDE + _GAP + _CAPTION),
        view=alt.ViewBackground(strokeOpacity=0),
    )
