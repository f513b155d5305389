"""The summary that make demo prints."""

import json

import pandas as pd
import pytest

from metamers.cli import summary
from metamers.storage import baseline_tables, recognition_tables, tables

KEY = {
    "references": "r",
    "recipe": "m",
    "bound": "unbounded",
    "rule": "self",
    "label_space": "1000",
}


STAMP = {"config": json.dumps({"experiments": {"main": {"kind": "model_sets"}, "none": None}})}


def write(folder):
    shared = KEY | {"experiment": "main", "model_set": "pair", "stage": "late", "n_images": 20}
    columns = recognition_tables.RECOGNIZABILITY_BY_SET.schema.names
    groups = pd.DataFrame(
        [
            shared | {"group": group, "n_evaluators": n, "mean": mean, "sd": sd} | interval
            for group, n, mean, sd, interval in (
                ("members", 2, 0.85, 0.1, {"low": 0.7, "high": 0.95}),
                ("trained", 1, 0.4, None, {"low": 0.2, "high": 0.6}),
            )
        ],
        columns=columns,
    )
    tables.write(
        recognition_tables.RECOGNIZABILITY_BY_SET,
        groups,
        folder / "recognizability_by_set.parquet",
        STAMP,
    )
    gain = shared | {"against": "members", "singles": ["one"], "n_evaluators": 1}
    gain |= {"ensemble": 0.4, "single": 0.1, "difference": 0.3, "low": 0.1, "high": 0.5}
    gain |= {"images_low": 0.1, "images_high": 0.5}
    tables.write(
        recognition_tables.ENSEMBLE_GAIN,
        pd.DataFrame([gain]),
        folder / "ensemble_gain.parquet",
        STAMP,
    )


def test_summary_gives_means_intervals_and_gain(tmp_path):
    write(tmp_path / "tables")
    said = summary.text(tmp_path)
    assert "0.85 [0.70, 0.95] (2)" in said
    assert "0.40 [0.20, 0.60] (1)" in said
    assert "+0.30 [+0.10, +0.50] (20 images, 1 model)" in said
    assert "n = 20 images" in said


def test_summary_names_members_for_whom_metamers_are_none(tmp_path):
    write(tmp_path / "tables")
    assert "No metamers" not in summary.text(tmp_path)
    shared = {name: KEY[name] for name in ("references", "recipe", "bound")} | {"n_images": 20}
    criteria = {"kept": 1.0, "beyond_spearman": 1.0, "beyond_snr": 1.0, "n_pairs": 100}
    shared |= criteria | {"closer": 1.0, "median_l2": 0.2}
    rows = [
        shared | {"model_set": name, "stage": "late", "model": model, "share": share}
        for name, model, share in (("pair", "a", 0.85), ("pair", "b", 0.9), ("other", "c", 0.1))
    ]
    success = pd.DataFrame(rows).assign(are_metamers=lambda table: table["share"] >= 0.9)
    path = tmp_path / "tables/success.parquet"
    tables.write(baseline_tables.SUCCESS, success, path, STAMP)
    said = summary.text(tmp_path)
    assert "No metamers for 1 of 2 members by Feather" in said
    assert f"{'pair':<24}{'late':<9}{'a':<22}0.85" in said


def test_run_without_tables_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="has no tables"):
        summary.text(tmp_path)


def test_a_gain_that_rounds_to_nothing_has_no_minus():
    assert [summary._signed(value) for value in (-0.001, 0.0, -0.25)] == ["+0.00", "+0.00", "-0.25"]
