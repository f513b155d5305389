"""Debiased CKA against other computations of it, and what it says of known activations."""

import itertools
import math

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from metamers.evaluation.similarity import shared_invariance
from metamers.evaluation.similarity.shared_invariance import debiased_cka, similarity


def distances(rows):
    return cdist(rows, rows)


def rows_of(seed, n=30, width=50):
    return np.random.default_rng(seed).normal(size=(n, width))


def by_features(x, y):
    """Return debiased CKA as Kornblith et al. (2019) compute it, from features, not images."""

    def product(a, b):
        a, b = a - a.mean(axis=0), b - b.mean(axis=0)
        n, squares = len(a), [np.square(m).sum(axis=1) for m in (a, b)]
        return (
            np.linalg.norm(a.T @ b) ** 2
            - n / (n - 2) * squares[0] @ squares[1]
            + squares[0].sum() * squares[1].sum() / ((n - 1) * (n - 2))
        )

    return product(x, y) / math.sqrt(product(x, x) * product(y, y))


def by_quadruples(x, y):
    """Return debiased CKA from HSIC as the mean over all quadruples of different images."""

    def hsic(k, q):
        found = [
            k[a, b] * (q[a, b] + q[c, d] - 2 * q[a, c])
            for a, b, c, d in itertools.permutations(range(len(k)), 4)
        ]
        return np.mean(found)

    k, q = x @ x.T, y @ y.T
    return hsic(k, q) / math.sqrt(hsic(k, k) * hsic(q, q))


def test_is_what_features_give():
    x = rows_of(0)
    y = x @ rows_of(1, 50, 20) + 5 * rows_of(2, 30, 20)
    assert debiased_cka(distances(x), distances(y)) == pytest.approx(by_features(x, y), abs=1e-10)


def test_is_the_mean_over_all_quadruples():
    x, y = rows_of(3, n=7, width=4), rows_of(4, n=7, width=3) + 2
    found = debiased_cka(distances(x), distances(y))
    assert found == pytest.approx(by_quadruples(x, y), abs=1e-10)


def test_shift_rotation_and_scale_leave_one():
    x = rows_of(5)
    turned, _ = np.linalg.qr(rows_of(6, 50, 50))
    assert debiased_cka(distances(x), distances(3 * x @ turned + 7)) == pytest.approx(1.0)


def test_unrelated_wide_activations_give_nothing():
    found = [
        debiased_cka(distances(rows_of(seed, 20, 2000)), distances(rows_of(seed + 100, 20, 2000)))
        for seed in range(40)
    ]
    assert abs(np.mean(found)) < 3 * np.std(found) / math.sqrt(40)


def test_floor_holds_what_unrelated_activations_give_and_not_what_related_ones_do():
    x = rows_of(7)
    same = similarity(distances(x), [distances(x + 0.3 * rows_of(8))], seed=0)
    other = similarity(distances(x), [distances(rows_of(9))], seed=0)
    assert other.value < other.floor < same.low <= same.value <= same.high <= 1


@pytest.mark.parametrize("crops", [1, 2])
def test_interval_is_that_of_leaving_out_each_photograph_in_turn(crops):
    x, y = rows_of(10, 12), rows_of(10, 12) + rows_of(11, 12)
    photographs = np.repeat(np.arange(12 // crops), crops)
    found = similarity(distances(x), [distances(y)], 0, photographs)
    without = np.array(
        [by_features(x[photographs != k], y[photographs != k]) for k in np.unique(photographs)]
    )
    n = without.size
    error = math.sqrt((n - 1) / n * np.square(without - without.mean()).sum())
    assert found.value - found.low == pytest.approx(1.959964 * error, rel=1e-6)


def test_interval_covers_what_many_images_give_about_as_often_as_it_says():
    generator, mixing, covered = np.random.default_rng(12), rows_of(13, 8, 8), []

    def pair(n):
        x = generator.normal(size=(n, 8))
        return x, x @ mixing + 4 * generator.normal(size=(n, 8))

    truth = by_features(*pair(4000))
    for _ in range(150):
        x, y = pair(40)
        found = similarity(distances(x), [distances(y)], 0)
        covered.append(found.low <= truth <= found.high)
    assert 0.88 <= np.mean(covered) <= 1.0


def test_mean_over_members_is_taken():
    x, one, other = rows_of(14), rows_of(14) + rows_of(15), rows_of(16)
    both = similarity(distances(x), [distances(one), distances(other)], 0)
    assert both.value == pytest.approx((by_features(x, one) + by_features(x, other)) / 2)


def test_too_few_images_or_equal_activations_say_nothing():
    x = rows_of(17, n=4)
    assert similarity(distances(x), [distances(x)], 0) is None
    still = np.zeros((8, 8))
    assert similarity(still, [still], 0) is None
    assert similarity(distances(rows_of(18)), [], 0) is None


def test_floor_is_that_of_pairings_by_the_features(monkeypatch):
    monkeypatch.setattr(shared_invariance, "PERMUTATIONS", 1)
    x, y = rows_of(19), rows_of(20)
    order = np.random.default_rng(5).permutation(len(x))
    found = similarity(distances(x), [distances(y)], seed=5)
    assert found.floor == pytest.approx(by_features(x, y[order]))
