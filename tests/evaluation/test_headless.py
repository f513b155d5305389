"""Networks without a head: what they can judge is judged, and nothing else."""

import headless
import numpy as np
import pandas as pd
import pytest
import torch

from metamers.config.plan import Condition
from metamers.evaluation import accuracy, baselines, evaluators, reference_answers
from metamers.images import references as images
from metamers.models import stages
from metamers.models.zoo import ModelSpec
from metamers.storage import baseline_tables, raw_tables, tables
from metamers.storage.cache import ResultCache
from metamers.storage.metamers import Metamers

CPU = torch.device("cpu")
ROWS = {name: {"name": name} | headless.row(name) for name in ("trunk", "ten_classes")}


@pytest.fixture(scope="module")
def photographs():
    preprocessing = {"size": 32, "crop": 0.875, "interpolation": "bicubic"}
    rows, pixels = images.prepare({"source": "embedded"}, preprocessing, "few", {"limit": 5}, 0)
    return [row.image_id for row in rows], torch.from_numpy(pixels)


def evaluated(photographs, store, members=("trunk",), **options):
    ids, pixels = photographs
    condition = Condition("few", "main", "one", "late", "unbounded")
    zeros = np.zeros((len(ids), 1))
    shown = pixels.flip(-1)
    arrays = zeros, zeros, zeros, zeros[:, 0], zeros[:, 0]
    notes = {"condition": condition.columns()}
    metamers = Metamers(ids, list(members), shown / 255, shown, *arrays, notes)
    subject = evaluators.ConditionImages(condition, metamers, pixels, 0.8)
    options = {"batch_size": 4, "chunk_size": 2, "revision": 1, "seed": 0} | options
    return evaluators.evaluate(
        [subject], [*ROWS.values()], ROWS, ResultCache(store), store, CPU, **options
    )


def references_of(row, photographs, tmp_path):
    return reference_answers.predict_references(
        [row], {"few": photographs}, {"early": 0.2, "late": 0.8}, tmp_path, CPU, 4, 2
    )


def test_activations_are_judged_and_no_answer_is_made_up(photographs, tmp_path):
    found = evaluated(photographs, tmp_path)
    assert "predictions" not in found
    assert set(found["similarity"]["evaluator"]) == {"trunk", "ten_classes"}
    evaluator = evaluators.Evaluator.load(ROWS["trunk"], tmp_path, CPU, 4, 2)
    features = stages.Features(evaluator.classifier, evaluator.module_at("late", 0.8))
    one, other = (
        features(pixels.float() / 255).flatten(1).double()
        for pixels in (photographs[1], photographs[1].flip(-1))
    )
    expected = (one - other).norm(dim=1) / one.norm(dim=1)
    own = found["likeness"][found["likeness"]["evaluator"] == "trunk"]
    np.testing.assert_allclose(own["relative_l2"], expected, rtol=1e-5)


def test_a_member_that_is_no_evaluator_judges_the_success_of_its_own_sets_alone(
    photographs, tmp_path
):
    found = evaluated(photographs, tmp_path, members_only=("trunk", "ten_classes"))
    assert set(found) == {"likeness"}
    assert set(found["likeness"]["evaluator"]) == {"trunk"}
    promoted = evaluated(photographs, tmp_path, members_only=("ten_classes",))
    assert set(promoted["similarity"]["evaluator"]) == {"trunk"}


def test_headless_networks_have_a_null_and_no_ceiling(photographs, tmp_path):
    found = baselines.measure(
        [*ROWS.values()], photographs, {"few": photographs}, {"late": 0.8}, tmp_path, CPU, 4, 2
    )
    assert list(found["null_distribution"]["model"]) == ["trunk", "ten_classes"]
    assert found["ceiling"].empty
    tables.write(baseline_tables.CEILING, found["ceiling"], tmp_path / "ceiling.parquet")
    assert tables.read(baseline_tables.CEILING, tmp_path / "ceiling.parquet").empty


@pytest.mark.parametrize("name", ["trunk", "ten_classes"])
def test_gate_asks_headless_networks_for_activations_that_differ(name, photographs, tmp_path):
    found = references_of(ROWS[name], photographs, tmp_path)
    tables.write(raw_tables.REFERENCE_PREDICTIONS, found, tmp_path / "none.parquet")
    truth = pd.DataFrame({"references": "few", "image_id": photographs[0], "label": 1})
    judged = accuracy.check(found, truth, {name: ROWS[name]}, {"margin": 0.6})
    accuracy.require(judged)
    assert judged["verdict"].item() == "not judged: no head"
    tables.write(raw_tables.ACCURACY, judged, tmp_path / "accuracy.parquet")


def test_gate_stops_a_headless_network_that_sees_nothing(photographs, tmp_path):
    blind = {"name": "blind"} | headless.row("blind")
    with pytest.raises(accuracy.AccuracyError, match=r"'blind', stage 'early'.*is rounding"):
        references_of(blind, photographs, tmp_path)


@pytest.mark.parametrize(("value", "said"), [(float("nan"), "NaN"), (0.0, "wholly zero")])
def test_gate_stops_broken_weights_of_a_headless_network(
    value, said, photographs, tmp_path, monkeypatch
):
    def broken(network):
        for parameter in network.parameters():
            torch.nn.init.constant_(parameter, value)

    monkeypatch.setattr("metamers.models.classifier.draw_kaiming_normal", broken)
    with pytest.raises(accuracy.AccuracyError, match=f"'trunk', stage 'early'.*{said}"):
        references_of(ROWS["trunk"], photographs, tmp_path)


def test_a_head_is_imagenets_unless_the_row_says_none():
    row = {k: v for k, v in ROWS["trunk"].items() if k != "head"}
    assert ModelSpec.of(row).has_head
    assert not ModelSpec.of(ROWS["trunk"]).has_head
