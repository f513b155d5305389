"""What all figures share: colours, fonts, checked input, labels, titles and notes.

Colours are those of Okabe and Ito (2008), told apart by colour-blind readers; no distinction
rests on colour alone. Charts carry their data as plain values, so that nothing is drawn that
Python did not compute, and no row limit applies.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from metamers.tables import CONDITION_KEY, Table

# vl-convert carries Liberation Sans, which has the widths of Arial: the same layout everywhere.
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
INK = "#222222"
FAINT = "#6b6b6b"
RULE = "#d9d9d9"
HELD_OUT = "#0072B2"
MEMBER = "#D55E00"
SAME_WEIGHTS = "#CC79A7"
GOOD = "#00785A"
FLAG = "†"
NOT_METAMERS = "not metamers, since the optimisation did not match the activations."
DASH = [4, 3]
CATEGORIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_STAGE_COLOURS = ("#56B4E9", "#0072B2", "#00305A")
_STAGE_SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")

Labels = Mapping[str, str]
ConditionKey = tuple[str, ...]
# What Altair says that a layered chart becomes once its size is set.
Layers = alt.LayerChart | alt.FacetChart


def refuse_other_columns(frame: pd.DataFrame, table: Table) -> None:
    """Refuse a frame whose columns are not exactly the table's, in any order.

    Raises
    ------
    ValueError
        Naming the columns that lack and those that are unknown.
    """
    wanted, met = set(table.schema.names), set(frame.columns)
    if wanted != met:
        raise ValueError(
            f"the frame for table {table.name!r} lacks the columns {sorted(wanted - met)} and has "
            f"the unknown columns {sorted(met - wanted)}; see metamers.tables"
        )


def pick(frame: pd.DataFrame, **wanted: str) -> pd.DataFrame:
    """Return the rows that have the wanted value in each named column.

    Raises
    ------
    ValueError
        If there are none; the error lists the values that the table has.
    """
    picked = frame
    for name, value in wanted.items():
        picked = picked[picked[name] == value]
    if picked.empty:
        offered = {name: sorted(map(str, frame[name].unique())) for name in wanted}
        raise ValueError(f"no row has {wanted!r}; the table has {offered!r}")
    return picked.copy()


def within(frame: pd.DataFrame, conditions: Collection[ConditionKey]) -> pd.DataFrame:
    """Return the rows that belong to the conditions, given as tuples of `CONDITION_KEY`."""
    return frame[condition_keys(frame).isin(set(conditions))].copy()


def condition_keys(frame: pd.DataFrame) -> pd.Series:
    """Return each row's condition as a tuple of its five names."""
    rows = zip(*(frame[name] for name in CONDITION_KEY), strict=True)
    return pd.Series(list(rows), index=frame.index, dtype=object)


def is_flagged(frame: pd.DataFrame, flagged: Collection[ConditionKey]) -> pd.Series:
    """Return which rows belong to conditions that are flagged as not being metamers."""
    return condition_keys(frame).isin({tuple(key) for key in flagged}).astype(bool)


def label_of(name: str, labels: Labels) -> str:
    """Return the printed label, which is the name itself where none is declared."""
    return labels.get(name, name)


def set_labels(frame: pd.DataFrame, labels: Labels) -> pd.Series:
    """Return each row's model set as printed, with whatever else sets conditions apart.

    Recipe, bound and draw of references are appended only where the frame holds several.
    """
    text = frame["model_set"].map(lambda name: label_of(name, labels))
    for name in ("references", "recipe", "bound"):
        if frame[name].nunique() > 1:
            text = text + " · " + frame[name].map(lambda value: label_of(value, labels))
    return text


def in_order(present: Collection[str], order: Sequence[str]) -> list[str]:
    """Return the names that are present: those of `order` first, in it, then the others."""
    return [name for name in order if name in set(present)] + sorted(set(present) - set(order))


def order_of_sets(frame: pd.DataFrame, shown: pd.Series, labels: Labels) -> list[str]:
    """Return the printed sets in the order in which `labels` declares them, then as met."""
    ranks = {name: rank for rank, name in enumerate(labels)}
    pairs = pd.DataFrame({"name": frame["model_set"], "shown": shown}).drop_duplicates("shown")
    rank = pairs["name"].map(lambda name: ranks.get(name, len(ranks)))
    return list(pairs.assign(rank=rank).sort_values("rank", kind="stable")["shown"])


