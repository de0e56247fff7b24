"""Rules on backgrounds: hand-made values on both sides of each threshold, and too few seeds."""

import math

import numpy as np
import pytest

from cifarcam.studies.claims import Verdict, backgrounds

UP, DOWN, MIXED, FEW = [1.0, 1.2, 1.4], [-1.0, -1.2, -1.4], [-1.0, 0.2, 1.4], [1.0, 1.2]
OUTCOMES = [
    (UP, Verdict.REPRODUCED),
    (DOWN, Verdict.CONTRADICTED),
    (MIXED, Verdict.UNDECIDED),
    (FEW, Verdict.UNDECIDED),
    ([3.0], Verdict.UNDECIDED),
]


def excess(values, others=0.5):
    """Seeds x 3 classes, the class of index 1 with the values given."""
    return np.stack([np.array([others, value, -9.0]) for value in values])


@pytest.mark.parametrize(("values", "verdict"), OUTCOMES)
def test_background_energy_is_judged_by_its_interval_over_seeds(values, verdict):
    found = backgrounds.energy(excess(values), 1, "airplane", "the baseline")
    assert found.verdict is verdict
    assert found.effect.value == pytest.approx(np.mean(values))
    assert found.by_seed == tuple(values)
    assert "the airplane maps of the baseline" in found.sentence


def test_background_energy_says_in_words_what_the_interval_says():
    def sentence(values, others=0.5):
        return backgrounds.energy(excess(values, others), 1, "airplane", "the baseline").sentence

    assert "holds a larger share of the energy" in sentence(UP)
    assert "+1.2 points, 95% interval over 3 seeds +0.7 to +1.7" in sentence(UP)
    assert "holds a smaller share of the energy" in sentence(DOWN)
    assert "cannot tell whether" in sentence(MIXED)
    assert "seeds lie on both sides of zero" in sentence(MIXED)
    assert "both sides" not in sentence(FEW)
    assert "+3.0 points, one seed" in sentence([3.0])


@pytest.mark.parametrize(
    ("values", "others", "words"),
    [
        (UP, 0.5, "airplane ranks first of the ten classes with every seed"),
        (UP, 1.3, "airplane ranks first or second of the ten classes, depending on the seed"),
        (UP, 2.0, "airplane ranks second of the ten classes with every seed"),
        ([1.0], 2.0, "airplane ranks second of the ten classes."),
    ],
)
def test_background_energy_tells_the_rank_among_the_classes(values, others, words):
    found = backgrounds.energy(excess(values, others), 1, "airplane", "the baseline")
    assert words in found.sentence


RULES = {
    "swap": (lambda v: backgrounds.swap(v, "airplane", "deer"), "keeps less", "keeps more"),
    "helps": (backgrounds.helps, "loses probability", "gains probability"),
    "misleads": (backgrounds.misleads, "fewer objects", "more objects"),
    "border": (
        lambda v: backgrounds.border(np.array(v)[:, np.newaxis]),
        "take more of their evidence",
        "take less of their evidence",
    ),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("values", "verdict"), OUTCOMES)
def test_rules_over_seeds_have_a_sentence_for_each_outcome(rule, values, verdict):
    judge, more, less = RULES[rule]
    found = judge(values)
    assert found.verdict is verdict
    assert found.effect.count == len(values)
    assert {
        Verdict.REPRODUCED: more in found.sentence,
        Verdict.CONTRADICTED: less in found.sentence,
        Verdict.UNDECIDED: "cannot tell" in found.sentence,
    }[verdict]
    assert found.sentence.endswith(".")


def test_the_border_rule_takes_the_mean_over_classes_and_leaves_empty_classes_out():
    difference = np.array([[1.0, 3.0, math.nan], [2.0, math.nan, math.nan], [0.0, 2.0, 4.0]])
    found = backgrounds.border(difference)
    assert found.by_seed == (2.0, 2.0, 2.0)
    assert found.verdict is Verdict.REPRODUCED  # an interval without a width
