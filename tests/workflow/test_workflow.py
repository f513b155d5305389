"""The whole workflow on a small configuration, as a user runs it."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
import yaml
from fixtures import ROOT

from metamers.models.weights.cache import default_cache
from metamers.storage import metamers, tables

SMALL = ROOT / "tests/configurations/small.yaml"
pytestmark = pytest.mark.workflow


def command(folder, *arguments, snakefile=ROOT / "Snakefile", configs=(SMALL,)):
    return [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(snakefile)),
        # Before --configfile, which takes every word after it.
        *("--directory", str(folder), "--cores", "2", *arguments),
        *("--configfile", *map(str, configs)),
    ]


def snakemake(folder, *arguments, check=True, **keys):
    done = subprocess.run(
        command(folder, *arguments, **keys), cwd=ROOT, capture_output=True, text=True, check=False
    )
    if check:
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return done


def planned(folder, *arguments, **keys):
    """Return how many jobs of each rule a dry run plans."""
    done = snakemake(folder, "-n", "--quiet", "rules", *arguments, **keys)
    found = re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, flags=re.MULTILINE)
    return {rule: int(count) for rule, count in found if rule not in ("job", "total", "all")}


def overlay(tmp_path, **changes):
    path = tmp_path / "overlay.yaml"
    path.write_text(yaml.safe_dump(changes))
    return (SMALL, path)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    snakemake(folder)
    return folder


@pytest.fixture
def results(finished):
    return finished / "results/small"


def test_every_table_keeps_its_declaration(results):
    names = {path.stem for path in (results / "tables").iterdir()}
    assert {
        "recognizability",
        "image_metrics",
        "similarity",
        "mixed_sets",
        "difference_in_means",
        "optimisation",
        "equal_loss",
        "predictions",
        "accuracy",
        "paper_comparison",
        "claims",
        "claims_multiverse",
    } <= names
    for name in names:
        tables.read(tables.TABLES[name], results / "tables" / f"{name}.parquet")


def test_tables_say_what_made_them(results):
    stamp = tables.provenance_of(results / "tables/recognizability.parquet")
    assert json.loads(stamp["config"])["run"] == "small"
    assert json.loads(stamp["presets"]) == {
        "done": "fast",
        "main": "fast",
        "mixed": "fast",
    }
    assert {"version", "commit", "config_digest"} <= set(stamp)


def test_figures_come_in_three_forms(results):
    stems = {path.stem for path in (results / "figures").iterdir()}
    assert {
        "examples",
        "recognizability",
        "image_metrics",
        "similarity",
        "bounds",
        "mixed_sets",
    } <= stems
    for stem in stems:
        for suffix in (".svg", ".png", ".html"):
            assert (results / "figures" / f"{stem}{suffix}").stat().st_size > 1000


def test_gallery_shows_every_metamer_of_the_named_sets(results):
    data = results / "gallery/data"
    text = (data / "rows-0.js").read_text()
    rows = json.loads(text[text.index("{") : text.rindex("}") + 1])
    assert len(rows["photograph"]) == 5 * 7  # conditions of `main`, `bounds` and `finished`
    for photograph, condition in zip(rows["photograph"], rows["condition"], strict=True):
        assert (results / f"gallery/images/{photograph}/{condition}.png").stat().st_size > 1000
    assert (results / "gallery/index.html").exists()
    assert len(list(data.glob("photograph-*.js"))) == 5


def test_members_are_flagged_and_held_out(results):
    recognizability = pd.read_parquet(results / "tables/recognizability.parquet")
    of_set = recognizability[recognizability["model_set"] == "lite_squeezenet"]
    members = set(of_set.loc[of_set["member"], "evaluator"])
    assert members == {"efficientnet_lite0", "efficientnet_lite1", "squeezenet1_1"}
    by_set = pd.read_parquet(results / "tables/recognizability_by_set.parquet")
    held_out = by_set[(by_set["model_set"] == "lite_squeezenet") & (by_set["group"] == "held_out")]
    assert set(held_out["n_evaluators"]) == {1}


def test_metrics_without_weights_say_so(results):
    metrics = pd.read_parquet(results / "tables/image_metrics.parquet")
    for name in ("fid", "lpips", "clip_iqa"):
        rows = metrics[metrics["measure"] == name]
        assert len(rows)
        assert rows["value"].isna().all()
        assert rows["status"].str.contains("weights missing").all()


def test_recognition_of_one_condition_equals_a_direct_count(results):
    """The table against a few lines of pandas on the raw predictions."""
    raw = pd.read_parquet(results / "tables/predictions.parquet")
    own = pd.read_parquet(results / "tables/reference_predictions.parquet")
    merged = raw.merge(own, on=["references", "image_id", "evaluator"], suffixes=("", "_own"))
    keys = ["recipe", "model_set", "stage", "bound", "evaluator"]
    expected = (merged["predicted"] == merged["predicted_own"]).groupby(
        [merged[key] for key in keys]
    )
    table = pd.read_parquet(results / "tables/recognizability.parquet")
    table = table[(table["rule"] == "self") & (table["label_space"] == "1000")].drop_duplicates(
        keys
    )
    found = table.set_index(keys)["recognizability"].sort_index()
    pd.testing.assert_series_equal(found, expected.mean().sort_index(), check_names=False)


def test_checkpoints_are_gone_once_metamers_are_there(results):
    assert not [path for path in (results / "checkpoints").rglob("*") if path.is_file()]


def test_finished_run_has_nothing_to_do(finished):
    assert planned(finished) == {}


def test_fresh_clone_beside_finished_results_has_nothing_to_do(finished, tmp_path):
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    for name in filter(None, files):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)  # new time stamps, as a clone has
    assert planned(finished, snakefile=tmp_path / "Snakefile") == {}


def test_changed_bound_reruns_its_conditions_alone(finished, tmp_path):
    bound = {"norm": "linf", "center": "initial", "radius": "4/255"}
    jobs = planned(finished, configs=overlay(tmp_path, bounds={"initial_8": bound}))
    assert jobs["synthesize_metamers"] == 2  # one condition, two shards
    assert "predict_references" not in jobs
    assert "fetch_weights" not in jobs


def test_added_evaluation_of_nothing_new_recomputes_no_metamer(finished, tmp_path):
    jobs = planned(finished, configs=overlay(tmp_path, evaluation={"conditions_per_job": 3}))
    assert "synthesize_metamers" not in jobs


def test_changed_recipe_reruns_its_conditions(finished, tmp_path):
    recipe = {"mixed": {"gradient": "raw"}}
    jobs = planned(finished, configs=overlay(tmp_path, recipes=recipe))
    assert jobs["synthesize_metamers"] == 3 * 2


def test_margin_of_the_gate_makes_no_metamer_anew(finished, tmp_path):
    jobs = planned(finished, configs=overlay(tmp_path, accuracy_gate={"margin": 0.001}))
    assert jobs["check_accuracy"] == 1
    assert not {"synthesize_metamers", "predict_references", "evaluate_models"} & set(jobs)


@pytest.mark.parametrize(
    "other", [{"evaluation": {"batch_size": 3}}, {"accuracy_gate": {"margin": 0.001}}, {}]
)
def test_change_of_steps_is_not_hidden_by_another_change(finished, tmp_path, other):
    recipe = {"main": {"budget": {"total_steps": 8}}}
    jobs = planned(finished, configs=overlay(tmp_path, recipes=recipe, **other))
    # Two sets at two stages, and one more bound; two shards of each.
    assert jobs["synthesize_metamers"] == 5 * 2
    assert jobs["evaluate_models"] == 1


def test_batch_size_of_evaluation_makes_nothing_but_tables_anew(finished, tmp_path):
    jobs = planned(finished, configs=overlay(tmp_path, evaluation={"batch_size": 3}))
    assert not {"synthesize_metamers", "predict_references", "evaluate_models"} & set(jobs)


def test_another_spelling_of_the_same_makes_nothing_but_tables_anew(finished, tmp_path):
    bounds = {"unbounded": {"radius": 10000.0}, "initial_8": {"radius": "16/510"}}
    recipes = {"main": {"schedule": {"stop": 1.50e-5, "start": 0.0030, "kind": "cosine"}}}
    changes = {"bounds": bounds, "recipes": recipes, "weights_cache": str(default_cache())}
    jobs = planned(finished, configs=overlay(tmp_path, **changes))
    made = {"prepare_references", "fetch_weights", "predict_references", "synthesize_metamers"}
    assert not (made | {"evaluate_models"}) & set(jobs)


def test_wrong_configuration_stops_before_any_job(tmp_path):
    configs = overlay(tmp_path, experiments={"main": {"stages": ["deep"]}}, seeed=1)
    done = snakemake(tmp_path, check=False, configs=configs)
    assert done.returncode != 0
    assert "seeed" in done.stdout + done.stderr
    assert not (tmp_path / "results").exists()


def test_missing_images_and_weights_stop_before_any_job(tmp_path):
    rows = yaml.safe_load((ROOT / "config/models.yaml").read_text())
    rows["squeezenet1_1"]["weights"] = {"source": "local", "path": "/nowhere/net.pth"}
    (tmp_path / "models.yaml").write_text(yaml.safe_dump(rows))
    configs = overlay(
        tmp_path, zoo=str(tmp_path / "models.yaml"), data={"source": "folder", "path": "/nowhere"}
    )
    done = snakemake(tmp_path, check=False, configs=configs)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "/nowhere/net.pth" in said
    assert "docs/data.md" in said
    assert not (tmp_path / "results").exists()


def test_interrupted_run_goes_on_and_gives_the_same_bits(finished, tmp_path):
    target = (
        "results/small/metamers/photographs/main/lite_squeezenet/late/unbounded/"
        "000-of-002.safetensors"
    )
    process = subprocess.Popen(
        command(tmp_path, target),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    checkpoints = tmp_path / "results/small/checkpoints"
    while process.poll() is None and not any(p.is_file() for p in checkpoints.rglob("*")):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C on a terminal does
    process.wait(timeout=60)
    assert not (tmp_path / target).exists()
    snakemake(tmp_path, target)
    again, first = (metamers.load(folder / target) for folder in (tmp_path, finished))
    assert (again.floats == first.floats).all()


def time_of_children():
    """Return the processor time of processes that were waited for, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_the_papers_plan_has_its_counts(tmp_path):
    began = time_of_children()
    jobs = planned(tmp_path, configs=(ROOT / "config/paper.yaml",))
    assert 0 < time_of_children() - began < 60
    assert jobs["synthesize_metamers"] == (6 * 3 + 3 * 4 + 100) * 4
    assert jobs["fetch_weights"] == 31
    assert jobs["evaluate_models"] == 13 * 4


