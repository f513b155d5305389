"""From a run to a task, from a participant in a browser to tables."""

import itertools
import json
import time

import chromium
import finished_runs
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from metamers.cli.main import app
from metamers.storage import raw_tables, recognition_tables, result_tables, tables

QUICK = {"fixation_ms: 300": "fixation_ms: 10", "_ms: 200": "_ms: 60"}
WATCH = """
window.seen = [];
new MutationObserver(() => {
  const image = document.querySelector("img.picture");
  const source = image ? image.getAttribute("src") : null;
  const last = window.seen[window.seen.length - 1];
  if (!last || last[0] !== source) window.seen.push([source, performance.now()]);
}).observe(document, { childList: true, subtree: true });
"""


def command(*arguments):
    return CliRunner().invoke(
        app, ["experiment", *map(str, arguments)], env={"COLUMNS": "300", "TERM": "dumb"}
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return finished_runs.write(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def folder(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiment") / "out"
    result = command(run, "--output", folder, "--practice", 2)
    assert result.exit_code == 0, result.output
    settings = folder / "task/settings.js"
    text = settings.read_text()
    for old, new in QUICK.items():
        assert old in text
        text = text.replace(old, new)
    settings.write_text(text)
    return folder


@pytest.fixture(scope="module")
def key(folder):
    return pd.read_csv(folder / "key.csv").set_index("file")


def lists(folder):
    text = (folder / "task/trials.js").read_text()
    return json.loads(text.removeprefix("const TRIALS = ").rstrip(";\n"))["lists"]


def test_each_person_sees_each_photograph_once_and_lists_cover_all(folder, key):
    dealt = lists(folder)
    assert len(dealt) == 5  # two sets at two stages, and the photographs themselves
    for files in dealt:
        assert key.loc[files, "image_id"].is_unique
        assert key.loc[files, "image_id"].nunique() == 5  # of the 20, those of the 16 categories
    assert sorted(file for files in dealt for file in files) == sorted(
        key.index[key["kind"] == "test"]
    )


def test_what_people_get_names_no_condition_and_no_photograph(run, folder, key):
    names = {path.stem for path in (folder / "task/images").iterdir()}
    text = "".join(path.read_text() for path in (folder / "task").glob("*.js"))
    for word in {*key["image_id"].dropna(), "squeezenet", "lite_pair", "late", "early"}:
        assert not any(word in name for name in names)
        assert word not in text


def test_images_are_the_runs_own(run, folder, key):
    from metamers.config.finished_run import FinishedRun

    found = FinishedRun.open(run)
    row = key[key["condition"].str.contains("lite_pair/late")].iloc[0]
    made = found.metamers(found.conditions("*/lite_pair/late/*")[0])
    stored = made.pixels[list(made.image_ids).index(row["image_id"])].numpy()
    shown = np.asarray(Image.open(folder / "task/images" / row.name))
    np.testing.assert_array_equal(shown, stored.transpose(1, 2, 0))


def test_a_task_is_never_written_over_and_the_seed_deals_it(run, folder, tmp_path):
    assert "not empty" in command(run, "--output", folder).output
    assert command(run, "--output", tmp_path / "same", "--practice", 2).exit_code == 0
    assert lists(tmp_path / "same") == lists(folder)
    assert command(run, "--output", tmp_path / "other", "--seed", 1).exit_code == 0
    assert lists(tmp_path / "other") != lists(folder)


def answer_of(key, file):
    """A participant who sees what is in photographs, words and early metamers, and else a dog."""
    row = key.loc[file]
    if "late" in row["condition"]:
        return "oven"
    return row["category"]


def take_part(folder, key, number, downloads):
    """Do the whole task in a browser; return the file of answers."""
    with chromium.page(downloads) as page:
        page.send("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        page.open((folder / "task/index.html").as_uri() + f"?participant={number}")
        page.click("I agree")
        page.click("Go on")
        for _ in range(2):
            page.click(answer(page, key))
            assert "Right." in page.wait("document.body.innerText.includes('Right.') && 'Right.'")
            page.click("Go on")
        page.click("Begin")
        for _ in range(len(lists(folder)[0]) + 1):
            page.click(answer(page, key))
        page.wait("document.body.innerText.includes('Thank you')")
        path = downloads / f"answers-{number}-1.csv"
        end = time.monotonic() + 20
        while not path.exists() and time.monotonic() < end:
            page.run("1")
            time.sleep(0.05)
        assert page.problems == []
        assert all(url.startswith(("file:", "blob:", "data:", "about:")) for url in page.requests)
        return path, page.run("window.seen")


def answer(page, key):
    """Wait for the choices; return what to say of the image that was shown before the mask."""
    page.wait("[...document.querySelectorAll('button')].some(b => b.innerText === 'airplane')")
    sources = [source for source, _ in page.run("window.seen") if source]
    shown = [source for source in sources if "mask" not in source]
    return answer_of(key, shown[-1].removeprefix("images/"))


@chromium.needed
def test_a_participant_from_start_to_table(run, folder, key, tmp_path):
    done = [take_part(folder, key, number, tmp_path) for number in (0, 1)]
    for path, seen in done:
        times = {source: when for source, when in seen if source}
        masked = [b - a for (s, a), (_, b) in itertools.pairwise(seen)
                  if s and "mask" not in s]  # fmt: skip
        assert len(times) > 8
        assert min(masked) > 40  # set to 60 ms: shown, and not much less
        assert path.read_text().startswith("subj,Session,trial,rt,object_response,")
    result = command(
        "score", *(path for path, _ in done), "--run", run, "--key", folder / "key.csv"
    )
    assert result.exit_code == 0, result.output
    assert "left out" not in result.output
    answered = tables.read(raw_tables.HUMAN_ANSWERS, run / "people/human_answers.parquet")
    assert len(answered) == 2 * 5
    expected = ~(answered["stage"] == "late")
    assert answered["right"].tolist() == expected.tolist()
    by_set = tables.read(
        recognition_tables.RECOGNIZABILITY_BY_SET, run / "people/recognizability_by_set.parquet"
    )
    people = by_set[by_set["group"] == "people"]
    assert set(people["stage"]) == {"early", "late"}
    assert (people["mean"] == np.where(people["stage"] == "late", 0, 1)).all()
    assert ((people["low"] <= people["mean"]) & (people["mean"] <= people["high"])).all()
    assert {"held_out", "members"} <= set(by_set["group"])
    aligned = tables.read(result_tables.HUMAN_ALIGNMENT, run / "people/human_alignment.parquet")
    own = aligned[aligned["experiment"].str.startswith("small: ")].set_index(["network", "layer"])
    assert len(own) == 4
    assert len(aligned) > 100  # the published ones
    assert own["people"].loc["lite_pair"].to_dict() == {"early": 1.0, "late": 0.0}
    held_out = by_set.query("group == 'held_out' and label_space == '16_mean'")
    means = held_out.set_index(["model_set", "stage"])["mean"]
    assert own["networks"].tolist() == pytest.approx(means[own.index].tolist())
    joined = pd.read_csv(run / "people/answers.csv")
    assert list(joined) == ["subj", "Session", "trial", "rt", "object_response", "category",
                            "condition", "imagename"]  # fmt: skip
    assert (joined["rt"] > 0).all()


@chromium.needed
def test_who_does_not_agree_leaves_no_answers(folder, tmp_path):
    with chromium.page(tmp_path) as page:
        page.open((folder / "task/index.html").as_uri())
        page.click("I do not agree")
        page.wait("document.body.innerText.includes('Nothing was recorded')")
        assert not list(tmp_path.glob("*.csv"))
        assert page.problems == []