def inline(frame: pd.DataFrame) -> alt.InlineData:
    """Return the frame as a chart's own data; what is not a finite number becomes null."""
    rows = [{str(k): _plain(v) for k, v in row.items()} for row in frame.to_dict("records")]
    return alt.InlineData(values=rows)


def _plain(value: object) -> object:
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def stage_colour(stages: Sequence[str]) -> alt.Color:
    """Return the colour of a stage: the deeper, the darker."""
    return alt.Color("stage:N", sort=list(stages), title="stage").scale(
        domain=list(stages), range=stage_colours(len(stages))
    )


def stage_colours(number: int) -> list[str]:
    """Return as many colours as there are stages, from light to dark."""
    if number <= len(_STAGE_COLOURS):
        return list(_STAGE_COLOURS[-number:] if number < 3 else _STAGE_COLOURS)
    return [_STAGE_COLOURS[round(2 * k / (number - 1))] for k in range(number)]


def stage_shape(stages: Sequence[str]) -> alt.Shape:
    """Return the mark's shape for a stage."""
    shapes = [_STAGE_SHAPES[k % len(_STAGE_SHAPES)] for k in range(len(stages))]
    return alt.Shape("stage:N", sort=list(stages), title="stage").scale(
        domain=list(stages), range=shapes
    )


def flag_notes(rows: pd.DataFrame, mark: str) -> list[str]:
    """Return the note that explains the mark of flagged rows, if there are any."""
    return [f"{mark}: {NOT_METAMERS}"] if rows["flagged"].any() else []


def flag_fill(colour: str) -> Any:  # noqa: ANN401, Altair has no public name for it
    """Return the fill of a dot: its colour, or white where the row is flagged."""
    return alt.condition(alt.datum.flagged, alt.value("white"), alt.value(colour))


def side_header() -> alt.Header:
    """Return the header of rows of panels, written horizontally."""
    return alt.Header(labelAngle=0, labelAlign="left", labelAnchor="middle")


def counted(number: int, noun: str) -> str:
    """Return ``1 image`` or ``400 images``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def spread(values: Collection[int], noun: str) -> str:
    """Return how many there are, as one number or as the range of several."""
    low, high = min(values), max(values)
    return counted(low, noun) if low == high else f"{low} to {high} {noun}s"


def finish(
    chart: alt.FacetChart | alt.ConcatChart | alt.HConcatChart | alt.VConcatChart | Layers,
    title: str,
    subtitle: Sequence[str] = (),
    notes: Sequence[str] = (),
    width: int = 640,
) -> alt.VConcatChart:
    """Return the figure: title above, notes beneath, and the style of all figures.

    Parameters
    ----------
    width
        Pixels to which the subtitle and the notes are wrapped.
    """
    titled = alt.vconcat(chart).properties(
        title=alt.Title(
            title, subtitle=wrapped(subtitle, width), anchor="start", frame="group", offset=14
        )
    )
    if notes:
        titled = alt.vconcat(titled).properties(
            title=alt.Title(
                wrapped(notes, width), orient="bottom", anchor="start", fontSize=11,
                fontWeight="normal", color=FAINT, offset=10, frame="group",
            )
        )  # fmt: skip
    return _styled(titled)


def wrapped(paragraphs: Sequence[str], width: int) -> list[str]:
    """Return the paragraphs as lines of at most about `width` pixels."""
    characters = max(width // 6, 30)
    return [line for text in paragraphs for line in textwrap.wrap(text, characters)]


def _styled(chart: alt.VConcatChart) -> alt.VConcatChart:
    return (
        chart.configure(font=FONT, background="white", padding=12)
        .configure_view(stroke=RULE)
        .configure_axis(
            labelFontSize=11, titleFontSize=12, titleFontWeight="normal", labelColor=INK,
            titleColor=INK, gridColor="#ececec", domainColor=FAINT, tickColor=FAINT,
            labelLimit=260, titleLimit=600,
        )
        .configure_legend(
            labelFontSize=11, titleFontSize=11, titleFontWeight="normal", labelColor=INK,
            titleColor=INK, labelLimit=320, titleLimit=320, symbolSize=60,
        )
        .configure_header(
            labelFontSize=12, labelFontWeight="bold", labelColor=INK, labelLimit=600,
            titleFontSize=12, titleFontWeight="normal",
        )
        .configure_title(
            fontSize=15, fontWeight="bold", color=INK, subtitleFontSize=12,
            subtitleColor=FAINT, subtitlePadding=5,
        )
        .configure_text(fontSize=11, color=INK)
    )  # fmt: skip
