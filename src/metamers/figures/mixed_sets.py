"""Figure 7: metamers of mixed model sets."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from metamers.figures import style
from metamers.figures.data import NothingToDrawError, inline
from metamers.figures.inputs import RECOGNISED, FigureInputs
from metamers.storage.columns import CONDITION_KEY

_HEIGHT = 260
_BINS = 20
# The axis ends at the first of these that is not below the largest share.
_TOPS = (0.1, 0.2, 0.5, 1.0)


def mixed_sets(inputs: FigureInputs) -> alt.VConcatChart:
    """Return Fig 7: recognizability of each mixed set, sorted, and the histogram of the means.

    Dots of flagged conditions are open.

    Raises
    ------
    NothingToDrawError
        If a set has no held-out evaluator.
    """
    table, judged = inputs.rows("mixed_sets"), inputs.judged("recognizability")
    rows = _sorted(table, judged[~judged["member"] & ~judged["same_weights"]], inputs)
    top = next(limit for limit in _TOPS if rows["q4"].max() <= limit)
    notes = [
        "Line: lowest to highest held-out model; bar: quartiles; dot: mean. Every set is judged "
        "by other models, those that are not its members.",
        *style.flag_notes(rows, "Open dots"),
    ]
    width = _step(len(rows)) * len(rows) + 260
    return style.finish(
        alt.hconcat(_distributions(rows, top), _histogram(rows, top), spacing=12),
        "Recognizability of metamers of mixed model sets",
        [_reading(rows), RECOGNISED],
        notes,
        width=max(width, 420),
    )


def _reading(rows: pd.DataFrame) -> str:
    over = f" ± {rows['mean'].std():.3f} (standard deviation over sets)" if len(rows) > 1 else ""
    return (
        f"{style.counted(len(rows), 'set')} of {style.spread(rows['size'], 'model')}; "
        f"n = {style.spread(rows['n_images'], 'image')}, "
        f"{style.spread(rows['n_evaluators'], 'held-out model')}; "
        f"mean {rows['mean'].mean():.3f}{over}."
    )


def _sorted(table: pd.DataFrame, held_out: pd.DataFrame, inputs: FigureInputs) -> pd.DataFrame:
    key = list(CONDITION_KEY)
    shares = held_out.groupby(key)["recognizability"].quantile(np.linspace(0, 1, 5)).unstack()
    shares.columns = pd.Index(["q0", "q1", "q2", "q3", "q4"])
    rows = table.merge(shares.reset_index(), on=key, how="left")
    if rows["q2"].isna().any():
        lost = sorted(rows.loc[rows["q2"].isna(), "model_set"])
        raise NothingToDrawError(
            f"no held-out evaluator judged the sets {lost}; see `recognizability`"
        )
    rows = inputs.described(rows)
    rows["made_of"] = [
        ", ".join(inputs.labels.get(name, name) for name in members) for members in rows["members"]
    ]
    rows = rows.sort_values(["mean", "set"], kind="stable", ignore_index=True)
    rows["place"] = rows.index + 1
    return rows.drop(columns=["members"])


def _step(sets: int) -> int:
    return max(min(560 // sets, 34), 160 // sets, 6)


def _distributions(rows: pd.DataFrame, top: float) -> style.Layers:
    base = alt.Chart(inline(rows)).encode(
        x=alt.X("place:O", title="model sets, by mean").axis(labels=False, ticks=False)
    )
    sizes = sorted(int(size) for size in rows["size"].unique())
    size = (
        alt.Color("size:O", title="models in the set")
        .scale(domain=sizes, range=_shades(len(sizes)))
        .legend(orient="right", symbolType="square")
    )
    value = style.share_axis("mean", top)
    tooltip = ["set:N", "made_of:N", "size:Q", "mean:Q", "low:Q", "high:Q", "n_evaluators:Q"]
    dot = 34 if _step(len(rows)) > 10 else 14
    # Where quartiles coincide, as with one held-out model, the bar would have no height.
    flat = base.transform_filter("datum.q1 === datum.q3").mark_tick(
        thickness=5, width=0.8 * _step(len(rows)), opacity=1
    )
    dots = base.mark_point(
        size=dot, filled=True, opacity=1, color=style.BLACK, stroke="white", strokeWidth=0.6
    )
    return alt.layer(
        base.mark_rule(color="#8c8c8c").encode(y="q0:Q", y2="q4:Q"),
        base.mark_bar(width=alt.RelativeBandSize(0.8)).encode(y="q1:Q", y2="q3:Q", color=size),
        flat.encode(y="q2:Q", color=size),
        dots.encode(y=value, tooltip=tooltip),
        style.opened(base, dot / 3).encode(y=value),
    ).properties(width=alt.Step(_step(len(rows))), height=_HEIGHT)


def _shades(number: int) -> list[str]:
    """Return greens from pale to dark, all told from white and from black."""
    light, dark = np.array([187, 221, 197]), np.array([38, 122, 94])
    shares = np.linspace(0, 1, number)[:, None]
    colours = (light * (1 - shares) + dark * shares).round().astype(int)
    return ["#" + "".join(f"{channel:02x}" for channel in colour) for colour in colours]


def _histogram(rows: pd.DataFrame, top: float) -> alt.Chart:
    counts, edges = np.histogram(rows["mean"], bins=_BINS, range=(0, top))
    bins = pd.DataFrame({"from": edges[:-1], "to": edges[1:], "sets": counts, "none": 0})
    most = int(counts.max())
    return (
        alt.Chart(inline(bins[bins["sets"] > 0]))
        .mark_rect(color="#8fb8a5", stroke="white")
        .encode(
            y=style.share_axis("from", top, labelled=False),
            y2="to:Q",
            x=alt.X("none:Q", title="number of sets")
            .scale(domain=[0, most], nice=False)
            .axis(values=sorted({0, most // 2, most}), format="d"),
            x2="sets:Q",
        )
        .properties(width=90, height=_HEIGHT)
    )
