"""Null distributions against scipy, and cases worked by hand."""

import numpy as np
import pytest
import scipy.stats

from metamers.evaluation.similarity import null_distribution
from metamers.evaluation.similarity.activations import ReferenceDistances
from metamers.evaluation.similarity.distances import as_source
from metamers.evaluation.similarity.null_distribution import Null


def activations(seed, n=6, features=40):
    """Return rectified activations: about half of them are zero, so that ranks are tied."""
    return np.random.default_rng(seed).normal(size=(n, features)).clip(0)


def null_of(rows):
    names = [f"image{k}" for k in range(len(rows))]
    return ReferenceDistances.measure(as_source(rows), names).null


def test_spearman_is_that_of_scipy_with_ties():
    first, second = activations(0), activations(1)
    expected = [scipy.stats.spearmanr(a, b).statistic for a, b in zip(first, second, strict=True)]
    assert null_distribution.spearman(first, second) == pytest.approx(expected)


def test_null_takes_every_pair_of_different_images_in_both_orders():
    rows = activations(3)
    null = null_of(rows)
    pairs = [(rows[i], rows[j]) for i in range(6) for j in range(6) if i != j]
    relative = [np.linalg.norm(a - b) / np.linalg.norm(a) for a, b in pairs]
    noise = [10 * np.log10(np.sum(a**2) / np.sum((a - b) ** 2)) for a, b in pairs]
    correlations = [scipy.stats.spearmanr(a, b).statistic for a, b in pairs]
    assert null.relative_l2 == pytest.approx(np.sort(relative))
    assert null.spearman == pytest.approx(np.sort(correlations))
    assert null.snr == pytest.approx(np.sort(noise))


def test_percentiles_by_hand():
    null = Null(np.arange(1.0, 5.0), np.array([0.1, 0.2, 0.3, 0.4]), np.arange(-2.0, 2.0))
    values = [0.5, 2.0, 2.5, 9.0, np.nan]
    expected = [0, 50, 50, 100, np.nan]
    assert null.percentile("relative_l2", values) == pytest.approx(expected, nan_ok=True)
    assert null.percentile("spearman", [0.9, 0.3, 0.0]) == pytest.approx([0, 50, 100])
    assert null.percentile("snr", [np.inf, 1.0, -5.0]) == pytest.approx([0, 25, 100])


def test_constant_activations_have_no_rank_correlation():
    assert np.isnan(null_distribution.spearman(np.ones((1, 4)), activations(9, n=1, features=4)))


def test_activations_that_are_not_numbers_are_refused():
    with pytest.raises(ValueError, match="12 activations are NaN"):
        null_distribution.spearman(np.full((3, 4), np.nan), np.ones((3, 4)))


def test_activations_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(2, 4\)"):
        null_distribution.spearman(np.ones((2, 3)), np.ones((2, 4)))


def test_there_is_no_null_of_another_measure():
    with pytest.raises(ValueError, match="'psnr'"):
        null_of(activations(10)).percentile("psnr", [1.0])
