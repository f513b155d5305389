"""Synthesis jobs on embedded models: independent of the split, interruptible, exact."""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from fixtures import ROOT
from misbehaving_server import Answer, serving
from synthesis_jobs import ENGINE, photographs, work_of

from metamers.execution import runner
from metamers.models.weights import survey
from metamers.models.weights.cache import cache_folder, default_cache
from metamers.models.weights.errors import MissingWeightsError
from metamers.models.zoo import ModelSpec

pytestmark = pytest.mark.usefixtures("embedded_weights")


@pytest.fixture(scope="module")
def few():
    return photographs(5)


def run(work, few, tmp_path, settings=ENGINE):
    torch.set_num_threads(1)
    return runner.run(work, settings, *few, cache_folder(None), tmp_path / "checkpoint")


@pytest.fixture(scope="module")
def whole(few, tmp_path_factory):
    return run(work_of(), few, tmp_path_factory.mktemp("whole"))


def test_shards_and_batches_change_no_bit(few, whole, tmp_path):
    metamers = whole.metamers
    for shard in ("000-of-002", "001-of-002"):
        settings = replace(ENGINE, batch_size=2)
        part = run(work_of(shard), few, tmp_path / shard, settings).metamers
        for index, image_id in enumerate(part.image_ids):
            assert torch.equal(
                part.floats[index], metamers.floats[metamers.image_ids.index(image_id)]
            )


# With targets that some of the five photographs reach before the others, and some never.
SOLVERS = {
    "nesterov": {
        "optimizer": "nesterov",
        "schedule": {"kind": "constant", "start": 0.5},
        "budget": {"until_loss": 0.7, "at_most": 24, "steps_per_turn": 2},
    },
    "adam": {
        "optimizer": "adam",
        "ensemble": "worst_model",
        "schedule": {"kind": "constant", "start": 0.02},
        "budget": {"until_loss": 0.7, "at_most": 36, "steps_per_turn": 2},
    },
    "lbfgs": {
        "optimizer": "lbfgs",
        "ensemble": "mean_gradient",
        "gradient": "raw",
        "budget": {"until_loss": 0.5, "at_most": 36, "steps_per_turn": 2},
    },
}


@pytest.mark.parametrize("optimizer", SOLVERS)
def test_shards_and_batches_change_no_bit_whatever_the_optimizer(few, tmp_path, optimizer):
    changes = SOLVERS[optimizer]
    large = replace(ENGINE, batch_size=5)
    all_at_once = run(work_of(changes=changes), few, tmp_path / "whole", large).metamers
    assert len(set(all_at_once.evaluations.tolist())) > 1  # some left the batch before others
    for shard in ("000-of-002", "001-of-002"):
        settings = replace(ENGINE, batch_size=2)
        part = run(work_of(shard, changes=changes), few, tmp_path / shard, settings).metamers
        rows = [all_at_once.image_ids.index(image_id) for image_id in part.image_ids]
        assert torch.equal(part.floats, all_at_once.floats[rows])
        assert np.array_equal(part.evaluations, all_at_once.evaluations[rows])


def noise(n_images):
    generator = torch.Generator().manual_seed(2)
    pixels = torch.randint(256, (n_images, 3, 48, 48), generator=generator, dtype=torch.uint8)
    return [f"image_{index}" for index in range(n_images)], pixels


def assert_same_in_shards_and_orders(work, images, settings, tmp_path):
    ids, pixels = images
    whole = run(work, images, tmp_path / "whole", settings).metamers
    reverse = (ids[::-1], pixels.flip(0))
    for count, given in ((1, reverse), (2, images), (3, images), (3, reverse)):
        for shard in (f"{index:03d}-of-{count:03d}" for index in range(count)):
            smaller = replace(settings, batch_size=8 * count)
            folder = tmp_path / f"{given[0][0]}-{shard}"
            part = run(replace(work, shard=shard), given, folder, smaller).metamers
            rows = [whole.image_ids.index(image_id) for image_id in part.image_ids]
            assert torch.equal(part.floats, whole.floats[rows])
            assert np.array_equal(part.losses_after, whole.losses_after[rows])


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("n_images", [20, 33, 64])
def test_shards_and_order_change_no_bit_of_many_images(n_images, channels_last, tmp_path):
    settings = replace(ENGINE, batch_size=64, chunk_size=4, channels_last=channels_last)
    work = work_of(total_steps=8)
    assert_same_in_shards_and_orders(work, noise(n_images), settings, tmp_path)


@pytest.mark.parametrize("ensemble", ["mean_gradient", "worst_model"])
def test_shards_and_order_change_no_bit_of_other_ensembles_in_a_ball(ensemble, tmp_path):
    settings = replace(ENGINE, batch_size=64, chunk_size=4)
    work = work_of(total_steps=8)
    work = replace(
        work,
        recipe=work.recipe | {"ensemble": ensemble},
        bound={"norm": "l2", "center": "reference", "radius": 5},
    )
    assert_same_in_shards_and_orders(work, noise(19), settings, tmp_path)


def test_losses_fall_and_are_recorded_for_each_member(whole):
    metamers, trace = whole.metamers, whole.trace
    assert metamers.losses_before.shape == (5, 2)
    assert (metamers.losses_after < metamers.losses_before).all()
    assert set(trace["model"]) == {"squeezenet1_1", "efficientnet_lite0"}
    assert len(trace) == 5 * 6  # images, turns
    assert trace["rate"][0] == 1.0


def test_notes_say_what_made_the_metamers(whole):
    notes = whole.metamers.notes
    assert notes["condition"]["model_set"] == "pair"
    assert notes["settings"]["gradient"] == "l2_normalised"
    assert notes["settings"]["schedule"] == {"kind": "exponential", "start": 1.0, "stop": 0.005}
    assert notes["modules"].keys() == notes["weights"].keys() == set(whole.metamers.models)
    assert {"seed", "bound", "version", "commit", "torch", "device", "revision"} <= set(notes)


