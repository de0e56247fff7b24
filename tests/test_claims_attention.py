"""The rule on attention: both sides of its threshold, too few seeds, and no weights."""

import numpy as np
import pytest

from cifarcam.studies.claims import Verdict, attention


@pytest.mark.parametrize(
    ("difference", "verdict", "words"),
    [
        (-5.0, Verdict.REPRODUCED, "lowers"),
        (5.0, Verdict.CONTRADICTED, "raises"),
        (-0.1, Verdict.UNDECIDED, "cannot tell"),
    ],
)
def test_attention_is_compared_with_the_network_without_it(difference, verdict, words):
    without = np.array([10.0, 10.5, 11.0])
    found = attention.lowers(without + difference, without, [], "the measure")
    assert found.verdict is verdict
    assert words in found.sentence
    assert found.effect.value == pytest.approx(difference)


@pytest.mark.parametrize("seeds", [1, 2])
def test_attention_with_too_few_seeds_is_open_and_told_against_the_noise_of_seeds(seeds):
    found = attention.lowers([1.0] * seeds, [9.0] * seeds, [20.0, 22.0, 24.0], "the measure")
    assert found.verdict is Verdict.UNDECIDED
    assert "−8.0 points" in found.sentence
    assert "standard deviation of 2.0 points" in found.sentence
    alone = attention.lowers([1.0], [9.0], [20.0], "the measure")
    assert "standard deviation" not in alone.sentence


def test_attention_without_weights_is_not_tested():
    found = attention.lowers([], [1.0, 2.0], [1.0, 2.0], "the measure")
    assert found.verdict is Verdict.NOT_TESTED
    assert found.effect is None
