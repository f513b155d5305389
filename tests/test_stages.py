import pytest
import torch
from torch import nn

from metamers.stages import Features, Listener, block_names, index_at


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 5, 3), nn.ReLU(inplace=True)
    ).requires_grad_(False)


# Worked by hand: ceil(fraction * n) - 1.
@pytest.mark.parametrize(
    ("fraction", "n_blocks", "index"),
    [
        (0.2, 5, 0),
        (0.5, 5, 2),
        (0.8, 5, 3),
        (0.8, 15, 11),
        (0.2, 16, 3),
        (1.0, 12, 11),
        (0.5, 1, 0),
    ],
)
def test_index_at_fraction_of_depth(fraction, n_blocks, index):
    assert index_at(fraction, n_blocks) == index


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.01])
def test_depth_outside_the_network_is_refused(fraction):
    with pytest.raises(ValueError, match=r"must lie in \(0, 1\]"):
        index_at(fraction, 10)


def test_a_pattern_does_not_cross_levels():
    network = nn.Sequential(nn.Sequential(nn.ReLU()), nn.Sequential(nn.ReLU()))
    assert block_names(network, ["*"]) == ["0", "1"]
    assert block_names(network, ["*.*"]) == ["0.0", "1.0"]


def test_a_pattern_without_a_module_is_refused(network):
    with pytest.raises(ValueError, match=r"'layer\?' matches no module"):
        block_names(network, ["layer?"])


def test_truncated_forward_equals_full_forward_before_an_in_place_rectifier(network):
    images = torch.rand(2, 3, 8, 8)
    with Listener(network, "0") as heard:
        network(images)
    assert (heard.activation < 0).any()
    assert torch.equal(Features(network, "0")(images), heard.activation)


def test_no_later_module_runs(network):
    network[2].register_forward_hook(lambda *_: pytest.fail("a later module ran"))
    Features(network, "1")(torch.rand(2, 3, 8, 8))


def test_identity_rectifier_passes_gradients_where_the_unit_is_off(network):
    images = torch.rand(2, 3, 8, 8, requires_grad=True)
    through = Features(network, "1", identity_relu=True)(images)
    through.sum().backward()
    before = images.grad.clone()
    images.grad = None
    network[0](images).sum().backward()
    assert torch.equal(before, images.grad)
