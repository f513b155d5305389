"""What each figure shows: the right marks, numbers, order and words."""

from __future__ import annotations

import base64
import dataclasses
import io
import re

import numpy as np
import pandas as pd
import pytest
import synthetic_tables as synthetic
from PIL import Image

from metamers.evaluation.similarity.densities import Convention
from metamers.figures import examples as examples_module
from metamers.figures import registry
from metamers.figures.bounds import bounds as draw_bounds
from metamers.figures.data import NothingToDrawError
from metamers.figures.differences import difference_in_means, ensemble_gain
from metamers.figures.equal_loss import equal_loss
from metamers.figures.examples import examples
from metamers.figures.image_metrics import image_metrics
from metamers.figures.losses import losses_after
from metamers.figures.mixed_sets import mixed_sets as draw_mixed_sets
from metamers.figures.recognizability import recognizability as draw_recognizability
from metamers.figures.sample_size import power
from metamers.figures.similarity import similarity
from metamers.figures.transfer import MEAN, transfer
from metamers.images.crops import crop_id
from metamers.storage import traces

STAGES = ("early", "middle", "late")
SIZE = synthetic.QUICKSTART
NAMED = {"labels": SIZE.labels, "stages": STAGES}


def svg(chart):
    buffer = io.StringIO()
    chart.save(buffer, format="svg")
    return buffer.getvalue()


def rows_of(chart, column):
    """The rows of the data, among a chart's, that have the column."""
    found = [rows for rows in chart.to_dict()["datasets"].values() if rows and column in rows[0]]
    return pd.DataFrame([row for rows in found for row in rows])


def memberships(size):
    return sum(len(members) for members in size.members.values())


def recognizability(**changes):
    arguments = {"experiment": "main", **NAMED} | changes
    return draw_recognizability(
        synthetic.recognizability(SIZE), synthetic.recognizability_by_set(SIZE), **arguments
    )


def test_lines_of_members_are_dashed_and_no_others():
    drawn = svg(recognizability())
    lines = re.findall(
        r'<path aria-label="[^"]*" role="graphics-symbol" aria-roledescription="line mark"[^>]*>',
        drawn,
    )
    assert len(lines) == SIZE.sets * SIZE.evaluators + SIZE.sets
    assert sum('stroke-dasharray="5,3"' in line for line in lines) == memberships(SIZE)


def test_panels_say_how_many_images_and_held_out_models_they_rest_on():
    drawn = svg(recognizability())
    for name, members in SIZE.members.items():
        assert SIZE.labels[name] in drawn
        held_out = SIZE.evaluators - len(members)
        assert f"n = 20 images, {held_out} held-out model" in drawn


def test_flagged_means_are_opened():
    flagged = SIZE.conditions[:4]
    opened = recognizability(flagged=flagged)
    rows = rows_of(opened, "kind")
    means = rows[rows["kind"].str.startswith("mean of held-out")]
    assert means["flagged"].sum() == len(flagged)
    assert svg(opened).count('fill="white"') - svg(recognizability()).count('fill="white"') == 4


def test_a_stage_that_a_set_lacks_leaves_its_place_empty():
    table = synthetic.recognizability(SIZE)
    by_set = synthetic.recognizability_by_set(SIZE)
    lacking = table[~((table["model_set"] == "set_00") & (table["stage"] == "late"))]
    chart = draw_recognizability(lacking, by_set, experiment="main", **NAMED)
    assert len(rows_of(chart, "kind")) == len(lacking) + len(by_set)


def test_two_names_that_are_printed_alike_are_refused():
    labels = SIZE.labels | {"model_01": SIZE.labels["model_00"]}
    with pytest.raises(ValueError, match="'model_00' and 'model_01' are both printed"):
        recognizability(labels=labels)


