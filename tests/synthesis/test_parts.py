"""The parts of Algorithm 1: loss, starts, bounds, schedules, rectifiers."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from metamers.models.stages import Features
from metamers.synthesis import initializers, schedules
from metamers.synthesis.bounds import Bound
from metamers.synthesis.losses import inversion_loss

IDS = ["a", "b"]
IMAGES = torch.rand((2, 3, 16, 16), generator=torch.Generator().manual_seed(1))


def start(kind, **keys):
    return initializers.initialize({"kind": kind} | keys, IMAGES, IDS, seed=9)


def test_loss_is_the_relative_distance_worked_by_hand():
    targets = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    metamers = torch.tensor([[3.0, 1.0], [2.0, 2.0]])
    torch.testing.assert_close(inversion_loss(metamers, targets), torch.tensor([3 / 5, 2 / 2]))


def test_loss_is_0_where_equal_and_1_where_the_activation_vanishes():
    assert inversion_loss(IMAGES, IMAGES).tolist() == [0, 0]
    torch.testing.assert_close(inversion_loss(torch.zeros_like(IMAGES), IMAGES), torch.ones(2))


def test_loss_refuses_silent_references_and_other_shapes():
    with pytest.raises(ValueError, match=r"references \[1\] are all zeros"):
        inversion_loss(IMAGES, IMAGES * torch.tensor([1.0, 0.0]).view(2, 1, 1, 1))
    with pytest.raises(ValueError, match="targets"):
        inversion_loss(IMAGES, IMAGES[:1])


def test_uniform_start_fills_its_range():
    images = start("uniform", center=0.5, radius=0.1)
    assert 0.4 <= images.min() < 0.402
    assert 0.598 < images.max() <= 0.6
    assert abs(images.std() - 0.1 / math.sqrt(3)) < 0.002


def test_l1_ball_start_lies_in_the_ball_and_is_nearly_grey():
    offsets = start("l1_ball", center=0.5, radius=0.1).double() - 0.5
    lengths = offsets.abs().sum(dim=(1, 2, 3))
    assert (lengths <= 0.1 * 1.001).all()  # float32 around 0.5 rounds by 3e-8 a pixel
    # uniform in the ball: the radius is the 1/n power of a uniform number, so nearly 1
    assert (lengths > 0.09).all()
    assert offsets.abs().max() < 0.1 * 20 / 768


def test_gaussian_start_has_the_predecessors_moments():
    images = start("gaussian", center=0.5, sd=0.05)
    assert abs(images.mean() - 0.5) < 0.005
    assert abs(images.std() - 0.05) < 0.003


def test_constant_and_reference_starts():
    assert (start("constant", center=0.25) == 0.25).all()
    assert torch.equal(start("reference"), IMAGES)


@pytest.mark.parametrize("kind", ["uniform", "l1_ball"])
def test_start_depends_on_seed_and_image_id_alone(kind):
    settings = {"kind": kind, "center": 0.5, "radius": 0.1}
    both = initializers.initialize(settings, IMAGES, IDS, seed=9)
    turned = initializers.initialize(settings, IMAGES.flip(0), IDS[::-1], seed=9)
    assert torch.equal(both, turned.flip(0))
    assert not torch.equal(both, initializers.initialize(settings, IMAGES, IDS, seed=10))
    assert not torch.equal(both[0], both[1])


@pytest.mark.parametrize(("norm", "order"), [("linf", math.inf), ("l2", 2)])
def test_projection_stays_within_bound_and_moves_nothing_inside(norm, order):
    bound = Bound(norm, "initial", 0.3)
    centers = IMAGES.flip(0)
    projected = bound.project_(IMAGES.clone(), centers)
    distances = torch.linalg.vector_norm((projected - centers).flatten(1), ord=order, dim=1)
    assert (distances <= 0.3 + 1e-6).all()
    again = bound.project_(projected.clone(), centers)
    torch.testing.assert_close(again, projected, atol=1e-6, rtol=0)
    inside = centers + 0.001 * (IMAGES - 0.5)
    assert torch.equal(bound.project_(inside.clone(), centers), inside)


def test_projection_onto_the_l2_ball_is_the_nearest_point():
    bound = Bound("l2", "initial", 1.0)
    center, image = torch.zeros(1, 3, 1, 1), torch.tensor([3.0, 0.0, 4.0]).view(1, 3, 1, 1)
    expected = torch.tensor([0.6, 0.0, 0.8]).view(1, 3, 1, 1)
    torch.testing.assert_close(bound.project_(image.clone(), center), expected)


def test_bound_reads_fractions():
    assert Bound.of({"norm": "linf", "center": "initial", "radius": "8/255"}).radius == 8 / 255
    assert Bound.of({"norm": "linf", "center": "initial", "radius": 0.3}).radius == 0.3


@pytest.mark.parametrize(("norm", "radius"), [("linf", 1.0), ("l2", 768**0.5 + 1e-6)])
def test_idle_bound_moves_no_image_of_the_pixel_range(norm, radius):
    bound = Bound(norm, "initial", radius)
    assert bound.is_idle((0.0, 1.0), 768)
    assert not bound.is_idle(None, 768)
    corners = (IMAGES > 0.5).float()
    assert torch.equal(bound.project_(corners.clone(), 1 - corners), corners)
    assert not Bound(norm, "initial", radius * 0.9).is_idle((0.0, 1.0), 768)


def test_exponential_schedule_reaches_its_end_after_the_last_repetition():
    settings = {"kind": "exponential", "start": 1.0, "stop": 0.005}
    gamma = 0.005 ** (1 / 4000)
    rates = [schedules.rate(settings, t, 4000, 10 * t) for t in range(4001)]
    np.testing.assert_allclose(rates, gamma ** np.arange(4001), rtol=1e-9)
    assert rates[-1] == pytest.approx(0.005)


def test_halving_schedule_halves_after_so_many_steps():
    settings = {"kind": "halving", "start": 1.0, "every": 3000}
    steps = [0, 2990, 3000, 5990, 6000, 21000]
    rates = [schedules.rate(settings, 0, 1, s) for s in steps]
    assert rates == [1, 1, 0.5, 0.5, 0.25, 1 / 128]


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
    features = Features(nn.Sequential(nn.Tanh(), nn.ReLU(), network), "2", identity_relu)
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
    fire = nn.Sequential(Fire().eval())
    images = torch.randn(2, 3, 5, 5, requires_grad=True)
    assert torch.equal(Features(fire, "0", True)(images), Features(fire, "0", False)(images))