def verified(folder, *arguments, configs=(SMALL,)):
    files = [word for path in configs for word in ("--configfile", str(path))]
    command = [sys.executable, "-m", "metamers", "verify", "results/small", *files]
    command += ["--default", str(ROOT / "config/config.yaml"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_finished_run_is_verified_as_clean(finished):
    done = verified(finished)
    assert (done.returncode, " 0 of them wrong, 0 left over" in done.stdout) == (0, True)


def test_results_of_other_settings_that_snakemake_knows_nothing_of_are_refused(finished, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(finished / "results", folder / "results")  # without .snakemake
    recipe = {"main": {"budget": {"total_steps": 8}}}
    configs = overlay(tmp_path, seed=1, preprocessing={"size": 48}, recipes=recipe)
    done = snakemake(folder, check=False, configs=configs)
    refused = done.stdout + done.stderr
    assert done.returncode != 0
    # By whichever job comes first, which need not depend on all that was changed.
    assert "seed is 0, expected 1" in refused, refused
    assert "--repair" in refused, refused
    done = verified(folder, configs=configs)
    assert done.returncode == 1
    assert "seed is 0, expected 1" in done.stdout
    assert "recipe.budget.total_steps is 12, expected 8" in done.stdout
    assert "preprocessing.size is 64, expected 48" in done.stdout


def test_damage_is_found_and_made_good_with_the_same_bytes(finished, tmp_path):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True, symlinks=True)
    run, sound = tmp_path / "results/small", finished / "results/small"
    condition = "photographs/main/single_squeezenet/early/unbounded/000-of-002"
    damaged = [run / f"metamers/{condition}.safetensors", run / "tables/chance.parquet"]
    for path in damaged:
        content, times = bytearray(path.read_bytes()), path.stat()
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # Snakemake sees no change
    assert planned(tmp_path) == {}
    found = verified(tmp_path, "--repair")
    assert found.returncode == 1
    assert found.stdout.count(": damaged: ") == 2
    snakemake(tmp_path)
    assert verified(tmp_path).returncode == 0
    for path in [*damaged, run / "predictions/metamers/000-of-001/00-of-01.parquet"]:
        assert path.read_bytes() == (sound / path.relative_to(run)).read_bytes()
