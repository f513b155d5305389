"""Intervals agree with scipy and statsmodels, and cover what they say."""

import numpy as np
import pytest
from scipy import stats

from metamers import bootstrap


def generator(seed=0):
    return np.random.default_rng(seed)


def test_counts_of_each_resample_sum_to_the_number_of_items():
    counts = bootstrap.resample_counts(7, 50, generator())
    assert counts.shape == (50, 7)
    assert (counts.sum(axis=1) == 7).all()


def test_counts_are_drawn_with_equal_probability():
    counts = bootstrap.resample_counts(4, 20_000, generator())
    np.testing.assert_allclose(counts.mean(axis=0), 1, atol=0.03)  # 5 standard errors
    np.testing.assert_allclose(counts.var(axis=0), 3 / 4, atol=0.04)


def test_interval_of_images_agrees_with_scipy():
    values = generator(1).random((3, 60))
    low, high = bootstrap.bootstrap_interval(values, generator(), resamples=20_000)
    theirs = stats.bootstrap(
        (values,), np.mean, axis=-1, n_resamples=20_000, method="percentile", rng=generator(2)
    ).confidence_interval
    np.testing.assert_allclose(low, theirs.low, atol=0.003)  # noise of 20 000 resamples
    np.testing.assert_allclose(high, theirs.high, atol=0.003)


def test_interval_of_images_agrees_with_wilson_for_many_images():
    values = np.repeat([1.0, 0.0], [280, 120])
    low, high = bootstrap.bootstrap_interval(values, generator(), resamples=5000)
    wilson_low, wilson_high = bootstrap.wilson_interval(280, 400)
    assert low == pytest.approx(wilson_low, abs=0.01)
    assert high == pytest.approx(wilson_high, abs=0.01)


def test_interval_depends_on_its_row_alone():
    values = generator(1).random((5, 30))
    together = bootstrap.bootstrap_interval(values, generator())
    alone = bootstrap.bootstrap_interval(values[3], generator())
    np.testing.assert_allclose([together[0][3], together[1][3]], alone, rtol=1e-12)


def test_wilson_agrees_with_scipy():
    theirs = stats.binomtest(4, 20).proportion_ci(method="wilson")
    low, high = bootstrap.wilson_interval(4, 20)
    assert (low, high) == pytest.approx((theirs.low, theirs.high))


def test_unanimous_images_do_not_claim_certainty():
    values = np.array([np.ones(20), np.zeros(20), np.repeat([0, 1], 10)])
    low, high = bootstrap.share_interval(values, generator())
    assert low[0] == pytest.approx(1 / (1 + 1.959964**2 / 20))  # Wilson's, worked by hand
    assert high[1] == pytest.approx(1 - low[0])
    assert (low[2], high[2]) == bootstrap.bootstrap_interval(values[2], generator())


def test_unanimous_table_gets_wilsons_interval_for_its_images():
    low, high = bootstrap.crossed_share_interval(np.ones((3, 20)), generator())
    np.testing.assert_allclose((low, high), bootstrap.wilson_interval(20, 20))


def test_crossed_interval_of_one_evaluator_is_that_of_images():
    values = generator(1).random((1, 40))
    crossed = bootstrap.crossed_interval(values, generator(), resamples=20_000)
    images = bootstrap.bootstrap_interval(values[0], generator(1), resamples=20_000)
    assert crossed == pytest.approx(images, abs=0.004)  # noise of 20 000 resamples


def test_crossed_interval_agrees_with_resampling_written_out():
    values = generator(1).random((6, 9))
    draws = generator(2)
    means = [
        values[np.ix_(draws.integers(6, size=6), draws.integers(9, size=9))].mean()
        for _ in range(5000)
    ]
    ours = bootstrap.crossed_interval(values, generator(), resamples=20_000)
    assert ours == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.006)


def test_weight_counts_as_repeated_evaluators_in_the_mean():
    values = np.array([[1.0, 1.0], [0.0, 0.0]])
    low, high = bootstrap.crossed_interval(values, generator(), 4000, weights=[3, 1])
    assert (low, high) == (0, 1)
    low, high = bootstrap.crossed_interval(values, generator(), 4000, weights=[1, 0])
    assert (low, high) == (1, 1)