def test_folding_and_layout_change_metamers_little(few, whole, tmp_path):
    plain = replace(ENGINE, fold_batch_norm=False, channels_last=False)
    reference = run(work_of(), few, tmp_path, plain).metamers
    np.testing.assert_allclose(whole.metamers.losses_after, reference.losses_after, rtol=0.02)


SCRIPT = """
import json, sys, torch
from pathlib import Path
sys.path.insert(0, {tests!r})
import synthesis_jobs
from metamers import snakemake_script
from metamers.models.weights import survey
from metamers.models.weights.cache import cache_folder, default_cache
from metamers.models.weights.errors import MissingWeightsError
from metamers.models.zoo import ModelSpec
from metamers.execution import runner
from metamers.storage import metamers
torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
few = synthesis_jobs.photographs(5)
print("ready", flush=True)
work = synthesis_jobs.work_of(models=["squeezenet1_1"], total_steps=160, changes={changes!r})
done = runner.run(
    work, synthesis_jobs.ENGINE, *few, cache_folder(None), Path({checkpoint!r}))
metamers.save({output!r}, done.metamers)
"""


def start(tmp_path, name, changes=None):
    paths = {"checkpoint": str(tmp_path / f"{name}.ckpt"), "output": str(tmp_path / f"{name}.st")}
    code = SCRIPT.format(tests=str(ROOT / "tests/support"), changes=changes, **paths)
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
    )
    return process, paths


def finish(process):
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    process, paths = start(folder, "whole")
    finish(process)
    from metamers.storage import metamers as metamer_files

    return metamer_files.load(paths["output"])


def test_sigterm_writes_a_checkpoint_within_10_s_and_the_rest_is_exact(uninterrupted, tmp_path):
    from metamers.storage import metamers as metamer_files

    process, paths = start(tmp_path, "term")
    assert process.stdout.readline() == "ready\n"
    wait_for_checkpoint(process, paths)
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert time.monotonic() - asked < 10
    assert process.returncode != 0
    assert os.path.exists(paths["checkpoint"])
    assert not os.path.exists(paths["output"])
    process, _ = start(tmp_path, "term")
    finish(process)
    assert torch.equal(metamer_files.load(paths["output"]).floats, uninterrupted.floats)


def wait_for_checkpoint(process, paths):
    while process.poll() is None and not os.path.exists(paths["checkpoint"]):
        time.sleep(0.02)


def test_killed_at_random_instants_the_result_is_bit_identical(uninterrupted, tmp_path):
    from metamers.storage import metamers as metamer_files

    generator = random.Random(20)
    kills, run_number = 0, 0
    while kills < 3:
        process, paths = start(tmp_path, f"kill{run_number}")
        assert process.stdout.readline() == "ready\n"
        wait_for_checkpoint(process, paths)
        time.sleep(generator.uniform(0, 1.0))
        process.kill()
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        run_number += not kills % 3
    while process.returncode != 0:
        process, paths = start(tmp_path, "kill0")
        finish(process)
    assert torch.equal(metamer_files.load(paths["output"]).floats, uninterrupted.floats)


@pytest.mark.parametrize("optimizer", SOLVERS)
def test_killed_work_goes_on_with_the_same_bits_whatever_the_optimizer(few, tmp_path, optimizer):
    from metamers.storage import metamers as metamer_files

    changes = SOLVERS[optimizer] | {"ensemble": "mean_gradient"}
    process, paths = start(tmp_path, "killed", changes)
    assert process.stdout.readline() == "ready\n"
    wait_for_checkpoint(process, paths)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not os.path.exists(paths["output"])
    process, _ = start(tmp_path, "killed", changes)
    finish(process)
    work = work_of(models=["squeezenet1_1"], changes=changes)
    whole = run(work, few, tmp_path).metamers
    again = metamer_files.load(paths["output"])
    assert torch.equal(again.floats, whole.floats)
    assert np.array_equal(again.evaluations, whole.evaluations)


def test_deal_gives_every_image_to_one_shard():
    ids = [str(i) for i in range(11)]
    dealt = [i for n in range(4) for i in runner.deal(ids, f"{n:03d}-of-004")]
    assert sorted(dealt) == list(range(11))


def test_checkpoint_of_other_settings_is_not_taken(few, tmp_path, caplog):
    run(work_of(total_steps=8), few, tmp_path)
    path = tmp_path / "checkpoint"
    assert path.exists()  # the rule's script removes it once the outputs are written
    run(work_of(total_steps=12), few, tmp_path)
    assert "belongs to another job" in caplog.text
    assert path.exists()


def test_a_job_loads_its_weights_and_makes_no_request(few, embedded_weights, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("METAMERS_LOCK", str(tmp_path / "weights.lock"))
    monkeypatch.setenv("METAMERS_CACHE", str(tmp_path / "cache"))
    content = embedded_weights.read_bytes()
    with serving(Answer(content)) as server:
        work = work_of(models=["squeezenet1_1"], total_steps=2)
        away = {"source": "url", "url": f"{server.url}/net.pkl", "file": "net.pkl"}
        weights = away | {"layout": work.models[0]["weights"]["layout"]}
        work = replace(work, models=[work.models[0] | {"weights": weights}])
        with pytest.raises(MissingWeightsError, match=r"net\.pkl"):
            run(work, few, tmp_path)
        assert server.paths == []
        survey.fetch_one("squeezenet1_1", ModelSpec.of(work.models[0]).weights, default_cache())
        run(work, few, tmp_path)
        assert server.paths == ["/net.pkl"]
