"""Networks compared: hand-made accuracies and confusions on both sides of each rule."""

import math

import numpy as np
import pytest
from scipy import stats

from cifarcam.data import CLASS_NAMES
from cifarcam.errors import CifarcamError
from cifarcam.studies import depth, inference, networks
from cifarcam.studies.claims import networks as claims
from cifarcam.studies.claims.base import Verdict
from cifarcam.studies.depth import Confusions


def confusions(layers, accuracy, counts, shares=None):
    counts = np.asarray(counts, float)
    return Confusions(
        tuple(f"network {k}" for k in range(len(layers))),
        np.asarray(layers, float),
        np.asarray(accuracy, float),
        counts,
        counts if shares is None else np.asarray(shares, float),
    )


def same(column):
    """Three pairs with the same values."""
    return np.stack([np.asarray(column, float)] * 3, axis=1)


TWELVE = np.arange(12.0)
MIXED = np.array([5, 0, 9, 3, 11, 7, 1, 8, 2, 10, 4, 6.0])  # rank correlation with TWELVE: 0.126


def test_deep_over_90_needs_the_whole_interval_on_one_side():
    above = claims.deep_over_90("ResNet-18", [95.0, 95.2, 95.4])
    assert above.verdict is Verdict.REPRODUCED
    assert above.sentence.startswith("ResNet-18 passes 90% of the test images (mean 95.2%")
    assert above.by_seed == (95.0, 95.2, 95.4)
    below = claims.deep_over_90("AlexNet", [88.0, 88.2, 88.4])
    assert below.verdict is Verdict.CONTRADICTED
    assert "does not reach 90%" in below.sentence
    # 90.2 +- 4.303 * 0.2 / sqrt(3) = 90.2 +- 0.497, which holds 90
    between = claims.deep_over_90("VGG-19", [90.0, 90.2, 90.4])
    assert between.verdict is Verdict.UNDECIDED
    assert between.effect.low == pytest.approx(90.2 - 4.302653 * 0.2 / math.sqrt(3))
    assert "is open" in between.sentence


@pytest.mark.parametrize("percent", [[95.0], [95.0, 95.1]])
def test_deep_over_90_is_undecided_with_fewer_than_three_seeds(percent):
    finding = claims.deep_over_90("ResNet-18", percent)
    assert finding.verdict is Verdict.UNDECIDED
    assert "is open" in finding.sentence
    assert "nan" not in finding.sentence


def test_densenet_is_not_tested_whatever_its_accuracy():
    finding = claims.densenet_over_90(3, 88.7, np.array([True] * 19 + [False]))
    assert finding.verdict is Verdict.NOT_TESTED
    assert "3 epochs give 88.7%" in finding.sentence
    assert "95.0% of the test images" in finding.sentence
    assert finding.effect is None


def test_densenet_over_resnet_is_not_tested_and_says_the_published_order():
    better, worse = np.ones(400, bool), np.arange(400) >= 20
    finding = claims.densenet_over_resnet(3, 40, better, worse)
    assert finding.verdict is Verdict.NOT_TESTED
    assert finding.effect.value == pytest.approx(5)
    assert "DenseNet-BC is more accurate than ResNet-110" in finding.sentence
    assert "less accurate" in claims.densenet_over_resnet(3, 40, worse, better).sentence
    assert "cannot be told apart" in claims.densenet_over_resnet(3, 40, worse, worse).sentence


def test_cnn_over_classical_compares_with_the_best_method():
    methods = {"linear SVM on pixels": 40.0, "random forest on pixels": 50.0}
    above = claims.cnn_over_classical([72.0, 73.0, 74.0], methods)
    assert above.verdict is Verdict.REPRODUCED
    assert above.effect.value == pytest.approx(23)
    assert "more accurate than the best classical method, a random forest" in above.sentence
    assert "79.6% (Coates et al. 2011), more than the baseline's 73.0%" in above.sentence
    below = claims.cnn_over_classical([47.0, 48.0, 47.5], methods)
    assert below.verdict is Verdict.CONTRADICTED
    assert "less accurate" in below.sentence
    between = claims.cnn_over_classical([49.0, 50.0, 52.0], methods)
    assert between.verdict is Verdict.UNDECIDED
    assert "is open" in between.sentence
    assert claims.cnn_over_classical([72.0, 73.0], methods).verdict is Verdict.UNDECIDED
    assert "Coates" not in claims.cnn_over_classical([80.0, 80.1, 80.2], methods).sentence


def test_cnn_over_classical_reports_the_paired_tests_only_where_all_agree():
    methods = {"linear SVM on pixels": 40.0}
    right, wrong = np.ones(100, bool), np.zeros(100, bool)
    clear = inference.paired_over_images(right, wrong)
    equal = inference.paired_over_images(right, right)
    agreeing = claims.cnn_over_classical([72.0, 73.0, 74.0], methods, [clear] * 3)
    assert "On each seed McNemar's test on the same images agrees (p < 0.001)." in agreeing.sentence
    mixed = claims.cnn_over_classical([72.0, 73.0, 74.0], methods, [clear, clear, equal])
    assert "McNemar" not in mixed.sentence


