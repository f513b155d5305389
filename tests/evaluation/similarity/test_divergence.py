"""Divergences of distances, against scipy, cases worked by hand, and properties."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon, pdist, squareform
from scipy.stats import gaussian_kde

from metamers.evaluation.similarity import densities, distances, divergence, sample_size
from metamers.evaluation.similarity.densities import BITS, Convention, Sample
from metamers.storage.columns import COMPARISONS, CONDITION_KEY


def compare(references, metamers, **options):
    """Return the three comparisons of activations."""
    n, first, second = len(references), *map(distances.as_source, (references, metamers))
    pairs = (distances.pair_distances(source, n) for source in (first, second))
    matched = distances.matched_distances(first, second, n)
    return divergence.divergences(*pairs, matched, **options)


SPEED = settings(max_examples=25, deadline=None)
SCALES = st.floats(1e-6, 1e6)
SEEDS = st.integers(0, 10_000)


def activations(seed, n=20, features=30, scale=1.0):
    return scale * np.random.default_rng(seed).normal(size=(n, features))


def divergence_of(first, second, size=None, convention=BITS):
    """Return the divergence of two samples of numbers, each taken once."""
    samples = [Sample(np.asarray(s, float), np.arange(len(s))) for s in (first, second)]
    counts = [np.ones((1, len(s))) for s in (first, second)]
    return float(densities.divergence(*samples, *counts, size, convention)[0])


def scipy_divergence(first, second, size=None):
    """Return the same by gaussian_kde and jensenshannon on one grid."""
    factors = [(size or len(s)) ** -0.2 for s in (first, second)]
    reach = [3 * f * np.std(s, ddof=1) for f, s in zip(factors, (first, second), strict=True)]
    low = min(np.min(first) - reach[0], np.min(second) - reach[1])
    high = max(np.max(first) + reach[0], np.max(second) + reach[1])
    grid = np.linspace(low, high, 1000)
    curves = [
        gaussian_kde(s, bw_method=f)(grid) for f, s in zip(factors, (first, second), strict=True)
    ]
    return jensenshannon(*curves, base=2) ** 2


def by_name(rows):
    return {row.comparison: row for row in rows}


@SPEED
@given(seed=SEEDS, shift=st.floats(-3, 3), scale=st.floats(0.2, 5), size=st.integers(5, 200))
def test_divergence_agrees_with_scipy(seed, shift, scale, size):
    generator = np.random.default_rng(seed)
    first, second = generator.normal(size=60), shift + scale * generator.normal(size=90)
    # linear binning widens a kernel by at most a sixth of a grid step squared
    assert divergence_of(first, second, size) == pytest.approx(
        scipy_divergence(first, second, size), abs=3e-4
    )
    assert divergence_of(first, second) == pytest.approx(scipy_divergence(first, second), abs=3e-4)


@pytest.mark.parametrize("bandwidth", ["scott", "silverman", 0.4])
def test_convention_of_scipys_defaults_agrees_with_scipy(bandwidth):
    generator = np.random.default_rng(2)
    first, second = generator.normal(size=60), 1 + generator.normal(size=90)
    curves = [gaussian_kde(s, bw_method=bandwidth) for s in (first, second)]
    reach = [3 * c.factor * np.std(c.dataset, ddof=1) for c in curves]
    low = min(first.min() - reach[0], second.min() - reach[1])
    high = max(first.max() + reach[0], second.max() + reach[1])
    grid = np.linspace(low, high, 1000)
    expected = jensenshannon(*(curve(grid) for curve in curves))  # base e, the root
    found = divergence_of(first, second, 9, Convention(bandwidth, "e", True))
    assert found == pytest.approx(expected, abs=3e-4)


def test_unit_changes_numbers_alone():
    sample = np.random.default_rng(3).normal(size=50)
    bits = divergence_of(sample, sample + 1)
    assert divergence_of(sample, sample + 1, None, Convention(base="e")) == bits * np.log(2)
    assert divergence_of(sample, sample + 1, None, Convention(root=True)) == np.sqrt(bits)
    units = [Convention(base=b, root=r).unit for b in (2, "e") for r in (False, True)]
    assert units == ["bits", "root of bits", "nats", "root of nats"]


def test_comparisons_and_power_follow_the_convention():
    matrices = distances_of(activations(0), activations(1, scale=1.5))
    scipys = Convention("scott", "e", True)
    rows = divergence.divergences(*matrices, resamples=5, convention=scipys)
    samples = divergence.samples_of(*matrices)
    for row in rows:
        first, second = (s.values for s in divergence.compared(samples, row.comparison))
        expected = np.sqrt(scipy_divergence(first, second) * np.log(2))
        assert row.divergence == pytest.approx(expected, abs=3e-4)
        assert row.low <= row.high < 0.833
    for row, whole in zip(
        sample_size.power(*matrices, [20], repeats=2, convention=scipys), rows, strict=True
    ):
        assert row.mean == pytest.approx(whole.divergence, abs=1e-12)


def test_divergence_of_two_normal_distributions_is_the_integral():
    # N(0, 1) against N(1, 1), 0.1607 bits: integrated on a line of 200 001 points
    line = np.linspace(-12, 13, 200_001)
    curves = [np.exp(-0.5 * (line - mean) ** 2) for mean in (0, 1)]
    first, second = (c / c.sum() for c in curves)
    middle = (first + second) / 2
    exact = sum(np.sum(c[c > 0] * np.log2(c[c > 0] / middle[c > 0])) / 2 for c in (first, second))
    assert exact == pytest.approx(0.1607, abs=5e-5)
    quantiles = np.linspace(0, 1, 20_002)[1:-1]
    from scipy.stats import norm

    sample = norm.ppf(quantiles)
    assert divergence_of(sample, sample + 1) == pytest.approx(exact, abs=0.01)


@SPEED
@given(seed=SEEDS, scale=SCALES)
def test_identical_samples_have_no_divergence(seed, scale):
    sample = np.abs(activations(seed, scale=scale)).ravel()
    assert divergence_of(sample, sample) == 0.0


@SPEED
@given(seed=SEEDS, scale=SCALES)
def test_disjoint_samples_have_a_divergence_of_one(seed, scale):
    sample = scale * np.random.default_rng(seed).normal(size=50)
    assert divergence_of(sample, sample + 100 * scale) == pytest.approx(1.0, abs=1e-6)


@SPEED
@given(seed=SEEDS, shift=st.floats(-3, 3))
def test_divergence_is_symmetric_and_at_most_one(seed, shift):
    generator = np.random.default_rng(seed)
    first, second = generator.normal(size=40), shift + generator.gamma(2.0, size=70)
    assert divergence_of(first, second) == pytest.approx(divergence_of(second, first), abs=1e-12)
    assert 0 <= divergence_of(first, second) <= 1


@SPEED
@given(seed=SEEDS, scale=SCALES)
def test_comparisons_are_invariant_to_scale(seed, scale):
    first, second = activations(seed), activations(seed + 1, scale=1.3)
    rows = compare(first, second, resamples=5)
    scaled = compare(scale * first, scale * second, resamples=5)
    for row, other in zip(rows, scaled, strict=True):
        assert other.divergence == pytest.approx(row.divergence, abs=1e-6)
        assert other.low == pytest.approx(row.low, abs=1e-6)
        assert other.median_ratio == pytest.approx(row.median_ratio, rel=1e-9)


def test_constant_samples_become_narrow_peaks():
    constant = np.full(50, 2.0)
    assert divergence_of(constant, constant) == 0.0
    assert divergence_of(constant, constant + 1) > 0.999
    assert divergence_of(constant, np.random.default_rng(0).normal(100, 1, 50)) > 0.999
    assert divergence_of(np.zeros(9), np.zeros(9)) == 0.0


def test_no_peak_is_narrower_than_a_grid_step():
    grid = np.linspace(0, 9, 10)
    weights = np.eye(10)[4:5]
    expected = np.exp(-0.5 * (grid - 4) ** 2)
    peak = densities.smoothed(weights, np.zeros(1), grid)[0]
    assert peak == pytest.approx(expected / expected.sum())


def test_rounding_of_constants_is_no_divergence():
    third = np.full(20, 0.1) * 3
    assert divergence_of(third, np.full(20, 0.3)) == pytest.approx(0.0, abs=1e-6)


def test_samples_are_compared_on_one_grid():
    # a grid of each sample's own would call these equal
    sample = np.random.default_rng(1).normal(size=80)
    assert divergence_of(sample, sample + 3) > 0.8


def test_comparisons_take_the_pairs_that_their_names_say():
    references, metamers = activations(0), activations(1, scale=1.5)
    samples = {
        "reference-reference": pdist(references),
        "metamer-metamer": pdist(metamers),
        "reference-metamer": np.linalg.norm(references - metamers, axis=1),
    }
    rows = compare(references, metamers, resamples=0)
    assert [row.comparison for row in rows] == list(COMPARISONS)
    assert tuple(f"{a} | {b}" for a, b in combinations(samples, 2)) == COMPARISONS
    for row in rows:
        first, second = (samples[name] for name in row.comparison.split(" | "))
        assert row.divergence == pytest.approx(scipy_divergence(first, second, 20), abs=3e-4)
        assert row.median_ratio == pytest.approx(np.median(second) / np.median(first))
        assert (row.low, row.high, row.n_images) == (None, None, 20)


def test_perfect_metamers_agree_within_and_lie_at_no_distance():
    references = activations(2)
    rows = by_name(compare(references, references.copy(), resamples=20))
    assert rows[COMPARISONS[0]].divergence == 0.0
    assert rows[COMPARISONS[1]].divergence > 0.99
    assert rows[COMPARISONS[1]].median_ratio == 0.0


def test_collapsed_metamers_have_a_defined_divergence():
    references = activations(3)
    collapsed = np.ones_like(references)
    rows = by_name(compare(references, collapsed, resamples=20))
    assert rows[COMPARISONS[0]].divergence > 0.99
    assert rows[COMPARISONS[2]].median_ratio == np.inf


def test_wholly_collapsed_activations_have_a_divergence_of_zero():
    same = np.ones((5, 4))
    for row in compare(same, same, resamples=5):
        assert row.divergence == 0.0
        assert np.isnan(row.median_ratio)


def test_bootstrap_leaves_out_pairs_of_an_image_with_itself():
    # the same resamples, made by repeating rows and dropping their zero distances
    references, metamers = activations(4, n=12), activations(5, n=12, scale=1.4)
    counts = divergence._resampled_counts(np.arange(12), 6, seed=3)
    rows, slow = compare(references, metamers, resamples=6, seed=3), []
    for count in counts.astype(int):
        drawn = np.repeat(np.arange(12), count)
        i, j = np.triu_indices(12, k=1)
        keep = drawn[i] != drawn[j]
        within = [pdist(a[drawn])[keep] for a in (references, metamers)]
        slow.append(scipy_divergence(*within, 12))
    assert rows[0].low == pytest.approx(np.quantile(slow, 0.025), abs=2e-3)
    assert rows[0].high == pytest.approx(np.quantile(slow, 0.975), abs=2e-3)


def test_bootstrap_depends_on_its_seed_alone():
    first, second = activations(6), activations(7)
    rows = [compare(first, second, resamples=30, seed=s) for s in (1, 1, 2)]
    assert rows[0] == rows[1]
    assert rows[0] != rows[2]


def test_tensors_of_any_shape_are_taken():
    first = torch.randn(6, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    rows = compare(first, first * 1.2, resamples=0)
    flat = compare(first.flatten(1).numpy(), 1.2 * first.flatten(1).numpy(), resamples=0)
    for row, other in zip(rows, flat, strict=True):
        assert row.divergence == pytest.approx(other.divergence, abs=1e-5)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (np.ones((2, 4)), np.ones((2, 4)), "too few"),
        (np.ones((5, 4)), np.ones((5, 3)), "shape"),
        (np.ones((5, 4)), np.full((5, 4), np.nan), "NaN"),
    ],
)
def test_bad_activations_are_refused(first, second, message):
    with pytest.raises(ValueError, match=message):
        compare(first, second)


def test_bad_distances_are_refused():
    good = squareform(pdist(activations(0, n=4)))
    with pytest.raises(ValueError, match="shapes"):
        divergence.divergences(good, good, np.ones(5))
    with pytest.raises(ValueError, match="1 of 4 reference-metamer distances"):
        divergence.divergences(good, good, np.array([1, 2, 3, np.inf]))


def test_distances_agree_with_scipy():
    rows = activations(8, n=17, features=999).astype(np.float32) + 100
    found = distances.pair_distances(distances.as_source(rows), 17)
    assert np.allclose(found, squareform(pdist(rows.astype(np.float64))), rtol=1e-9, atol=0)


def test_distances_of_near_rows_keep_their_digits():
    rows = np.repeat(activations(9, n=1, features=50), 4, axis=0) * 1e3
    rows[1:] += 500
    rows[2, 0] += 1e-6
    rows[3] += 5
    found = distances.pair_distances(distances.as_source(rows), 4)
    assert np.allclose(found, squareform(pdist(rows)), rtol=1e-9, atol=0)


@pytest.mark.parametrize("budget", [1, 2 * 3 * 40 * 8, 10**9])
def test_distances_do_not_depend_on_the_memory_allowed(budget, monkeypatch):
    monkeypatch.setattr(distances, "CHUNK", 64)
    rows = activations(10, n=11, features=40)
    asked = []

    def source(start, stop):
        asked.append(stop - start)
        return torch.as_tensor(rows[start:stop])

    found = distances.pair_distances(source, 11, budget=budget)
    assert np.allclose(found, squareform(pdist(rows)), rtol=1e-9, atol=0)
    held = 2 * max(asked[1:])
    assert held * 40 * 8 <= max(budget, 2 * 40 * 8) or max(asked) == 11 <= budget // (40 * 8)


def test_matched_distances_do_not_depend_on_the_batch():
    first, second = (distances.as_source(activations(s, n=7)) for s in (11, 12))
    expected = np.linalg.norm(activations(11, n=7) - activations(12, n=7), axis=1)
    for batch_size in (1, 3, 7):
        found = distances.matched_distances(first, second, 7, batch_size=batch_size)
        assert np.allclose(found, expected, rtol=1e-12)


def test_a_source_that_gives_too_few_rows_is_refused():
    with pytest.raises(ValueError, match="2 activations came for the images 0 to 3"):
        distances.pair_distances(lambda start, stop: torch.ones(min(stop - start, 2), 5), 4)


def test_power_at_all_images_is_the_divergence_itself():
    first, second = activations(13), activations(14, scale=1.2)
    arguments = (
        squareform(pdist(first)),
        squareform(pdist(second)),
        np.linalg.norm(first - second, axis=1),
    )
    rows = sample_size.power(*arguments, sizes=[20], repeats=3)
    for row, whole in zip(rows, divergence.divergences(*arguments, resamples=0), strict=True):
        assert row.mean == row.low == row.high == pytest.approx(whole.divergence, abs=1e-12)
        assert np.isnan(row.sd)


def test_power_uses_the_distances_of_a_subset_only():
    first, second = activations(15, n=9), activations(16, n=9)
    arguments = (
        squareform(pdist(first)),
        squareform(pdist(second)),
        np.linalg.norm(first - second, axis=1),
    )
    order = np.random.default_rng(5).random((1, 9)).argsort(axis=1)[0]
    subset = np.flatnonzero(order < 6)
    expected = scipy_divergence(pdist(first[subset]), pdist(second[subset]), 6)
    row = sample_size.power(*arguments, sizes=[6], repeats=1, seed=5)[0]
    assert row.mean == pytest.approx(expected, abs=2e-3)


def test_spread_shrinks_with_the_number_of_images():
    first, second = activations(17, n=120), activations(18, n=120, scale=1.1)
    matrices = squareform(pdist(first)), squareform(pdist(second))
    rows = sample_size.power(
        *matrices, np.linalg.norm(first - second, axis=1), [10, 30], repeats=60
    )
    spreads = {row.n_images: row.sd for row in rows if row.comparison == COMPARISONS[0]}
    assert spreads[30] < 0.8 * spreads[10]


def distances_of(first, second):
    return (
        squareform(pdist(first)),
        squareform(pdist(second)),
        np.linalg.norm(first - second, axis=1),
    )


def clustered(seed, photographs, crops):
    """Images of photographs, half of whose variance is common to a photograph's crops."""
    generator = np.random.default_rng(seed)
    common = np.repeat(generator.normal(size=(photographs, 30)), crops, axis=0)
    first = (common + generator.normal(size=common.shape)) / 2**0.5
    second = 1.15 * first + 0.5 * generator.normal(size=common.shape)
    return distances_of(first, second), np.repeat(np.arange(photographs), crops)


