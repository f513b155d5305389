"""What networks themselves have wrong is in the one list of errors, before any job."""

import re
import subprocess
import sys

import headless
import pytest
import tiny_runs
from fixtures import ROOT
from torch import nn

from metamers.models import classifier
from metamers.preflight import networks

STAGES = {"early": 0.2, "late": 0.8}


def settings(tmp_path, side=32):
    return {"stages": STAGES, "preprocessing": {"size": side}, "weights_cache": str(tmp_path)}


def said(row, tmp_path, **changes):
    return networks.problems(settings(tmp_path, **changes), {"net": row})


def with_head(row):
    return {key: value for key, value in row.items() if key != "head"}


def test_a_network_that_answers_with_other_classes_is_refused_unless_it_has_no_head(tmp_path):
    row = headless.row("ten_classes")
    assert said(row, tmp_path) == []
    (problem,) = said(with_head(row), tmp_path)
    assert "zoo, key 'net'" in problem
    assert "gave (1, 10)" in problem
    assert "'head: none'" in problem


def test_features_in_place_of_logits_are_refused(tmp_path):
    (problem,) = said(with_head(headless.row("trunk")), tmp_path)
    assert "gave (1, 8, 4, 4)" in problem


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"blocks": ["layer?.*"]}, "'layer[?]..' matches no module"),
        ({"parameters": 5}, "expects 5"),
        ({"architecture": "timm:no_such_net"}, "cannot be built"),
        ({"architecture": "import:headless:nothing"}, "cannot be built"),
    ],
)
def test_other_flaws_of_a_row_are_named(changes, expected, tmp_path):
    (problem,) = said(headless.row("trunk", **changes), tmp_path)
    assert re.search(expected, problem)


def test_a_side_that_a_network_does_not_take_is_refused(tmp_path):
    row = headless.row("trunk", architecture="own:vit_small_patch14_trunk", blocks=["blocks.*"])
    assert said(row, tmp_path, side=56) == []
    (problem,) = said(row, tmp_path, side=64)
    assert "14" in problem


def test_what_was_found_right_is_not_looked_at_again(tmp_path, monkeypatch):
    row = headless.row("trunk")
    assert said(row, tmp_path) == []
    monkeypatch.setattr(classifier, "build", None)
    assert said(row | {"label": "Another"}, tmp_path) == []
    assert said(row, tmp_path, side=64)


def test_numbers_are_neither_drawn_nor_missed(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(classifier, "draw_kaiming_normal", lambda network: drawn.extend(
        parameter.device.type for parameter in network.parameters()))  # fmt: skip
    assert said(headless.row("trunk"), tmp_path) == []
    assert set(drawn) == {"meta"}
    assert nn.Linear(2, 2).weight.device.type == "cpu"


class Deciding(headless.Trunk):
    """A network that looks at numbers, which shapes alone do not have."""

    def forward(self, images):
        return super().forward(images * (2 if images.sum().item() > 0 else 1))


def test_a_network_that_looks_at_numbers_is_given_an_image(tmp_path, monkeypatch):
    monkeypatch.setattr(headless, "trunk", Deciding)
    assert said(headless.row("trunk"), tmp_path) == []
    assert said(with_head(headless.row("trunk")), tmp_path) != []


def test_weights_that_a_factory_loads_are_left_to_the_jobs(tmp_path):
    row = with_head(headless.row("ten_classes", weights={"source": "factory"}))
    assert said(row, tmp_path) == []


def test_a_dry_run_refuses_a_wrong_network_in_the_one_list_of_errors(tmp_path):
    rows = tiny_runs.zoo() | {"ten_classes": with_head(headless.row("ten_classes"))}
    values = tiny_runs.config(evaluators=["a", "b", "ten_classes"], weights_cache=str(tmp_path))
    arguments = tiny_runs.write(tmp_path, values | {"shards": 0}, rows)
    (tmp_path / "headless.py").write_text((ROOT / "tests/support/headless.py").read_text())
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", "-s", ROOT / "Snakefile", "-d", tmp_path,
         *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode
    output = done.stdout + done.stderr
    assert "the configuration has 2 errors" in output
    assert "'shards'" in output
    assert "gave (1, 10)" in output