def test_counts_fall_needs_all_three_pairs_after_holm():
    falling = claims.counts_fall(confusions(TWELVE, TWELVE, same(-TWELVE)), "published")
    assert falling.verdict is Verdict.REPRODUCED
    assert falling.effect.value == pytest.approx(-1)
    rising = claims.counts_fall(confusions(TWELVE, TWELVE, same(TWELVE)), "published")
    assert rising.verdict is Verdict.CONTRADICTED
    neither = claims.counts_fall(confusions(TWELVE, TWELVE, same(MIXED)), "published")
    assert neither.verdict is Verdict.UNDECIDED
    assert neither.sentence.startswith("No pair is confused less often by deeper networks")
    one = np.stack([-TWELVE, MIXED, MIXED], axis=1)
    some = claims.counts_fall(confusions(TWELVE, TWELVE, one), "published")
    assert some.verdict is Verdict.UNDECIDED
    assert "Deeper networks confuse cats with dogs less often, but not all" in some.sentence
    assert some.basis.endswith("the effect is that of automobile and truck")


def test_counts_of_five_networks_are_too_few_for_a_verdict():
    five = [5, 5, 8, 17, 18]
    assert depth.smallest_p(five) == pytest.approx(2 / 60)  # two orders of 5! / 2!
    assert depth.smallest_p([1, 1, 1]) == 1
    finding = claims.counts_fall(confusions(five, five, same([9, 8, 7, 3, 1])), "of our")
    assert finding.verdict is Verdict.UNDECIDED
    assert finding.sentence.startswith("Too few of our networks have a comparable depth")


def test_share_falls_names_the_pairs_for_which_it_does():
    data = confusions(TWELVE, TWELVE, same(TWELVE), same(-TWELVE))
    assert claims.share_falls(data).verdict is Verdict.REPRODUCED
    rising = claims.share_falls(confusions(TWELVE, TWELVE, same(MIXED), same(TWELVE)))
    assert rising.verdict is Verdict.CONTRADICTED
    one = np.stack([-TWELVE, MIXED, MIXED], axis=1)
    some = claims.share_falls(confusions(TWELVE, TWELVE, same(MIXED), one))
    assert some.verdict is Verdict.UNDECIDED
    assert some.sentence.startswith("Confusion of cats with dogs takes a smaller share")
    none = claims.share_falls(confusions(TWELVE, TWELVE, one, same(MIXED)))
    assert none.verdict is Verdict.UNDECIDED
    assert none.sentence.startswith("For no pair")


def test_equal_accuracy_says_whether_accuracy_or_depth_explains_the_counts():
    by_depth = claims.counts_fall_at_equal_accuracy(
        confusions(TWELVE, MIXED, same(-TWELVE + 2 * (TWELVE % 2)))
    )
    assert by_depth.verdict is Verdict.REPRODUCED
    assert by_depth.sentence.startswith("At equal accuracy, too, deeper networks")
    rising = claims.counts_fall_at_equal_accuracy(
        confusions(TWELVE, MIXED, same(TWELVE + 2 * (TWELVE % 2)))
    )
    assert rising.verdict is Verdict.CONTRADICTED
    # The counts are in the order of accuracy but for neighbours that change places, which has
    # nothing to do with depth.
    swapped = TWELVE.reshape(6, 2)[:, ::-1].ravel()
    follows = claims.counts_fall_at_equal_accuracy(confusions(MIXED, TWELVE, same(-swapped)))
    assert follows.verdict is Verdict.UNDECIDED
    assert follows.sentence.startswith("The counts follow accuracy rather than depth")


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


def test_ranking_compares_neighbours_with_holm():
    ranked = networks.ranking(
        {"low": [70.0, 71.0, 72.0], "high": [90.0, 90.1, 90.2], "middle": [71.0, 72.0, 73.0]}
    )
    assert [one.name for one in ranked] == ["high", "middle", "low"]
    first, second, last = ranked
    assert first.lead.value == pytest.approx(90.1 - 72)
    assert second.lead.value == pytest.approx(1)
    p = [stats.ttest_ind([71, 72, 73], [70, 71, 72], equal_var=False).pvalue]
    assert second.adjusted == pytest.approx(p[0])  # the larger of two p-values stays
    assert first.adjusted == pytest.approx(2 * first.lead.p)
    assert first.is_ahead
    assert not second.is_ahead
    assert last.lead is None
    assert not last.is_ahead


def test_ranking_tests_no_neighbour_of_a_single_seed():
    ranked = networks.ranking({"a": [95.0], "b": [90.0, 90.1], "c": [80.0, 80.1, 80.2]})
    assert math.isnan(ranked[0].adjusted)
    assert ranked[1].adjusted == pytest.approx(ranked[1].lead.p)


@pytest.mark.slow
def test_depths_are_those_of_the_networks():
    from cifarcam import models
    from cifarcam.models import cost
    from cifarcam.training import experiment

    names = {"baseline": "baseline"} | dict(networks.LONG)
    for name, layers in depth.DEPTHS.items():
        settings = experiment.find(names[name])
        assert cost.depth(models.build(settings.architecture, settings.options)) == layers
