"""Published answers of people and of networks, and how far the one follows the other."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from metamers.analysis import feather2023, human_alignment
from metamers.analysis.human_alignment import Answers
from metamers.storage import result_tables, tables


def answers_of(people, networks, layers=3):
    """Return answers of which column k is of network k // layers."""
    n = people.shape[1]
    names = [(1, f"network_{k // layers}", f"layer_{k % layers}") for k in range(n)]
    conditions = pd.DataFrame(names, columns=human_alignment.CONDITION)
    return Answers(conditions, people, np.ones(len(people), dtype=np.int64), networks)


def test_published_data_are_whole():
    people, networks = feather2023.people(), feather2023.networks()
    assert (people["network"].nunique(), networks["maker"].nunique()) == (30, 20)
    assert set(networks["maker"]) == set(networks["judge"])
    assert people["human"].between(0, 1).all()
    assert networks["correct_16"].between(0, 1).all()


def test_correlation_is_that_of_an_independent_computation():
    people = feather2023.people().groupby(["experiment", "network", "layer"])["human"].mean()
    networks = feather2023.networks().query("maker != judge")
    shares = networks.groupby(["maker", "layer"])["correct_16"].mean()
    both = [
        (round(mean, 9), round(shares[network, layer], 9))
        for (_, network, layer), mean in people.items()
        if (network, layer) in shares.index
    ]
    value, low, high = human_alignment.correlation(
        human_alignment.answers(), np.random.default_rng(0)
    )
    assert len(both) == 185
    assert value == pytest.approx(spearmanr(*zip(*both, strict=True)).statistic, abs=1e-12)
    assert 0.7 < low < value < high < 1


def test_shares_that_have_nothing_to_do_with_each_other_give_an_interval_around_zero():
    generator = np.random.default_rng(1)
    found = answers_of(generator.random((12, 60)), generator.random((9, 60)))
    _, low, high = human_alignment.correlation(found, generator)
    assert low < 0 < high


def test_few_networks_give_a_wider_interval_than_many():
    generator = np.random.default_rng(2)
    depth = generator.random(90)
    people, networks = (depth + 0.3 * generator.random((10, 90)) for _ in range(2))
    widths = []
    for n in (9, 90):
        found = answers_of(people[:, :n], networks[:, :n])
        _, low, high = human_alignment.correlation(found, generator)
        widths.append(high - low)
    assert widths[0] > widths[1]


def test_makers_do_not_judge_their_own_metamers():
    found = human_alignment.answers()
    makers = found.conditions["network"].nunique()
    assert (np.isnan(found.networks).sum(axis=0) == 1).all()
    assert makers == len(found.networks) == 20


def test_table_is_as_declared_and_the_same_for_the_same_seed(tmp_path):
    table = human_alignment.human_alignment(0)
    tables.write(result_tables.HUMAN_ALIGNMENT, table, tmp_path / "human_alignment.parquet")
    assert table.equals(human_alignment.human_alignment(0))
    for name in ("people", "networks"):
        assert table[name].between(table[f"{name}_low"], table[f"{name}_high"]).all()
