"""The step of descent against the same done plainly, and its hoisted projection."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metamers.synthesis.objective import Evaluation
from metamers.synthesis.projected_step import (
    ProjectedStep,
    direction_,
    project_onto_l2_balls_,
)
from metamers.synthesis.settings import Bound, SynthesisSettings

IMAGES = torch.rand((2, 3, 16, 16), generator=torch.Generator().manual_seed(1))
PIXELS = st.lists(st.floats(-1, 2, width=32, allow_subnormal=False), min_size=12, max_size=12)


def recipe(pixel_range=(0.0, 1.0), gradient="raw"):
    budget = {"total_steps": 8, "steps_per_turn": 2}
    return SynthesisSettings.of(
        {
            "preset": "paper",
            "budget": budget,
            "gradient": gradient,
            "pixel_range": pixel_range and list(pixel_range),
        }
    )


def plainly(settings, bound, centers, images, gradient, rate):
    """The projection written out, image by image where that matters, then the clamp."""
    moved = images - rate * gradient
    if bound.norm == "linf":
        moved = moved.clamp(centers - bound.radius, centers + bound.radius)
    else:
        offsets = moved - centers
        lengths = torch.linalg.vector_norm(offsets.flatten(1), dim=1).clamp_min(1e-12)
        moved = centers + offsets * (bound.radius / lengths).clamp_max(1).view(-1, 1, 1, 1)
    return moved if settings.pixel_range is None else moved.clamp(*settings.pixel_range)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("pixel_range", [None, (0.0, 1.0), (0.25, 0.5)])
@settings(max_examples=40, deadline=None)
@given(centers=PIXELS, images=PIXELS, gradient=PIXELS, radius=st.floats(0.01, 0.2))
def test_step_equals_moving_projecting_and_clamping(
    norm, pixel_range, centers, images, gradient, radius
):
    centers, images, gradient = (
        torch.tensor(values, dtype=torch.float32).view(2, 3, 1, 2)
        for values in (centers, images, gradient)
    )
    chosen, bound = recipe(pixel_range), Bound(norm, "initial", radius)
    expected = plainly(chosen, bound, centers, images, gradient, 0.5)
    descent = ProjectedStep.of(chosen, bound, centers)
    descent.step_(images, Evaluation(gradient.clone(), []), 0.5, 0, {})
    assert torch.equal(images, expected)


@pytest.mark.parametrize(("norm", "order"), [("linf", math.inf), ("l2", 2)])
def test_projection_stays_within_bound_and_moves_nothing_inside(norm, order):
    centers = IMAGES.flip(0)
    descent = ProjectedStep.of(recipe(None), Bound(norm, "initial", 0.3), centers)
    projected = descent.project_(IMAGES.clone())
    distances = torch.linalg.vector_norm((projected - centers).flatten(1), ord=order, dim=1)
    assert (distances <= 0.3 + 1e-6).all()
    again = descent.project_(projected.clone())
    torch.testing.assert_close(again, projected, atol=1e-6, rtol=0)
    inside = centers + 0.001 * (IMAGES - 0.5)
    assert torch.equal(descent.project_(inside.clone()), inside)


def test_projection_onto_the_l2_ball_is_the_nearest_point():
    center, image = torch.zeros(1, 3, 1, 1), torch.tensor([3.0, 0.0, 4.0]).view(1, 3, 1, 1)
    expected = torch.tensor([0.6, 0.0, 0.8]).view(1, 3, 1, 1)
    torch.testing.assert_close(project_onto_l2_balls_(image, center, 1.0), expected)


def test_bound_that_never_binds_is_not_computed():
    descent = ProjectedStep.of(recipe(), Bound("l2", "initial", 10_000), torch.zeros(2, 3, 4, 4))
    assert descent.interval == (0.0, 1.0)
    assert descent.ball is None


def test_directions_by_hand():
    gradient = torch.tensor([3.0, 0.0, -4.0]).view(1, 3, 1, 1)
    assert direction_("raw", gradient.clone()).flatten().tolist() == [3, 0, -4]
    assert direction_("sign", gradient.clone()).flatten().tolist() == [1, 0, -1]
    normalised = direction_("l2_normalised", gradient.clone()).flatten()
    torch.testing.assert_close(normalised, torch.tensor([0.6, 0.0, -0.8]))
    one_on_average = direction_("rms_normalised", gradient.clone())
    torch.testing.assert_close(one_on_average.square().mean(), torch.tensor(1.0))
    torch.testing.assert_close(one_on_average.flatten(), normalised * 3**0.5)


def test_direction_refuses_an_unknown_rule():
    with pytest.raises(ValueError, match="'newton' is not known"):
        direction_("newton", torch.zeros(1, 3, 2, 2))
