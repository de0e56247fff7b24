"""Rules on deep networks: hand-made accuracies on both sides of each threshold."""

import math

import numpy as np
import pytest

from cifarcam.studies.claims import Verdict, networks


def test_deep_over_90_needs_the_whole_interval_on_one_side():
    above = networks.deep_over_90("ResNet-18", [95.0, 95.2, 95.4])
    assert above.verdict is Verdict.REPRODUCED
    assert above.sentence.startswith(
        "ResNet-18 classifies more than 90% of the test images correctly (mean 95.2%"
    )
    assert above.by_seed == (95.0, 95.2, 95.4)
    below = networks.deep_over_90("AlexNet", [88.0, 88.2, 88.4])
    assert below.verdict is Verdict.CONTRADICTED
    assert "fewer than 90%" in below.sentence
    # 90.2 +- 4.303 * 0.2 / sqrt(3) = 90.2 +- 0.497, which holds 90
    between = networks.deep_over_90("VGG-19", [90.0, 90.2, 90.4])
    assert between.verdict is Verdict.UNDECIDED
    assert between.effect.low == pytest.approx(90.2 - 4.302653 * 0.2 / math.sqrt(3))
    assert "cannot tell" in between.sentence


@pytest.mark.parametrize("percent", [[95.0], [95.0, 95.1]])
def test_deep_over_90_is_undecided_with_fewer_than_three_seeds(percent):
    finding = networks.deep_over_90("ResNet-18", percent)
    assert finding.verdict is Verdict.UNDECIDED
    assert "cannot tell" in finding.sentence
    assert "nan" not in finding.sentence


def test_densenet_is_not_tested_whatever_its_accuracy():
    finding = networks.densenet_over_90(3, 88.7, np.array([True] * 19 + [False]))
    assert finding.verdict is Verdict.NOT_TESTED
    assert "3 epochs give 88.7%" in finding.sentence
    assert "95.0% of the test images" in finding.sentence
    assert finding.effect is None


def test_densenet_over_resnet_is_not_tested_and_says_the_published_order():
    better, worse = np.ones(400, bool), np.arange(400) >= 20
    finding = networks.densenet_over_resnet(3, 40, better, worse)
    assert finding.verdict is Verdict.NOT_TESTED
    assert finding.effect.value == pytest.approx(5)
    assert "DenseNet-BC is more accurate than ResNet-110" in finding.sentence
    assert "less accurate" in networks.densenet_over_resnet(3, 40, worse, better).sentence
    assert "cannot be told apart" in networks.densenet_over_resnet(3, 40, worse, worse).sentence
