import pytest
import torch
from torch import nn

from metamers.models.stages import (
    ActivationRecorder,
    Features,
    as_vectors,
    block_names,
    index_at,
    module_at,
    pass_gradients_through,
)
from metamers.models.weights.row import WeightsRow
from metamers.models.zoo import ModelSpec


def row(**changes):
    values = {"label": "Tiny", "family": "cnn", "training": "random", "parameters": 0}
    values |= {"name": "tiny", "architecture": "own:tiny", "normalisation": None}
    return ModelSpec(**values, blocks=("[02]",), weights=WeightsRow("random"), **changes)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return (
        nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 5, 3), nn.ReLU(inplace=True)
        )
        .eval()
        .requires_grad_(False)
    )


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
    with ActivationRecorder(network, "0") as heard:
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


def test_identity_rectifier_is_found_behind_a_shuffle_of_channels():
    """As in ShuffleNet: half of the channels pass, half come from a rectifier, interleaved."""
    values = torch.tensor([[-1.0, 2.0, -3.0, 4.0]], requires_grad=True)
    passed, rectified = values[:, :2], values[:, 2:].relu()
    both = torch.cat([passed, rectified], 1).view(1, 2, 2).transpose(1, 2).contiguous().view(1, 4)
    pass_gradients_through(both)
    both.sum().backward()
    assert values.grad.tolist() == [[1.0, 1.0, 1.0, 1.0]]


def test_identity_rectifier_leaves_earlier_rectifiers_alone():
    values = torch.tensor([-1.0, 2.0], requires_grad=True)
    last = (values.relu() - 3).relu()
    pass_gradients_through(last)
    last.sum().backward()
    assert values.grad.tolist() == [0.0, 1.0]


def test_a_row_may_overrule_the_depth_rule(network):
    assert module_at(network, row(stages={"early": "3"}), "early", 0.2) == "3"
    assert module_at(network, row(stages={"early": "3"}), "late", 0.8) == "2"


def test_an_overruling_module_that_is_not_there_is_refused(network):
    with pytest.raises(ValueError, match="model 'tiny', stage 'early': there is no module '9'"):
        module_at(network, row(stages={"early": "9"}), "early", 0.2)


def test_an_unknown_module_is_refused(network):
    with pytest.raises(ValueError, match="there is no module '9'"):
        Features(network, "9")


def test_a_module_that_does_not_run_is_told(network):
    network.register_module("spare", nn.ReLU().eval())
    network.forward = lambda images: network[0](images)
    with pytest.raises(RuntimeError, match="'spare' did not run"):
        Features(network, "spare")(torch.rand(2, 3, 8, 8))


def test_a_forward_that_stopped_leaves_no_hook(network):
    images = torch.rand(2, 3, 8, 8)
    Features(network, "1")(images)
    assert network(images).shape == (2, 5, 4, 4)


def test_vectors_have_a_row_per_image():
    activation = torch.arange(24.0).view(2, 3, 4).transpose(1, 2)
    assert as_vectors(activation).shape == (2, 12)
    assert as_vectors(activation)[1].tolist() == activation[1].flatten().tolist()


class Fire(nn.Module):
    """Two rectified branches, joined, as in SqueezeNet."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 3, padding=1)

    def forward(self, images):
        return torch.cat([torch.relu(self.one(images)), torch.relu(self.two(images))], 1)


class Smooth(Fire):
    """The same without rectifiers."""

    def forward(self, images):
        return torch.cat([self.one(images), self.two(images)], 1)


def gradient_through(network, images, weight, identity_relu):
    leaf = images.clone().requires_grad_(True)
    features = Features(nn.Sequential(nn.Tanh(), nn.ReLU(), network).eval(), "2", identity_relu)
    return torch.autograd.grad((features(leaf) * weight).sum(), leaf)[0]


def test_identity_gradient_skips_the_last_rectifiers_and_no_other():
    torch.manual_seed(0)
    fire, smooth = Fire().eval(), Smooth().eval()
    smooth.load_state_dict(fire.state_dict())
    images = torch.randn(2, 3, 5, 5)
    weight = torch.randn(2, 4, 5, 5)
    plain = gradient_through(fire, images, weight, identity_relu=False)
    passed = gradient_through(fire, images, weight, identity_relu=True)
    torch.testing.assert_close(passed, gradient_through(smooth, images, weight, False))
    assert not torch.allclose(plain, passed)
    assert (passed[images < 0] == 0).all()  # the inner rectifier still blocks


def test_identity_gradient_changes_no_value():
    fire = nn.Sequential(Fire()).eval()
    images = torch.randn(2, 3, 5, 5, requires_grad=True)
    assert torch.equal(Features(fire, "0", True)(images), Features(fire, "0", False)(images))


def test_network_in_training_mode_is_refused(network):
    with pytest.raises(ValueError, match=r"training mode; call its eval\(\)"):
        Features(network.train(), "1")
