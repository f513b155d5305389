"""Fréchet and kernel distances against scipy and torchmetrics, and what pairing does."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from metamers.evaluation.metrics import frechet


def features(seed, n=12, d=6, scale=1.0, shift=0.0):
    return shift + scale * np.random.default_rng(seed).normal(size=(n, d))


def frechet_by_scipy(first, second):
    shift = np.sum((first.mean(axis=0) - second.mean(axis=0)) ** 2)
    spreads = [np.cov(f, rowvar=False) for f in (first, second)]
    root = sqrtm(spreads[0] @ spreads[1]).real
    return shift + np.trace(spreads[0] + spreads[1] - 2 * root)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), scale=st.floats(0.1, 10), shift=st.floats(-3, 3))
def test_frechet_distance_is_that_of_scipys_root(seed, scale, shift):
    first, second = features(seed, n=40), features(seed + 1, n=50, scale=scale, shift=shift)
    expected = frechet_by_scipy(first, second)
    assert frechet.frechet_distance(first, second) == pytest.approx(expected, rel=1e-6)


def test_frechet_distance_is_that_of_torchmetrics_with_fewer_images_than_features():
    from torchmetrics.image.fid import FrechetInceptionDistance

    class Identity(torch.nn.Module):
        num_features = 40

        def forward(self, images):
            return images.flatten(1)

    first, second = (torch.rand(9, 40, 1, 1, generator=torch.manual_seed(s)) for s in (0, 1))
    metric = FrechetInceptionDistance(Identity(), normalize=True)
    metric.update(first, real=True)
    metric.update(second, real=False)
    found = frechet.frechet_distance(first.flatten(1).numpy(), second.flatten(1).numpy())
    assert found == pytest.approx(float(metric.compute()), rel=1e-5)


def test_frechet_distance_of_shifted_sets_is_the_squared_shift():
    first = features(2)
    assert frechet.frechet_distance(first, first + 3) == pytest.approx(6 * 9)


def test_frechet_distance_of_a_set_to_itself_is_zero():
    first = features(3, n=5, d=300)
    assert frechet.frechet_distance(first, first) == pytest.approx(0.0, abs=1e-9)
    assert frechet.frechet_distance(first, first) >= 0


def test_frechet_floor_is_bias_that_falls_with_more_images():
    floors = [frechet.frechet_floor(features(4, n=n, d=50)) for n in (16, 64, 256)]
    assert floors[0] > 2 * floors[1] > 4 * floors[2] > 0


def test_frechet_floor_keeps_crops_of_a_photograph_in_one_half():
    photographs = features(5, n=24, d=50)
    crops = np.repeat(photographs, 4, axis=0) + 0.01 * features(6, n=96, d=50)
    owners = np.repeat(np.arange(24), 4)
    floor = frechet.frechet_floor(photographs)
    assert frechet.frechet_floor(crops, photographs=owners) == pytest.approx(floor, rel=0.1)
    assert frechet.frechet_floor(crops) < 0.5 * floor  # of halves that hold the same photographs


def kernel_by_loops(references, metamers, rows):
    """Return the estimate over all pairs of different images of a resample."""
    d = references.shape[1]
    total, pairs = 0.0, 0
    for i in rows:
        for j in rows:
            if i != j:
                total += (references[i] @ references[j] / d + 1) ** 3
                total += (metamers[i] @ metamers[j] / d + 1) ** 3
                total -= 2 * (references[i] @ metamers[j] / d + 1) ** 3
                pairs += 1
    return total / pairs


def test_kernel_distance_is_its_definition():
    references, metamers = features(5), features(6, scale=1.5)
    expected = kernel_by_loops(references, metamers, range(12))
    assert frechet.kernel_distance(references, metamers) == pytest.approx(expected)


def test_kernel_distance_is_kid_but_for_the_matching_pairs():
    from torchmetrics.image.kid import poly_mmd

    references, metamers = features(7), features(8, scale=1.5)
    kid = float(poly_mmd(torch.from_numpy(references), torch.from_numpy(metamers)))
    across = (references @ metamers.T / 6 + 1) ** 3
    matching = np.trace(across)
    correction = 2 * across.mean() - 2 * (across.sum() - matching) / (12 * 11)
    assert frechet.kernel_distance(references, metamers) == pytest.approx(kid + correction)


def test_kernel_distance_does_not_fall_with_fewer_paired_images():
    # the metamer of an image is the image and noise: with the matching pairs, 20 images would
    # give less than 200
    references = features(9, n=200, d=20)
    metamers = references + features(10, n=200, d=20, scale=0.7)
    whole = frechet.kernel_distance(references, metamers)
    parts = [
        frechet.kernel_distance(references[rows], metamers[rows])
        for rows in np.arange(200).reshape(10, 20)
    ]
    error = np.std(parts, ddof=1) / np.sqrt(10)
    assert abs(np.mean(parts) - whole) < 3 * error


def test_interval_is_the_quantiles_of_resampled_images():
    references, metamers = features(11), features(12, scale=1.5)
    counts = np.random.default_rng(4).multinomial(12, np.full(12, 1 / 12), size=50)
    slow = [kernel_by_loops(references, metamers, np.repeat(np.arange(12), c)) for c in counts]
    interval = frechet.kernel_distance_interval(references, metamers, resamples=50, seed=4)
    assert interval == pytest.approx(tuple(np.quantile(slow, [0.025, 0.975])))


def test_pairs_of_crops_of_one_photograph_are_left_out():
    references, metamers = features(13), features(14, scale=1.5)
    photographs = np.repeat(np.arange(4), 3)
    total, pairs = 0.0, 0
    for i in range(12):
        for j in range(12):
            if i // 3 != j // 3:
                within = sum((f[i] @ f[j] / 6 + 1) ** 3 for f in (references, metamers))
                total += within - 2 * (references[i] @ metamers[j] / 6 + 1) ** 3
                pairs += 1
    found = frechet.kernel_distance(references, metamers, photographs=photographs)
    assert found == pytest.approx(total / pairs)
    low, high = frechet.kernel_distance_interval(references, metamers, photographs=photographs)
    assert low < found < high


def paired(seed, n, d=30):
    references = features(seed, n=n, d=d)
    return references, 1.2 * references + 0.5 * features(seed + 10_000, n=n, d=d)


def test_interval_of_frechet_distance_is_where_other_images_put_it():
    # fewer images than features: the covariances are rank-deficient, the distance biased
    found = [frechet.frechet_distance(*paired(seed, 24)) for seed in range(300)]
    expected = np.mean(found)
    ends = [frechet.frechet_interval(*paired(s, 24), halves=60) for s in range(500, 600)]
    inside = np.mean([low <= expected <= high for low, high in ends])
    assert 0.85 <= inside <= 1
    widths = [high - low for low, high in ends]
    assert np.mean(widths) == pytest.approx(2 * 1.96 * np.std(found), rel=0.25)


def test_interval_of_frechet_distance_keeps_crops_together():
    references, metamers = (np.repeat(f, 6, axis=0) for f in paired(7, 16))
    own = np.repeat(np.arange(16), 6)
    together = frechet.frechet_interval(references, metamers, photographs=own)
    apart = frechet.frechet_interval(references, metamers)
    assert together[1] - together[0] > 1.5 * (apart[1] - apart[0])


def test_three_photographs_have_no_interval():
    with pytest.raises(ValueError, match="3 images are too few"):
        frechet.frechet_interval(*paired(8, 3))


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (np.ones((5, 3)), np.ones((5, 4)), "shapes"),
        (np.ones((1, 3)), np.ones((1, 3)), "expected is"),
        (np.ones((5, 3, 2)), np.ones((5, 3, 2)), "expected is"),
        (np.full((5, 3), np.nan), np.ones((5, 3)), "15 features are NaN"),
    ],
)
def test_bad_features_are_refused(first, second, message):
    with pytest.raises(ValueError, match=message):
        frechet.frechet_distance(first, second)
    with pytest.raises(ValueError, match=message):
        frechet.kernel_distance(first, second)


def test_sets_that_are_not_paired_have_no_kernel_distance():
    with pytest.raises(ValueError, match="not paired"):
        frechet.kernel_distance(features(0, n=5), features(1, n=6))


def test_a_set_too_small_for_halves_has_no_floor():
    with pytest.raises(ValueError, match="at least 4"):
        frechet.frechet_floor(features(0, n=3))
