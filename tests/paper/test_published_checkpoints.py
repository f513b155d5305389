"""The made-up checkpoints against the loaders of the libraries that read the real ones."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from published_checkpoints import constants, content

from metamers.models import zoo
from metamers.models.classifier import build
from metamers.models.weights.state_dict import state_dict

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.interface:FutureWarning")

SPECS = zoo.specs(zoo.read(Path(__file__).parents[2] / "config/models.yaml"))


def torchvision_densenet(network, published):
    from torchvision.models.densenet import _load_state_dict

    _load_state_dict(network, SimpleNamespace(get_state_dict=lambda **_: published), progress=False)


def torchvision_vit(network, published):
    network.load_state_dict(published)


def timm_xcit(network, published):
    from timm.models.xcit import checkpoint_filter_fn

    network.load_state_dict(checkpoint_filter_fn(published, network))


def timm_swin(network, published):
    from robustbench.utils import rm_substr_from_state_dict
    from timm.models.swin_transformer import checkpoint_filter_fn

    bare = rm_substr_from_state_dict(published["state_dict"], "module.")
    bare = rm_substr_from_state_dict(bare, "model.")
    network.load_state_dict(checkpoint_filter_fn(bare, network))


@pytest.fixture
def autoattack(monkeypatch):
    import sys

    import pyautoattack

    monkeypatch.setitem(sys.modules, "autoattack", pyautoattack)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("autoattack")
@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("densenet", torchvision_densenet),
        ("vit_base", torchvision_vit),
        ("xcit_small", timm_xcit),
        ("swin_base_robust", timm_swin),
    ],
)
def test_a_librarys_loader_reads_the_same(name, read, tmp_path):
    spec = SPECS[name]
    network = build(spec).network
    published = content(name, constants(network.state_dict()))
    path = tmp_path / spec.weights.file
    torch.save(published, path)
    ours = state_dict(path, spec.weights.layout, network)
    read(network, published)
    theirs = network.state_dict()
    assert all(torch.equal(ours[n], theirs[n]) for n in theirs if "num_batches" not in n)
