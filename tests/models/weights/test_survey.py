"""The weights of all models at once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cached_files import OFFLINE, QUICK, row
from fixtures import ROOT
from misbehaving_server import Answer, serving

from metamers.models import zoo
from metamers.models.weights import cache as weights
from metamers.models.weights import survey, verification
from metamers.models.weights.errors import (
    MissingWeightsError,
    WeightsError,
)
from metamers.models.weights.row import WeightsRow


def test_offline_all_that_is_missing_comes_in_one_table(cache):
    rows = {
        "one": row(size=12_300_000),
        "two": replace(row("https://host.org/b"), file="b.pth", size_about=500_000_000),
        "three": WeightsRow(source="random"),
        "four": WeightsRow(source="gdrive", file="c.pth", url="0123456789a"),
    }
    with pytest.raises(MissingWeightsError) as caught:
        survey.fetch_all(rows, cache, OFFLINE)
    text = str(caught.value)
    for part in ("3 in all", "12.3 MB", "~500.0 MB", "https://host.org/b", str(cache / "b.pth")):
        assert part in text
    assert "three" not in text
    assert text.count("0123456789a") == 1


def test_failures_of_all_models_come_in_one_error(cache):
    with serving(Answer(status=404)) as server:
        rows = {"one": row(server.url), "two": replace(row(server.url), file="b.pth")}
        with pytest.raises(WeightsError, match=r"2 of 2 failed:\none: .*404.*\ntwo: .*404"):
            survey.fetch_all(rows, cache, QUICK)


def test_without_a_network_only_the_first_model_is_waited_for(cache, monkeypatch):
    with serving(Answer()) as server:
        pass
    rows = {name: replace(row(server.url), file=name) for name in ("one", "two", "three")}
    slept = []
    monkeypatch.setattr("tenacity.nap.time.sleep", slept.append)
    with pytest.raises(WeightsError, match="3 of 3 failed"):
        survey.fetch_all(rows, cache, QUICK)
    assert len(slept) == QUICK.attempts - 1


def test_two_models_cannot_share_a_name_in_the_cache():
    rows = {"one": row("https://a.org/net.pth"), "two": row("https://b.org/net.pth")}
    with pytest.raises(WeightsError, match=r"'one' and 'two' both call their file 'net.pth'"):
        survey.refuse_shared_names(rows)


def test_rows_of_the_zoo_have_places_of_their_own(cache):
    specs = zoo.specs(zoo.read(ROOT / "config/models.yaml")).values()
    rows = {spec.name: spec.weights for spec in specs if spec.weights.source != "random"}
    survey.refuse_shared_names(rows)
    places = [weights.target(row_of_zoo, cache) for row_of_zoo in rows.values()]
    assert len(set(places)) == len(rows)
    assert all(len(verification.pinned_hash(w)) in (0, *range(8, 65)) for w in rows.values())


def test_weights_of_a_factory_are_generated_and_have_no_file(models, cache):
    row = zoo.read(models)["away"] | {"name": "own", "weights": {"source": "factory"}}
    row["architecture"] = "import:mine:net"
    weights = zoo.ModelSpec.of(row).weights
    (finding,) = survey.survey({"own": weights}, cache)
    assert (finding.state, finding.note) == ("generated", "by its factory")
    assert survey.fetch_one("own", weights, cache) == {
        "model": "own",
        "source": "factory",
    }
