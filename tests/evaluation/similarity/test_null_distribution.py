"""Null distributions against scipy, and cases worked by hand."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from metamers.evaluation.similarity import null_distribution
from metamers.evaluation.similarity.distances import as_source
from metamers.evaluation.similarity.null_distribution import Null


def activations(seed, n=6, features=40):
    """Return rectified activations: about half of them are zero, so that ranks are tied."""
    return np.random.default_rng(seed).normal(size=(n, features)).clip(0)


def null_of(rows, **options):
    return null_distribution.null_of(as_source(np.asarray(rows)), len(rows), **options)


def test_spearman_is_that_of_scipy_with_ties():
    first, second = activations(0), activations(1)
    expected = [scipy.stats.spearmanr(a, b).statistic for a, b in zip(first, second, strict=True)]
    assert null_distribution.spearman(first, second) == pytest.approx(expected)


def test_relative_distance_by_hand():
    assert null_distribution.relative_distance([[3.0, 4.0]], [[3.0, 7.0]]) == pytest.approx([3 / 5])


def test_signal_to_noise_is_in_decibels_of_power():
    # a tenth of the amplitude is a hundredth of the power
    assert null_distribution.signal_to_noise([[10.0, 0.0]], [[10.0, 1.0]]) == pytest.approx([20.0])


def test_equal_activations_are_as_alike_as_can_be():
    first = activations(2)
    found = null_distribution.likeness(first, first)
    assert found["relative_l2"] == pytest.approx(np.zeros(6))
    assert found["spearman"] == pytest.approx(np.ones(6))
    assert np.all(found["snr"] == np.inf)


def test_null_takes_every_pair_of_different_images_in_both_orders():
    rows = activations(3)
    null = null_of(rows.reshape(6, 10, 2, 2))
    pairs = [(i, j) for i in range(6) for j in range(6) if i != j]
    first, second = (rows[[pair[k] for pair in pairs]] for k in (0, 1))
    for measure, values in null_distribution.likeness(first, second).items():
        assert getattr(null, measure) == pytest.approx(np.sort(values))


def test_null_does_not_depend_on_memory_or_batches():
    rows = activations(11)
    whole, parts = null_of(rows), null_of(rows, budget=1, batch_size=2)
    for measure in null_distribution.MEASURES:
        assert getattr(parts, measure) == pytest.approx(getattr(whole, measure), abs=1e-12)


def test_percentiles_by_hand():
    null = Null(np.arange(1.0, 5.0), np.array([0.1, 0.2, 0.3, 0.4]), np.arange(-2.0, 2.0))
    values = [0.5, 2.0, 2.5, 9.0, np.nan]
    expected = [0, 50, 50, 100, np.nan]
    assert null.percentile("relative_l2", values) == pytest.approx(expected, nan_ok=True)
    assert null.percentile("spearman", [0.9, 0.3, 0.0]) == pytest.approx([0, 50, 100])
    assert null.percentile("snr", [np.inf, 1.0, -5.0]) == pytest.approx([0, 25, 100])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), scale=st.floats(1e-3, 1e3))
def test_percentiles_do_not_depend_on_the_scale_of_activations(seed, scale):
    first, second = activations(seed), activations(seed + 1)
    percentiles = [
        null_of(k * first).percentile(measure, values)
        for k in (1.0, scale)
        for measure, values in null_distribution.likeness(k * first, k * second).items()
    ]
    assert np.allclose(percentiles[:3], percentiles[3:], atol=100 / 30 + 1e-9)


def test_percentiles_of_distance_and_of_signal_to_noise_agree():
    null = null_of(activations(4))
    found = null_distribution.likeness(activations(4), activations(5))
    percentiles = [null.percentile(m, found[m]) for m in ("relative_l2", "snr")]
    assert percentiles[0] == pytest.approx(percentiles[1])


def test_unrelated_images_lie_around_the_middle():
    null = null_of(activations(6, n=40))
    found = null_distribution.likeness(activations(7, n=40), activations(8, n=40))
    for measure, values in found.items():
        assert 30 < np.median(null.percentile(measure, values)) < 70, measure


def test_constant_activations_have_no_rank_correlation():
    assert np.isnan(null_distribution.spearman(np.ones((1, 4)), activations(9, n=1, features=4)))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.ones((1, 4)), "no pairs"),
        (np.full((3, 4), np.nan), "12 activations are NaN"),
        (np.zeros((3, 4)), "3 references are wholly zero"),
        (np.ones((3, 4)), "equal activations throughout"),
    ],
)
def test_bad_activations_are_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        null_of(rows)


def test_activations_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(2, 4\)"):
        null_distribution.likeness(np.ones((2, 3)), np.ones((2, 4)))


def test_there_is_no_null_of_another_measure():
    with pytest.raises(ValueError, match="'psnr'"):
        null_of(activations(10)).percentile("psnr", [1.0])