def simulated(rng, evaluators=10, images=30):
    """Return recognition with effects of evaluators and images, mean 0 in expectation."""
    of_evaluator = rng.normal(0, 1, evaluators)[:, None]
    of_image = rng.normal(0, 1, images)[None, :]
    return of_evaluator + of_image + rng.normal(0, 1, (evaluators, images))


def test_crossed_interval_covers_the_truth_where_images_alone_do_not():
    rng = generator(3)
    crossed, images = 0, 0
    for _ in range(300):
        values = simulated(rng)
        low, high = bootstrap.crossed_interval(values, rng, 300)
        crossed += low <= 0 <= high
        low, high = bootstrap.bootstrap_interval(values.mean(axis=0), rng, 300)
        images += low <= 0 <= high
    # Nominal 95 %; 300 repeats have a standard error of 1.3 %.
    assert 0.88 <= crossed / 300 <= 0.98
    assert images / 300 <= 0.8


def test_pooled_mean_counts_each_evaluator_of_each_table():
    first, second = np.full((2, 5), 0.5), np.array([[1.0, 0, 0, 0, 0]])
    found = bootstrap.pooled([(("a", "c"), first), (("c",), second)], generator())
    assert found.mean == pytest.approx((0.5 + 0.5 + 0.2) / 3)
    assert found.shares.tolist() == pytest.approx([0.5, 0.5, 0.2])
    assert (found.n_tables, found.n_evaluators, found.n_images) == (2, 2, 5)
    assert found.low < found.mean < found.high


def test_pooled_interval_of_one_table_is_the_crossed_one():
    values = generator(1).random((4, 9))
    found = bootstrap.pooled([(("a", "b", "c", "d"), values)], generator(2))
    assert (found.low, found.high) == bootstrap.crossed_interval(values, generator(2))


def test_pooled_mean_leaves_out_what_does_not_count():
    values = generator(3).random((4, 30))
    values[1, :10], values[2, 5:] = np.nan, np.nan
    families = {"a": "x", "b": "x", "c": "y", "d": "y"}
    found = bootstrap.pooled([(tuple("abcd"), values)], generator(2), families=families)
    expected = [np.nanmean(values[:2]), np.nanmean(values[2:])]
    assert found.mean == pytest.approx(np.mean(expected))
    assert found.low < found.mean < found.high
    np.testing.assert_allclose(found.shares, np.nanmean(values, axis=1))
    values[3] = np.nan
    assert bootstrap.pooled([(tuple("abcd"), values)], generator(2)).n_evaluators == 3


def test_pooled_tables_must_be_of_the_same_images():
    with pytest.raises(ValueError, match=r"tables of one set of images are pooled; met were"):
        bootstrap.pooled([(("a",), np.ones((1, 3))), (("a",), np.ones((1, 4)))], generator())


def test_holm_by_hand():
    # Sorted .01 .02 .04: times 3, 2, 1, and never below the one before.
    np.testing.assert_allclose(bootstrap.holm([0.04, 0.01, 0.02]), [0.04, 0.03, 0.04])


def test_holm_leaves_unknown_p_values_out():
    np.testing.assert_allclose(bootstrap.holm([np.nan, 0.01, 0.03]), [np.nan, 0.02, 0.03])
    assert bootstrap.holm([]).size == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_missing_value_is_refused(bad):
    with pytest.raises(ValueError, match="1 of 3 values are not numbers"):
        bootstrap.bootstrap_interval([0, 1, bad], generator())


def test_nothing_to_resample_is_refused():
    with pytest.raises(ValueError, match="nothing to resample: 0 items"):
        bootstrap.resample_counts(0, 10, generator())


def test_differences_that_are_all_zero_may_lie_on_either_side():
    tables = [(["a", "b"], np.zeros((2, 20)))]
    found = bootstrap.pooled(tables, generator(), differences=True)
    assert found.low == -found.high
    assert found.high == pytest.approx(0.161, abs=5e-4)  # Wilson, 0 of 20
    shares = bootstrap.pooled(tables, generator())
    assert (shares.low, shares.high) == (
        pytest.approx(0, abs=1e-12),
        pytest.approx(0.161, abs=5e-4),
    )
