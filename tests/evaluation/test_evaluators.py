"""Evaluators' answers, activations against references, and what is kept of them."""

import types
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from fixtures import ROOT
from scipy.spatial.distance import pdist, squareform
from scipy.stats import spearmanr

from metamers.analysis.shared_invariance import shared_invariance
from metamers.config.plan import Condition
from metamers.evaluation import evaluators
from metamers.evaluation.similarity import activations, distances
from metamers.evaluation.similarity.activations import ReferenceDistances, compare
from metamers.evaluation.similarity.densities import Convention
from metamers.evaluation.similarity.shared_invariance import debiased_cka
from metamers.images import crops
from metamers.images import references as images
from metamers.models import stages
from metamers.models.weights.cache import cache_folder
from metamers.storage import similarity_tables, tables
from metamers.storage.cache import ResultCache
from metamers.storage.metamers import Metamers

pytestmark = pytest.mark.usefixtures("embedded_weights")

ZOO = yaml.safe_load((ROOT / "config/models.yaml").read_text())
CPU = torch.device("cpu")
N = 12
RNG = np.random.default_rng(0)
REFERENCES = RNG.normal(1, 1, (N, 40)).clip(0)
METAMERS = (REFERENCES + 0.1 * RNG.normal(size=(N, 40))).astype(np.float64)
IDS = [f"i{k}" for k in range(N)]


@pytest.fixture
def compared():
    references = ReferenceDistances.measure(distances.as_source(REFERENCES), IDS)
    return compare(references, distances.as_source(METAMERS), IDS, seed=0)


def test_relative_distance_and_correlation_equal_scipys(compared):
    frame = compared["likeness"]
    expected = np.linalg.norm(METAMERS - REFERENCES, axis=1) / np.linalg.norm(REFERENCES, axis=1)
    np.testing.assert_allclose(frame["relative_l2"], expected)
    rows = zip(REFERENCES, METAMERS, strict=True)
    np.testing.assert_allclose(frame["spearman"], [spearmanr(a, b).statistic for a, b in rows])
    np.testing.assert_allclose(frame["snr"], -20 * np.log10(expected))


def test_percentile_counts_the_unrelated_pairs_that_are_as_close():
    references = ReferenceDistances.measure(distances.as_source(REFERENCES), IDS)
    pairs = squareform(pdist(REFERENCES)) / np.linalg.norm(REFERENCES, axis=1)[:, None]
    null = np.sort(pairs[~np.eye(N, dtype=bool)])
    np.testing.assert_allclose(references.null.relative_l2, null)
    others = REFERENCES[::-1] + 0.01 * RNG.normal(size=(N, 40))
    strangers = compare(references, distances.as_source(others), IDS, seed=0)
    found = strangers["likeness"]
    expected = [100 * (null <= value).mean() for value in found["relative_l2"]]
    np.testing.assert_allclose(found["percentile_l2"], expected)
    assert found["percentile_l2"].median() > 20


def test_good_metamers_are_closer_than_every_unrelated_pair(compared):
    assert (compared["likeness"]["percentile_l2"] == 0).all()
    assert (compared["likeness"]["percentile_spearman"] == 0).all()


def test_only_so_many_features_are_ranked_and_always_the_same(monkeypatch):
    monkeypatch.setattr(activations, "RANKED", 10)
    one = activations.ranked_features(distances.as_source(REFERENCES), N)
    two = activations.ranked_features(distances.as_source(METAMERS), N)
    assert one.shape == (N, 10)
    positions = [int(np.flatnonzero((column == REFERENCES.T).all(1))[0]) for column in one.T]
    np.testing.assert_array_equal(two, METAMERS[:, positions])


def test_power_has_subsets_of_at_most_half_the_images(monkeypatch):
    monkeypatch.setattr(activations, "POWER_SIZES", (4, 6, 8))
    references = ReferenceDistances.measure(distances.as_source(REFERENCES), IDS)
    source = distances.as_source(METAMERS)
    found = compare(references, source, IDS, seed=0, with_power=True)["power"]
    assert set(found["n_images"]) == {4, 6}
    assert set(found["n_total"]) == set(found["n_photographs"]) == {N}
    assert compare(references, source, IDS, seed=0)["power"].empty


