"""The study of docs/evidence.md: its photographs, and that its tables become its page."""

import zipfile

import fetch_photographs
import page_of_evidence
import pandas as pd


def test_photographs_of_both_packages_are_laid_out(tmp_path):
    wheel = tmp_path / "package.whl"
    with zipfile.ZipFile(wheel, "w") as package:
        package.writestr(fetch_photographs.MEMBERS + "0.jpg", b"first")
        package.writestr(fetch_photographs.MEMBERS + "10.jpg", b"second")
        package.writestr("ai_benchmark/data/other/1.jpg", b"of another task")
    assert fetch_photographs.lay_out(wheel, tmp_path / "out") == 22
    assert (tmp_path / "out/ai_benchmark_010.jpg").read_bytes() == b"second"
    assert len(list((tmp_path / "out").glob("foolbox_*.jpg"))) == 20


def test_sets_and_stages_stand_in_the_order_of_the_configuration():
    frame = pd.DataFrame(
        {
            "model_set": ["pair", "single", "pair", "single"],
            "stage": ["late", "late", "early", "early"],
            "cell": ["a", "b", "c", "d"],
        }
    )
    labels = {"single": "One", "pair": "Two", "absent": "None"}
    made = page_of_evidence.by_stage(frame, labels, ["early", "late"], "cell")
    assert made.splitlines()[0].split() == ["|", "model", "set", "|", "early", "|", "late", "|"]
    assert [line.split()[1::2] for line in made.splitlines()[2:]] == [
        ["One", "d", "b"],
        ["Two", "c", "a"],
    ]
