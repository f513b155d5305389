"""What lies under one name and changes: photographs, local weights, one's own code."""

import re
import shutil
import subprocess
import sys
import textwrap

import pytest
import torch
import yaml
from fixtures import ROOT
from safetensors.torch import save_file

from metamers.config import validation
from metamers.images import sources
from metamers.storage import raw_tables, tables

SMALL = ROOT / "tests/configurations/small.yaml"
pytestmark = pytest.mark.workflow
ANSWERS = "results/small/predictions/metamers/000-of-001/00-of-01.parquet"
NETWORK = """
    from torch import nn

    def network():
        layers = [nn.Conv2d(3, 4, 5, stride=4), nn.{}(), nn.Conv2d(4, 8, 3)]
        ends = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 1000)]
        return nn.Sequential(*layers, *ends)
"""


def snakemake(folder, *arguments):
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--cores", "2"]
    command += ["--directory", folder, ANSWERS, *arguments, "--configfile", SMALL]
    done = subprocess.run(
        [*map(str, command), str(folder / "own.yaml")], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return done.stdout + done.stderr


def planned(folder):
    """Return the rules that a dry run plans."""
    found = re.findall(r"^(\w+) +\d+$", snakemake(folder, "-n", "--quiet", "rules"), re.MULTILINE)
    return set(found) - {"job", "total"}


def write_network(folder, nonlinearity="ReLU"):
    (folder / "mynets.py").write_text(textwrap.dedent(NETWORK).format(nonlinearity))


def write_weights(path, seed):
    generator = torch.Generator().manual_seed(seed)
    shapes = {"0.weight": (4, 3, 5, 5), "0.bias": (4,), "2.weight": (8, 4, 3, 3), "2.bias": (8,)}
    shapes |= {"5.weight": (1000, 8), "5.bias": (1000,)}
    save_file({k: 0.3 * torch.randn(s, generator=generator) for k, s in shapes.items()}, path)


def row(path):
    return {
        "label": path.stem, "family": "cnn", "training": "standard",
        "architecture": "import:mynets:network", "parameters": 0, "blocks": ["0", "2"],
        "normalisation": None, "weights": {"source": "local", "path": str(path)},
    }  # fmt: skip


@pytest.fixture
def workplace(tmp_path):
    """A folder with photographs, own code and weights, and the configuration of a small run."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for image in sources.candidates({"source": "embedded"})[:5]:
        shutil.copy(image.path, pictures)
    write_network(tmp_path)
    for seed, name in enumerate(["made_for", "judge"]):
        write_weights(tmp_path / f"{name}.safetensors", seed)
    rows = {name: row(tmp_path / f"{name}.safetensors") for name in ("made_for", "judge")}
    (tmp_path / "zoo.yaml").write_text(yaml.safe_dump(rows))
    default = validation.read([SMALL], ROOT / "config/config.yaml")
    main = {"references": "photographs", "recipes": ["main"], "model_sets": ["own"]}
    main |= {"stages": ["early"], "bounds": ["unbounded"]}
    config = {
        "zoo": str(tmp_path / "zoo.yaml"),
        "data": {"source": "folder", "path": str(pictures)},
        "preprocessing": {"size": 32},
        "model_sets": {"own": ["made_for"]},
        "evaluators": ["made_for", "judge"],
        "experiments": dict.fromkeys(default["experiments"]) | {"main": main},
        "evaluation": {"feature_networks": []},
        "shards": 1,
    }  # fmt: skip
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(config))
    return tmp_path


def make(folder):
    snakemake(folder)
    (metamers,) = (folder / "results/small/metamers").rglob("*.safetensors")
    answers = tables.read(raw_tables.PREDICTIONS, folder / ANSWERS).set_index("evaluator")
    return metamers.read_bytes(), answers["probability"]


def test_what_is_replaced_under_its_name_is_made_anew_and_nothing_else(workplace):
    metamers, answers = make(workplace)
    assert planned(workplace) == set()

    write_weights(workplace / "judge.safetensors", 9)
    same, others = make(workplace)
    assert same == metamers
    assert (others["made_for"] == answers["made_for"]).all()
    assert (others["judge"] != answers["judge"]).all()

    write_weights(workplace / "made_for.safetensors", 8)
    other, _ = make(workplace)
    assert other != metamers

    moved = workplace / "moved"
    moved.mkdir()
    for name in ("made_for", "judge"):
        (workplace / f"{name}.safetensors").rename(moved / f"{name}.safetensors")
    rows = {name: row(moved / f"{name}.safetensors") for name in ("made_for", "judge")}
    (workplace / "zoo.yaml").write_text(yaml.safe_dump(rows))
    assert planned(workplace) == set()

    write_network(workplace, "Tanh")
    assert make(workplace)[0] != other

    pictures = sorted((workplace / "pictures").iterdir())
    shutil.copy(pictures[0], pictures[1])
    assert "synthesize_metamers" in planned(workplace)
