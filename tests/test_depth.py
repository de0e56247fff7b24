"""Depth against confusion: partial correlations in closed form, confusions by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from cifarcam.data import CLASS_NAMES
from cifarcam.errors import CifarcamError
from cifarcam.studies import depth, networks

TWELVE = np.arange(12.0)
MIXED = np.array([5, 0, 9, 3, 11, 7, 1, 8, 2, 10, 4, 6.0])  # rank correlation with TWELVE: 0.126


def test_partial_rank_correlation_is_that_of_the_closed_form():
    rng = np.random.default_rng(3)
    x, y, z = rng.normal(size=(3, 15))
    y, x = y + z, x + z
    xy, xz, yz = (stats.spearmanr(*pair).statistic for pair in ((x, y), (x, z), (y, z)))
    expected = (xy - xz * yz) / math.sqrt((1 - xz**2) * (1 - yz**2))
    effect = depth.partial_rank_correlation(x, y, z)
    assert effect.value == pytest.approx(expected, abs=1e-12)
    assert effect.count == 15
    # Fisher's interval with Bonett and Wright's variance and 15 - 1 networks
    half = 1.959964 * math.sqrt((1 + expected**2 / 2) / 11)
    assert effect.low == pytest.approx(math.tanh(math.atanh(expected) - half), abs=1e-6)
    assert effect.high == pytest.approx(math.tanh(math.atanh(expected) + half), abs=1e-6)


def test_partial_rank_correlation_keeps_its_level_without_an_effect():
    rng = np.random.default_rng(0)
    p_values = []
    for _ in range(200):
        z = rng.normal(size=12)
        x, y = z + rng.normal(size=(2, 12))
        p_values.append(depth.partial_rank_correlation(x, y, z).p)
    assert 0.01 <= np.mean(np.array(p_values) < 0.05) <= 0.10


def test_partial_rank_correlation_refuses_what_has_none():
    with pytest.raises(CifarcamError, match="at least five networks"):
        depth.partial_rank_correlation([1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4])
    with pytest.raises(CifarcamError, match="constant at equal ranks"):
        depth.partial_rank_correlation(TWELVE, MIXED, TWELVE)


def test_confusions_count_both_ways_and_average_over_seeds():
    cat, dog = CLASS_NAMES.index("cat"), CLASS_NAMES.index("dog")
    one = 10 * np.eye(10)
    one[cat, cat], one[cat, dog], one[cat, 0] = 4, 5, 1
    one[dog, dog], one[dog, cat] = 8, 2
    two = 10 * np.eye(10)
    two[dog, dog], two[dog, cat] = 9, 1
    data = depth.confusions({"net": [one, two], "other": [two]}, {"net": 5})
    assert data.names == ("net", "other")
    assert data.depth[0] == 5
    assert math.isnan(data.depth[1])
    assert data.accuracy.tolist() == pytest.approx([(92 + 99) / 2, 99])
    assert data.counts[:, 0].tolist() == [(7 + 1) / 2, 1]
    assert data.shares[:, 0].tolist() == pytest.approx([(100 * 7 / 8 + 100) / 2, 100])
    assert data.counts[:, 1:].tolist() == [[0, 0], [0, 0]]
    assert data.of_known_depth().names == ("net",)
    with pytest.raises(CifarcamError, match="perfect makes no mistakes"):
        depth.confusions({"perfect": [10 * np.eye(10)]}, {})


def test_confusion_matrix_has_true_classes_in_rows():
    matrix = depth.confusion_matrix(np.array([1, 1, 0], np.uint8), np.array([0, 0, 9]))
    assert matrix[0, 1] == 2
    assert matrix[9, 0] == 1
    assert matrix.sum() == 3


def test_the_smallest_p_value_counts_the_orders_of_the_networks():
    assert depth.smallest_p([5, 5, 8, 17, 18]) == pytest.approx(2 / 60)  # two orders of 5! / 2!
    assert depth.smallest_p([1, 1, 1]) == 1


@pytest.mark.slow
def test_depths_are_those_of_the_networks():
    from cifarcam import models
    from cifarcam.models import cost
    from cifarcam.training import experiment

    names = {"baseline": "baseline"} | dict(networks.LONG)
    for name, layers in depth.DEPTHS.items():
        settings = experiment.find(names[name])
        assert cost.depth(models.build(settings.architecture, settings.options)) == layers