def test_conditions_that_differ_in_their_bound_are_told_apart():
    bounded = dataclasses.replace(SIZE, sets=1, bounds=("unbounded", "initial_8"))
    chart = similarity(synthetic.similarity(bounded), **NAMED)
    assert set(rows_of(chart, "divergence")["set"]) == {
        "Single CNN · unbounded",
        "Single CNN · initial_8",
    }


def test_members_cells_of_the_heatmap_are_dashed():
    drawn = svg(similarity(synthetic.similarity(SIZE), **NAMED))
    comparisons, stages = 3, 3
    assert drawn.count('stroke-dasharray="4,3"') == memberships(SIZE) * stages * comparisons


def test_cells_give_the_divergence_and_the_ratio_of_the_medians():
    table = synthetic.similarity(SIZE)
    table[["divergence", "median_ratio"]] = [0.256, 0.877]
    table.loc[0, ["divergence", "median_ratio"]] = [np.nan, np.nan]
    table.loc[1, "median_ratio"] = 1.33
    table.loc[2, "median_ratio"] = 41.3
    rows = rows_of(similarity(table, **NAMED), "text")
    others = len(table) - 3
    assert rows["text"].value_counts().to_dict() == {"0.26": others + 2, "–": 1}
    assert rows["ratio"].value_counts().to_dict() == {"×0.88": others, "×1.3": 1, "×41": 1, "": 1}


def test_divergences_say_what_they_are_given_in():
    table = synthetic.similarity(SIZE)
    assert "divergence (bits)" in svg(similarity(table, **NAMED))
    drawn = svg(similarity(table, convention=Convention(base="e"), **NAMED))
    assert "divergence (nats)" in drawn
    assert "in nats (0: the same, 0.69: apart)" in drawn


def test_one_comparison_can_be_drawn_alone():
    chosen = "metamer-metamer | reference-metamer"
    chart = similarity(synthetic.similarity(SIZE), comparisons=[chosen], **NAMED)
    assert set(rows_of(chart, "divergence")["kind"]) == {chosen.replace(" | ", "\nagainst\n")}


def test_metrics_are_means_with_an_interval_around_them():
    table = synthetic.image_metrics(SIZE)
    drawn = rows_of(image_metrics(table, **NAMED), "measure").set_index(
        ["model_set", "stage", "measure"]
    )
    chosen = table[(table["model_set"] == "set_02") & (table["stage"] == "late")]
    values = chosen.loc[chosen["measure"] == "ssim", "value"]
    row = drawn.loc[("set_02", "late", "ssim")]
    assert row["value"] == pytest.approx(values.mean())
    # A percentile bootstrap of 20 values is within about a tenth of the normal interval.
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert (row["high"] - row["low"]) / 2 == pytest.approx(half, rel=0.15)


def test_a_value_of_a_whole_set_has_the_tables_interval():
    table = synthetic.image_metrics(SIZE)
    rows = rows_of(image_metrics(table, **NAMED), "measure")
    whole = rows[rows["measure"] == "frechet_efficientnet_lite0"]
    assert whole["value"].notna().all()
    assert (whole["low"] + 1).tolist() == pytest.approx(whole["value"].tolist())
    given = table[table["measure"] == "frechet_efficientnet_lite0"]
    assert sorted(whole["high"]) == pytest.approx(sorted(given["high"]))


def test_intervals_of_crops_are_those_of_their_photographs():
    table = synthetic.image_metrics(SIZE)
    ids = table["image_id"].dropna()
    both = [table.assign(image_id=ids.map(lambda name, k=k: crop_id(name, k))) for k in range(2)]
    whole, cropped = (
        rows_of(image_metrics(frame, **NAMED), "measure").query("measure == 'ssim'")
        for frame in (table, pd.concat(both))
    )
    assert set(cropped["n"]) == {2 * SIZE.images}
    pd.testing.assert_frame_equal(whole[["low", "high"]], cropped[["low", "high"]])


