"""Claims on pairs and single classes: hand-made values on both sides of each threshold."""

import numpy as np
import pytest

from cifarcam.studies.claims import Verdict, confusion
from cifarcam.studies.claims import scores as rules

NAMES = tuple("abcd")  # six pairs, so that twice an even share is a third


def matrix(**mistakes):
    """Counts with a hundred right predictions of each class and `ab=3` times a taken for b."""
    counts = 100 * np.eye(4, dtype=int)
    for pair, count in mistakes.items():
        counts[NAMES.index(pair[0]), NAMES.index(pair[1])] = count
    return counts


SECOND = matrix(ab=3, ba=4, cd=8)  # a-b second with 7 of 15 mistakes, c-d first
FIRST = matrix(ab=3, ba=6, cd=8)
THIRD = matrix(ab=3, cd=8, ac=4)


@pytest.mark.parametrize(
    ("seeds", "worst", "verdict"),
    [
        ([SECOND] * 3, 2, Verdict.REPRODUCED),
        ([SECOND, FIRST, FIRST], 2, Verdict.REPRODUCED),
        ([THIRD] * 3, 2, Verdict.CONTRADICTED),
        ([SECOND, SECOND, THIRD], 2, Verdict.UNDECIDED),
        ([FIRST] * 3, 1, Verdict.REPRODUCED),
        ([SECOND] * 3, 1, Verdict.CONTRADICTED),
        ([FIRST, FIRST, SECOND], 1, Verdict.UNDECIDED),
        ([FIRST] * 2, 1, Verdict.UNDECIDED),
    ],
)
def test_pair_rank_needs_all_seeds_to_agree(seeds, worst, verdict):
    for pair in (("a", "b"), ("b", "a")):
        assert confusion.pair_rank(seeds, NAMES, pair, worst).verdict is verdict


def test_pair_rank_names_the_ranks_of_the_seeds():
    finding = confusion.pair_rank([FIRST, SECOND, THIRD], NAMES, ("a", "b"), 2)
    assert finding.by_seed == (1, 2, 3)
    assert "(ranks 1 to 3)" in finding.sentence


@pytest.mark.parametrize(
    ("others", "count", "verdict"),
    [
        ((199, 199, 199), 3, Verdict.REPRODUCED),  # 100 of 299, above a third
        ((201, 201, 201), 3, Verdict.CONTRADICTED),  # 100 of 301
        ((150, 200, 250), 3, Verdict.UNDECIDED),
        ((100, 100), 2, Verdict.UNDECIDED),
    ],
)
def test_pair_share_is_compared_with_twice_an_even_share(others, count, verdict):
    seeds = [matrix(ab=60, ba=40, cd=other) for other in others]
    finding = confusion.pair_share(seeds, NAMES, ("a", "b"))
    assert finding.verdict is verdict
    assert finding.effect.null == pytest.approx(100 / 3)
    assert finding.effect.count == count
    assert finding.by_seed[0] == pytest.approx(10_000 / (100 + others[0]))


@pytest.mark.parametrize(
    ("first", "verdict"),
    [
        ((0.61, 0.61, 0.61), Verdict.REPRODUCED),
        ((0.59, 0.59, 0.59), Verdict.CONTRADICTED),
        ((0.55, 0.60, 0.66), Verdict.UNDECIDED),
        ((0.90, 0.90), Verdict.UNDECIDED),
    ],
)
def test_high_precision_lies_above_the_mean_of_the_classes(first, verdict):
    scores = np.array([[value, 0.5, 0.6, 0.7] for value in first])
    finding = rules.high_precision(scores, NAMES, "a")
    assert finding.verdict is verdict
    # The mean of the classes counts the class itself.
    assert finding.by_seed == pytest.approx([75 * (value - 0.6) for value in first])


def ten(rank, value=0.5):
    """Scores of ten classes of which the first, a, has this rank and the others are 0.1 apart."""
    others = value + 0.1 * np.array([rank - 1 - place for place in range(9)]) - 0.05
    return np.array([value, *others])


@pytest.mark.parametrize(
    ("ranks", "verdict"),
    [
        ((8, 9, 10), Verdict.REPRODUCED),
        ((7, 7, 7), Verdict.CONTRADICTED),
        ((7, 8, 8), Verdict.UNDECIDED),
        ((10, 10), Verdict.UNDECIDED),
    ],
)
def test_low_recall_ranks_eighth_or_worse_with_every_seed(ranks, verdict):
    scores = np.array([ten(rank) for rank in ranks])
    finding = rules.low_recall(scores, tuple("abcdefghij"), "a")
    assert finding.verdict is verdict


def test_low_recall_says_whether_the_next_class_can_be_distinguished():
    names = tuple("abcdefghij")
    apart = np.array([[0.50, 0.60, *[0.9] * 8], [0.51, 0.61, *[0.9] * 8], [0.5, 0.6, *[0.9] * 8]])
    sentence = rules.low_recall(apart, names, "a").sentence
    assert "It is lower than the recall of the next class, b (−10.0 points" in sentence
    near = np.array([[0.50, 0.60, *[0.9] * 8], [0.60, 0.55, *[0.9] * 8], [0.5, 0.51, *[0.9] * 8]])
    sentence = rules.low_recall(near, names, "a").sentence
    assert "cannot tell it from the recall of the next class, b" in sentence
    best = np.array([[0.95, *[0.9] * 9]] * 3)
    assert "next class" not in rules.low_recall(best, names, "a").sentence


@pytest.mark.parametrize(
    ("spreads", "verdict"),
    [
        ((0.101, 0.101, 0.101), Verdict.REPRODUCED),
        ((0.099, 0.099, 0.099), Verdict.CONTRADICTED),
        ((0.05, 0.10, 0.16), Verdict.UNDECIDED),
        ((0.3, 0.3), Verdict.UNDECIDED),
    ],
)
def test_uneven_scores_differ_by_more_than_ten_points(spreads, verdict):
    scores = np.array([[0.5, 0.5 + spread, 0.5, 0.5] for spread in spreads])
    finding = rules.uneven(scores, NAMES)
    assert finding.verdict is verdict
    assert finding.by_seed == pytest.approx([100 * spread for spread in spreads])
    assert "for b)" in finding.sentence


def test_every_branch_of_a_rule_has_a_sentence_of_its_own():
    findings = [
        confusion.pair_rank(seeds, NAMES, ("a", "b"), worst)
        for seeds in ([FIRST] * 3, [THIRD] * 3, [FIRST, SECOND, THIRD], [FIRST])
        for worst in (1, 2)
    ]
    assert all(one.sentence.endswith(").") for one in findings)
    assert len({one.sentence.split(" (")[0] for one in findings}) == 7
