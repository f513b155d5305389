"""Folding of batch normalisation."""

import pytest
import torch
from torch import nn

from metamers.models.batch_norm import Pair, fold, pairs

IMAGES = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))


class Residual(nn.Module):
    """A pair that can be folded, a shared convolution, and a convolution used twice."""

    def __init__(self, used_twice=False):
        super().__init__()
        self.used_twice = used_twice
        self.conv = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(4)
        self.shared = nn.Conv2d(4, 4, 1)
        self.first, self.second = nn.BatchNorm2d(4), nn.BatchNorm2d(4)

    def forward(self, images):
        raw = self.conv(images)
        features = torch.relu(self.bn(raw))
        features = self.first(self.shared(features))
        features = self.second(self.shared(features))
        return features + raw if self.used_twice else features


def network(used_twice=False):
    torch.manual_seed(3)
    made = Residual(used_twice)
    for norm in (made.bn, made.first, made.second):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
        nn.init.uniform_(norm.weight, 0.5, 2)
        nn.init.normal_(norm.bias)
    return made.eval().requires_grad_(False)


def test_only_convolutions_that_run_once_are_paired():
    assert pairs(network(), IMAGES) == [Pair("conv", "bn")]


def test_output_and_gradient_stay():
    plain, folded = network(), network()
    assert fold(folded, IMAGES) == 1
    assert isinstance(folded.bn, nn.Identity)
    one, two = (IMAGES.clone().requires_grad_(True) for _ in range(2))
    torch.testing.assert_close(plain(one), folded(two), rtol=1e-4, atol=1e-5)
    (gradient,) = torch.autograd.grad(plain(one).sum(), one)
    torch.testing.assert_close(
        gradient, torch.autograd.grad(folded(two).sum(), two)[0], rtol=1e-4, atol=1e-5
    )
    assert not any(parameter.requires_grad for parameter in folded.parameters())


def test_convolution_whose_output_is_used_elsewhere_is_refused():
    with pytest.raises(ValueError, match="folding batch normalisation changed the output"):
        fold(network(used_twice=True), IMAGES)


def test_module_that_is_asked_for_itself_is_kept():
    made = network()
    assert fold(made, IMAGES, keep="conv") == 0
    assert isinstance(made.bn, nn.BatchNorm2d)


def test_a_network_without_batch_normalisation_and_with_constant_outputs_is_left_alone():
    constant = nn.Conv2d(3, 4, 1)
    nn.init.zeros_(constant.weight)
    nn.init.zeros_(constant.bias)
    assert fold(constant.eval(), IMAGES) == 0


def test_outputs_of_zero_may_be_folded():
    made = network()
    nn.init.zeros_(made.second.weight)
    nn.init.zeros_(made.second.bias)
    assert fold(made, IMAGES) == 1
    assert not made(IMAGES).any()