def test_crops_of_one_photograph_are_not_unrelated():
    ids = [crops.crop_id(f"i{k // 3}", k % 3) for k in range(N)]
    references = ReferenceDistances.measure(distances.as_source(REFERENCES), ids)
    assert references.null.relative_l2.size == N * (N - 3)
    found = compare(references, distances.as_source(METAMERS), ids, seed=0)
    apart = squareform([a // 3 != b // 3 for a in range(N) for b in range(a + 1, N)]) > 0
    ratio = np.median(squareform(pdist(METAMERS))[apart]) / np.median(
        squareform(pdist(REFERENCES))[apart]
    )
    assert found["similarity"]["median_ratio"][0] == pytest.approx(ratio)


@pytest.fixture(scope="module")
def photographs():
    preprocessing = {"size": 64, "crop": 0.875, "interpolation": "bicubic"}
    rows, pixels = images.prepare({"source": "embedded"}, preprocessing, "few", {"limit": 5}, 0)
    return [row.image_id for row in rows], torch.from_numpy(pixels)


def subject(photographs, shift, model_set="single"):
    ids, pixels = photographs
    changed = (pixels.int() + shift).clamp(0, 255).to(torch.uint8)
    zeros = np.zeros((len(ids), 1))
    condition = Condition("few", "main", model_set, "late", "unbounded")
    notes = {"condition": condition.columns()}
    arrays = zeros, zeros, zeros, zeros[:, 0], zeros[:, 0]
    metamers = Metamers(ids, ["squeezenet1_1"], changed / 255, changed, *arrays, notes)
    return evaluators.ConditionImages(condition, metamers, pixels, 0.8)


def evaluate(subjects, store, names=("squeezenet1_1",), contents=types.MappingProxyType({})):
    rows = [{"name": name} | ZOO[name] for name in names]
    return evaluators.evaluate(
        subjects,
        rows,
        {row["name"]: row | contents for row in rows},
        store,
        cache_folder(None),
        CPU,
        batch_size=3,
        chunk_size=2,
        revision=1,
        seed=0,
    )


def test_tables_of_an_evaluation_are_as_declared(photographs, tmp_path):
    subjects = [subject(photographs, 10), subject(photographs, 40, "other")]
    found = evaluate(subjects, ResultCache(tmp_path / "store"))
    for name, frame in found.items():
        tables.write(tables.TABLES[name], frame, tmp_path / f"{name}.parquet")
    assert len(found["predictions"]) == 10
    assert found["likeness"]["member"].all()


def test_what_exists_is_not_computed_again(photographs, tmp_path, monkeypatch):
    store = ResultCache(tmp_path / "store")
    first = evaluate([subject(photographs, 10)], store)
    judged = []
    evaluate_conditions = evaluators.evaluate_conditions
    monkeypatch.setattr(
        evaluators,
        "evaluate_conditions",
        lambda e, s, seed: judged.append(len(s)) or evaluate_conditions(e, s, seed),
    )
    both = evaluate([subject(photographs, 10), subject(photographs, 40, "other")], store)
    assert judged == [1]  # the added condition alone
    again = both["predictions"][both["predictions"]["model_set"] == "single"]
    pd.testing.assert_frame_equal(
        again.reset_index(drop=True), first["predictions"], check_like=True
    )
    evaluate([subject(photographs, 10)], store)
    assert judged == [1]
    evaluate([subject(photographs, 10)], store, contents={"contents": {"sha256": "other weights"}})
    assert judged == [1, 1]


def test_results_do_not_depend_on_batches_or_on_what_fits_in_memory(
    photographs, tmp_path, monkeypatch
):
    kept = evaluate([subject(photographs, 25)], ResultCache(tmp_path / "a"))
    monkeypatch.setattr(distances, "BUDGET", 1)
    monkeypatch.setattr(distances, "fits", lambda n, row, budget=1: False)
    again = evaluate([subject(photographs, 25)], ResultCache(tmp_path / "b"))
    for name in ("predictions", "similarity", "likeness"):
        pd.testing.assert_frame_equal(kept[name], again[name], rtol=1e-5)


@pytest.mark.parametrize("name", ["squeezenet1_1", "efficientnet_lite0"])
@pytest.mark.parametrize("n_images", [20, 33, 64])
def test_batches_company_and_order_change_no_bit(name, n_images):
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(3)
    pixels = torch.randint(256, (n_images, 3, 48, 48), generator=generator, dtype=torch.uint8)

    row, cache = {"name": name} | ZOO[name], cache_folder(None)
    one = evaluators.Evaluator.load(row, cache, CPU, batch_size=64, chunk_size=4)
    module = stages.module_at(one.classifier.network, one.spec, "late", 0.8)
    expected, source = one.probabilities_and_activations(pixels, module)
    activations = source(0, n_images)
    random = torch.randperm(n_images, generator=generator)
    shards = [torch.arange(start, n_images, 3) for start in range(3)]
    for batch_size, rows in zip((2, 7, 16, 33, 64), (random, random[:1], *shards), strict=True):
        found = replace(one, batch_size=batch_size)
        probabilities, source = found.probabilities_and_activations(pixels[rows], module)
        np.testing.assert_array_equal(probabilities, expected[rows.numpy()])
        assert torch.equal(source(0, len(rows)), activations[rows])
    np.testing.assert_array_equal(replace(one, batch_size=16).predict(pixels), expected)


def test_answers_give_the_most_probable_class():
    probabilities = np.full((2, 1000), 1e-4)
    probabilities[0, 243], probabilities[1, 7] = 0.9, 0.5
    frame = evaluators.answers(probabilities, ["a", "b"], "net")
    assert frame["predicted"].tolist() == [243, 7]
    assert frame["probability"].tolist() == [0.9, 0.5]


def test_answers_keep_the_five_most_probable_classes_in_order():
    probabilities = np.full((1, 1000), 1e-4)
    probabilities[0, [3, 900, 17, 42]] = 0.2, 0.3, 0.1, 0.2
    row = evaluators.answers(probabilities, ["a"], "net").iloc[0]
    assert row["top5"] == [900, 3, 42, 17, 0]  # of equals, the lower index first
    np.testing.assert_allclose(row["top5_probability"], [0.3, 0.2, 0.2, 0.1, 1e-4])


def test_further_similarities_are_those_of_the_activations(photographs, tmp_path):
    names = ("squeezenet1_1", "efficientnet_lite0")
    wanted = replace(
        subject(photographs, 25),
        similarities=("shared_invariance", "cross_stage"),
        other_depths={"early": 0.2, "late": 0.8},
    )
    found = evaluate([wanted], ResultCache(tmp_path / "store"), names)
    for name in ("geometry", "cross_stage"):
        tables.write(tables.TABLES[name], found[name], tmp_path / f"{name}.parquet")

    shared = shared_invariance([tmp_path / "geometry.parquet"], {"single": names[:1]}, seed=0)
    tables.write(
        similarity_tables.SHARED_INVARIANCE, shared, tmp_path / "shared_invariance.parquet"
    )
    judges, pairs = [], []
    for name in names:
        row = {"name": name} | ZOO[name]
        judge = evaluators.Evaluator.load(row, cache_folder(None), CPU, 3, 2)
        module = judge.module_at("late", 0.8)
        sources = [
            judge.probabilities_and_activations(pixels, module)[1](0, 5).double().numpy()
            for pixels in (wanted.reference_pixels, wanted.metamers.pixels)
        ]
        judges.append([squareform(pdist(source)) for source in sources])
        pairs.append(judges[-1][1])
    expected = [debiased_cka(*both) for both in judges]
    by_name = shared.set_index("evaluator").loc[list(names)]
    assert by_name["stir"].to_list() == pytest.approx(expected, abs=1e-5)
    assert by_name["n_members"].to_list() == [0, 1]
    assert by_name["inverted_cka"].iloc[1] == pytest.approx(debiased_cka(*pairs), abs=1e-5)

    late = found["cross_stage"].query("judged_stage == 'late'").set_index("evaluator")
    own = found["likeness"].groupby("evaluator")["relative_l2"].mean()
    assert late["relative_l2"].to_dict() == pytest.approx(own.to_dict(), rel=1e-6)
    assert late["similarity"].to_dict() == pytest.approx(by_name["stir"].to_dict(), abs=1e-5)
    assert set(found["cross_stage"]["judged_stage"]) == {"early", "late"}


def test_further_similarities_leave_the_results_that_a_store_has(photographs):
    plain = subject(photographs, 25)
    asked = replace(plain, similarities=("shared_invariance",), other_depths={"early": 0.2})
    keys = {s.key({"name": "net"}, 1, 0) for s in (plain, replace(plain, other_depths={"x": 0.1}))}
    assert len(keys) == 1
    assert asked.key({"name": "net"}, 1, 0) not in keys


def test_another_convention_makes_other_divergences_and_the_same_leaves_the_store(
    photographs, tmp_path
):
    plain = subject(photographs, 25)
    same, nats = (replace(plain, convention=Convention(**c)) for c in ({}, {"base": "e"}))
    keys = [s.key({"name": "net"}, 1, 0) for s in (plain, same, nats)]
    assert keys[0] == keys[1] != keys[2]
    store = ResultCache(tmp_path / "store")
    bits, other = (evaluate([s], store)["similarity"]["divergence"] for s in (plain, nats))
    np.testing.assert_allclose(other, bits * np.log(2))