def test_spread_is_drawn_with_its_interval_and_says_what_images_are():
    table = synthetic.power(SIZE)
    chart = power(table, stages=STAGES)
    means = rows_of(chart, "sd").query("kind == 'mean'")
    assert len(means) == 3 * 3 * 3  # stages, comparisons, sizes; all between .1 and .9
    one = means.query("stage == 'late' and n_images == 80").iloc[0]
    same = table.query("stage == 'late' and n_images == 80 and comparison == @one.comparison")
    ends = same[["sd", "sd_low", "sd_high"]].mean().tolist()
    assert one[["sd", "sd_low", "sd_high"]].tolist() == pytest.approx(ends)
    assert "crops of 20 photographs and not independent" in svg(chart)
    alone = synthetic.power(SIZE, photographs=160)
    assert "not independent" not in svg(power(alone, stages=STAGES))


def test_metrics_say_their_better_direction_and_why_they_lack():
    drawn = svg(image_metrics(synthetic.image_metrics(SIZE), **NAMED))
    assert "↑ higher is better" in drawn
    assert "↓ lower is better" in drawn
    assert "PSNR (dB)" in drawn
    assert "nearer to the reference as a picture" in drawn
    assert "small for sets of which the model is a member" in drawn
    assert "LPIPS: not computed: weights missing: alexnet-owt-7be5be79.pth." in drawn
    assert "https://" not in re.sub(r"http://www.w3.org/\S*", "", drawn)


def test_metrics_without_a_models_features_need_no_note_on_them():
    table = synthetic.image_metrics(SIZE)
    table = table[table["measure"] == "psnr"].reset_index(drop=True)
    assert "is a member" not in svg(image_metrics(table, **NAMED))


def test_values_that_are_infinite_or_undefined_are_counted_and_left_out():
    table = synthetic.image_metrics(SIZE)
    psnr = table.index[table["measure"] == "psnr"]
    table.loc[psnr[0], "value"] = np.inf
    table.loc[psnr[1], ["value", "status"]] = [np.nan, "undefined: identical images"]
    chart = image_metrics(table, **NAMED)
    assert "PSNR: 2 of 360 values are undefined and left out." in svg(chart)
    drawn = rows_of(chart, "measure").query("measure == 'psnr'")
    assert drawn.iloc[0]["n"] == SIZE.images - 2
    assert np.isfinite(drawn["value"]).all()


def test_a_metric_without_a_card_is_refused():
    table = synthetic.image_metrics(SIZE).assign(measure="beauty")
    with pytest.raises(ValueError, match="'beauty'"):
        image_metrics(table, **NAMED)


BOUNDS = {
    "unbounded": {"norm": "linf", "center": "initial", "radius": 10000},
    "wide": {"norm": "linf", "center": "initial", "radius": 0.3},
    "narrow": {"norm": "linf", "center": "initial", "radius": "8/255"},
}


def bounds(declared):
    size = dataclasses.replace(SIZE, sets=1, bounds=tuple(BOUNDS))
    table = synthetic.recognizability(size, "bounds")
    return table, draw_bounds(table, declared, experiment="bounds", **NAMED)


def test_bounds_appear_in_the_order_of_their_radius():
    drawn = svg(bounds(BOUNDS)[1])
    places = [drawn.index(f">{size}<") for size in ("ℓ∞ 8/255", "ℓ∞ 0.3", "ℓ∞ 10000")]
    assert places == sorted(places)
    assert "ℓ∞ 10000: wider than the range of pixels" in drawn


def test_boxes_span_the_quartiles_of_all_evaluators():
    table, chart = bounds(BOUNDS)
    shares = table[(table["stage"] == "late") & (table["bound"] == "wide")]["recognizability"]
    rows = rows_of(chart, "q1").query("stage == 'late' and bound == 'wide'")
    assert len(rows) == SIZE.evaluators
    assert rows.iloc[0][["q1", "q2", "q3"]].tolist() == pytest.approx(
        np.quantile(shares, [0.25, 0.5, 0.75])
    )


