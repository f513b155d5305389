"""Where synthesis starts."""

import math

import pytest
import torch

from metamers.synthesis import initializers

IDS = ["a", "b"]
IMAGES = torch.rand((2, 3, 16, 16), generator=torch.Generator().manual_seed(1))


def start(kind, **keys):
    return initializers.initialize({"kind": kind} | keys, IMAGES, IDS, seed=9)


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