def test_spread_is_that_of_so_many_independent_images():
    # 20 images at a time, anew each time, against subsets of 160 crops of 20 photographs
    fresh = [divergence.divergences(*clustered(s, 20, 1)[0], resamples=0)[0] for s in range(150)]
    truth = np.std([row.divergence for row in fresh], ddof=1)
    rows = []
    for seed in range(12):
        matrices, photographs = clustered(1000 + seed, 20, 8)
        rows.append(
            sample_size.power(*matrices, [20], repeats=60, seed=seed, photographs=photographs)[0]
        )
    # 20 photographs and 60 subsets: 18 and 9 % of error, of 12 of them 6 %; of the truth 6 %
    assert np.mean([row.sd for row in rows]) == pytest.approx(truth, rel=0.25)
    assert sum(row.sd_low < truth < row.sd_high for row in rows) >= 9


def test_overlap_of_subsets_is_made_good():
    # without it, subsets of 40 of 80 would seem to differ less by 1 / sqrt(2)
    matrices, _ = clustered(3, 80, 1)
    row = sample_size.power(*matrices, [40], repeats=200)[0]
    first, second = (
        np.random.default_rng(0)
        .random((200, 80))
        .argsort(axis=1)
        .reshape(200, 2, 40)
        .swapaxes(0, 1)
    )
    halves = [
        [
            divergence.divergences(
                *(m[np.ix_(h, h)] for m in matrices[:2]), matrices[2][h], resamples=0
            )[0].divergence
            for h in half
        ]
        for half in (first, second)
    ]
    # two halves of one set have no image in common, so that their difference is not understated
    apart = np.std(np.subtract(*halves), ddof=1) / 2**0.5
    assert row.sd == pytest.approx(apart, rel=0.25)