def test_a_bound_that_is_not_declared_is_refused():
    with pytest.raises(ValueError, match=r"\['narrow'\] are not declared"):
        bounds({name: row for name, row in BOUNDS.items() if name != "narrow"})


MIXED = dataclasses.replace(SIZE, sets=11, stages=("middle",))


def mixed_sets(table, judged):
    return draw_mixed_sets(table, judged, experiment="mixed", labels=MIXED.labels)


def test_mixed_sets_rise_and_their_histogram_counts_all():
    chart = mixed_sets(synthetic.mixed_sets(MIXED), synthetic.recognizability(MIXED, "mixed"))
    rows = rows_of(chart, "place").sort_values("place")
    assert rows["mean"].is_monotonic_increasing
    assert rows_of(chart, "sets")["sets"].sum() == MIXED.sets


def test_a_mixed_set_that_only_its_members_judged_is_refused():
    judged = synthetic.recognizability(MIXED, "mixed")
    judged = judged[judged["member"] | (judged["model_set"] != "set_03")]
    with pytest.raises(ValueError, match=r"judged the sets \['set_03'\]"):
        mixed_sets(synthetic.mixed_sets(MIXED), judged)


def test_models_stand_by_effect_with_a_star_where_it_is_significant():
    table = synthetic.difference_in_means(SIZE)
    table["adjusted"] = [0.01, 0.03, -0.02, 0.02]
    table["p_adjusted"] = [1.0, 0.01, np.nan, 0.2]
    drawn = svg(difference_in_means(table, labels=SIZE.labels))
    order = [
        "EfficientNet-Lite1 (14) *",
        "SqueezeNet 1.1 (16)",
        "EfficientNet-Lite0 (13)",
        "EfficientNet-Lite2 (15)",
    ]
    places = [drawn.index(f">{name}<") for name in order]
    assert places == sorted(places)


def test_an_ensemble_is_first_compared_with_its_own_members():
    drawn = svg(ensemble_gain(synthetic.ensemble_gain(SIZE), experiment="main", **NAMED))
    own = drawn.index(">CNN over its members alone (mean)<")
    assert own < drawn.index(">CNN over Single CNN<")


def test_thinned_traces_keep_the_first_and_the_last_turn():
    table = synthetic.traces(dataclasses.replace(SIZE, sets=1, images=2), turns=1000)
    thinned = traces.thinned(table, points=50)
    turns = thinned["turn"].unique()
    assert {0, 999} <= set(turns)
    assert 50 <= len(turns) <= 51


def test_a_loss_of_zero_is_left_out_of_the_logarithm():
    table = synthetic.optimisation(dataclasses.replace(SIZE, images=3))
    table.loc[0, "loss_stored"] = 0.0
    rows = rows_of(losses_after(table, **NAMED), "before")
    assert rows["low"].isna().sum() == 1


def test_losses_that_are_all_zero_cannot_be_drawn():
    table = synthetic.optimisation(SIZE).assign(loss_stored=0.0, loss_before=0.0)
    with pytest.raises(ValueError, match="no loss is finite and above 0"):
        losses_after(table, **NAMED)


def test_a_thumbnail_is_the_picture():
    image = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    encoded = examples_module.thumbnail(image, 8).removeprefix("data:image/png;base64,")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded)))), image)


def test_a_thumbnail_is_no_larger_than_its_side():
    encoded = examples_module.thumbnail(np.zeros((40, 20, 3), np.uint8), 10).split(",")[1]
    assert Image.open(io.BytesIO(base64.b64decode(encoded))).size == (5, 10)


@pytest.mark.parametrize("image", [np.zeros((4, 4, 3)), np.zeros((3, 4, 4), np.uint8)])
def test_what_is_no_picture_is_refused(image):
    with pytest.raises(ValueError, match="an image is an array"):
        examples_module.thumbnail(image, 8)


