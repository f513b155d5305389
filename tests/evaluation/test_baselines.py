"""Unrelated images and changed references, as a real network sees them."""

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from fixtures import ROOT
from scipy.stats import spearmanr

from metamers.evaluation import baselines
from metamers.evaluation.evaluators import Evaluator
from metamers.evaluation.similarity import activations
from metamers.images import references as images
from metamers.models import stages
from metamers.models.weights.cache import cache_folder
from metamers.storage import tables
from metamers.storage.columns import CHANGES

ROW = {"name": "squeezenet1_1"} | yaml.safe_load((ROOT / "config/models.yaml").read_text())[
    "squeezenet1_1"
]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pool():
    preprocessing = {"size": 64, "crop": 0.875, "interpolation": "bicubic"}
    rows, pixels = images.prepare({"source": "embedded"}, preprocessing, "few", {"limit": 6}, 0)
    return [row.image_id for row in rows], torch.from_numpy(pixels)


@pytest.fixture(scope="module")
def evaluator():
    return Evaluator.load(ROW, cache_folder(None), CPU, batch_size=4, chunk_size=2)


def test_null_is_the_likest_pair_of_the_pool(pool, evaluator, monkeypatch):
    monkeypatch.setattr(activations, "RANKED", 10**6)
    found = baselines.null(evaluator, *pool, "late", 0.8)
    module = stages.module_at(evaluator.classifier.network, evaluator.spec, "late", 0.8)
    _, source = evaluator.probabilities_and_activations(pool[1], module)
    rows = source(0, 6).double().numpy()
    pairs = [(a, b) for a in range(6) for b in range(6) if a != b]
    ranks = [spearmanr(rows[a], rows[b]).statistic for a, b in pairs]
    ratios = [
        20 * np.log10(np.linalg.norm(rows[a]) / np.linalg.norm(rows[a] - rows[b])) for a, b in pairs
    ]
    assert found["n_pairs"] == 30
    assert found["spearman"] == pytest.approx(max(ranks))
    assert found["snr"] == pytest.approx(max(ratios))
    assert found["snr_median"] == pytest.approx(np.median(ratios))


def test_ceiling_is_the_share_of_answers_that_a_change_leaves(pool, evaluator):
    found = pd.DataFrame(baselines.ceiling(evaluator, *pool))
    before = evaluator.predict(pool[1]).argmax(1)
    after = evaluator.predict(pool[1].flip(-1)).argmax(1)
    flip = found[(found["change"] == "flip") & (found["label_space"] == "1000")]
    assert flip["agreement"].item() == (before == after).mean()
    assert (found["low"] <= found["agreement"]).all()
    assert (found["agreement"] <= found["high"]).all()


@pytest.mark.parametrize("change", baselines.CHANGED)
def test_changes_are_mild_but_are_changes(pool, change):
    pixels = pool[1]
    changed = baselines.CHANGED[change](pixels)
    assert changed.dtype == torch.uint8
    assert changed.shape == pixels.shape
    assert not torch.equal(changed, pixels)
    means = [images.double().mean(dim=(2, 3)) for images in (changed, pixels)]
    assert (means[0] - means[1]).abs().max() < 12  # of 255


def test_tables_are_as_declared(pool, tmp_path):
    depths = {"early": 0.2, "late": 0.8}
    found = baselines.measure(
        [ROW], pool, {"few": pool}, depths, cache_folder(None), CPU, batch_size=4, chunk_size=2
    )
    assert set(found) == {"null_distribution", "ceiling"}
    for name, frame in found.items():
        tables.write(tables.TABLES[name], frame, tmp_path / f"{name}.parquet")
    assert list(found["null_distribution"]["stage"]) == list(depths)
    assert tuple(baselines.CHANGED) == CHANGES