def test_crops_that_are_alike_make_a_spread_no_surer():
    generator = np.random.default_rng(4)
    first = np.repeat(generator.normal(size=(10, 30)), 8, axis=0)
    second = 1.2 * first + np.repeat(0.5 * generator.normal(size=(10, 30)), 8, axis=0)
    own = np.repeat(np.arange(10), 8)
    samples = divergence.samples_of(*distances_of(first, second), own)
    pair = divergence.compared(samples, COMPARISONS[0])
    by_photograph, by_image = (
        sample_size._variance_factors(pair, numbers, np.random.default_rng(0)).std()
        for numbers in (own, np.arange(80))
    )
    # eight images that are one: its share of the variance is known an eighth as often
    assert by_photograph == pytest.approx(8**0.5 * by_image, rel=0.15)


def test_no_subset_is_of_one_photograph():
    photographs = np.repeat(np.arange(3), 10)
    drawn = sample_size._subsets(photographs, 3, 500, np.random.default_rng(0))
    assert drawn.shape == (500, 30)
    assert (drawn.sum(axis=1) == 3).all()
    assert min(len(set(photographs[row > 0])) for row in drawn) == 2


def test_room_is_decided_at_the_largest_number_of_images():
    rows = [
        dict.fromkeys(CONDITION_KEY, "any")
        | {"evaluator": name, "comparison": COMPARISONS[0], "n_images": n, "mean": mean}
        for name, means in {"a": (0.5, 0.99), "b": (0.99, 0.5), "c": (0.01, 0.02)}.items()
        for n, mean in zip((20, 80), means, strict=True)
    ]
    table = pd.DataFrame(rows, index=range(10, 16)).iloc[::-1]
    found = sample_size.has_room(table)
    assert table.loc[found, "evaluator"].tolist() == ["b", "b"]
    nats = table.assign(mean=table["mean"] * np.log(2))
    pd.testing.assert_series_equal(sample_size.has_room(nats, Convention(base="e")), found)


def test_pairs_within_a_photograph_do_not_count():
    matrices, photographs = clustered(5, 6, 4)
    found = divergence.samples_of(*matrices, photographs)
    assert found["reference-reference"].values.size == 24 * 20 / 2
    assert found["reference-metamer"].values.size == 24
    with pytest.raises(ValueError, match="2 images are too few"):
        divergence.samples_of(*matrices, np.repeat([0, 1], 12))


def test_photographs_are_resampled_with_all_their_crops():
    counts = divergence._resampled_counts(np.repeat(np.arange(5), 3), 50, seed=0)
    assert (counts.reshape(50, 5, 3).std(axis=2) == 0).all()
    assert (counts.sum(axis=1) == 15).all()


def test_power_refuses_more_images_than_there_are():
    matrix = np.zeros((4, 4))
    with pytest.raises(ValueError, match="possible are 3 to 4"):
        sample_size.power(matrix, matrix, np.zeros(4), [5])