def test_every_picture_and_its_reference_is_shown_and_counted():
    size = dataclasses.replace(SIZE, sets=2)
    metamers, references = synthetic.pictures(size, images=2, side=8)
    recognition = synthetic.recognition(size).assign(recognised=True)
    drawn = svg(examples(metamers, references, recognition=recognition, **NAMED))
    assert drawn.count("data:image/png") == len(metamers) + size.sets * len(references)
    assert drawn.count(">3 / 3<") == drawn.count(">2 / 2<") == len(metamers) / 2


def test_a_metamer_without_its_reference_is_refused():
    metamers, references = synthetic.pictures(SIZE, images=2, side=8)
    with pytest.raises(ValueError, match=r"no reference: \[\('quick', 'image_1'\)\]"):
        examples(metamers, references[:1], **NAMED)


def at_equal_loss(table):
    return equal_loss(table, experiment="main", order=list(SIZE.members), **NAMED)


def test_sets_at_equal_loss_stand_with_their_intervals_and_what_they_took():
    table = synthetic.equal_loss(SIZE)
    rows = rows_of(at_equal_loss(table), "value")
    others = len(table) - len(STAGES)  # the first set has no difference from itself
    assert len(rows) == 3 * len(table) + others
    shown = rows[(rows["shown"] == SIZE.labels["set_02"]) & (rows["stage"] == "late")]
    (row,) = table.query("model_set == 'set_02' and stage == 'late'").to_dict("records")
    for names in (("recognizability", "low", "high"), ("difference", "difference_low")):
        assert row[names[0]] in set(shown["value"])
        assert row[names[1]] in set(shown["low"])


def test_sets_that_share_no_image_at_a_loss_are_nothing_to_draw():
    table = synthetic.equal_loss(SIZE).assign(recognizability=np.nan)
    with pytest.raises(NothingToDrawError, match="no image was brought"):
        at_equal_loss(table)


def test_transfer_has_the_mean_of_each_family():
    table = synthetic.recognizability(SIZE)
    families = {name: "cnn" if k % 2 else "transformer" for k, name in enumerate(SIZE.models)}
    chart = transfer(table, experiment="main", families=families, **NAMED)
    rows = rows_of(chart, "family")
    row = rows[rows["shown"] == MEAN].iloc[0]
    held_out = table[
        (table["model_set"] == row["model_set"])
        & (table["stage"] == row["stage"])
        & ~table["member"]
        & (table["evaluator"].map(families) == row["family"])
    ]
    assert row["recognizability"] == pytest.approx(held_out["recognizability"].mean())


def test_panels_of_transfer_have_the_stage_of_their_heading():
    table = synthetic.recognizability(SIZE)
    families = dict.fromkeys(SIZE.models, "cnn")
    drawn = transfer(table, experiment="main", families=families, **NAMED).to_dict()
    datasets = drawn["datasets"]
    panels = drawn["vconcat"][0]["vconcat"][0]["hconcat"]
    stages = [{row["stage"] for row in datasets[panel["data"]["name"]]} for panel in panels]
    assert stages == [{panel["title"]["text"]} for panel in panels]
    assert [panel["title"]["text"] for panel in panels] == list(NAMED["stages"])


def test_examples_are_the_best_the_middle_and_the_least_recognised():
    shares = {"a": 0, "b": 3, "c": 1, "d": 2, "e": 0}  # of four held-out judges
    rows = [
        {"image_id": image, "recognised": judge < share, "member": False, "same_weights": False}
        for image, share in shares.items()
        for judge in range(4)
    ]
    member = {"image_id": "e", "recognised": True, "member": True, "same_weights": False}
    recognition = pd.DataFrame([*rows, member]).assign(rule="self", label_space="1000")
    assert registry._instructive(list(shares), recognition) == ["b", "d", "e"]
    assert registry._instructive(["b"], recognition) == ["b"]
