"""Claims on accuracy and the course of training: hand-made values on both sides of each threshold."""

import numpy as np
import pytest

from cifarcam.studies.claims import Verdict, accuracy

# Of three values m - d, m, m + d Student's interval is m ± 2.484 d: 4.3027 d / sqrt 3.
WIDTH = 2.4841


def three(mean, step=0.01):
    return [mean - step, mean, mean + step]


@pytest.mark.parametrize(
    ("percent", "verdict"),
    [
        (three(71.5 + 1.99), Verdict.FITTED),
        (three(71.5 - 1.99), Verdict.FITTED),
        (three(71.5 + 2.04), Verdict.CONTRADICTED),
        (three(71.5 - 2.04), Verdict.CONTRADICTED),
        (three(71.5 + 2.04, step=1), Verdict.UNDECIDED),
        ([71.6], Verdict.FITTED),
        ([75.0, 75.1], Verdict.UNDECIDED),
    ],
)
def test_final_is_fitted_within_the_tolerance_and_never_reproduced(percent, verdict):
    finding = accuracy.final("test", percent)
    assert finding.verdict is verdict
    assert finding.effect.value == pytest.approx(np.mean(percent) - 71.5)
    assert finding.by_seed == pytest.approx([value - 71.5 for value in percent])


def test_final_compares_the_original_with_one_more_seed():
    # Of 70, 72, 74 the mean is 72 and the half width 4.3027 * 2 * sqrt(4 / 3) = 9.94.
    sentence = accuracy.final("test", [70, 72, 74]).sentence
    assert "between 62.1 and 81.9%. The original's value lies within that interval" in sentence
    # Of 72.4, 72.5, 72.6 it is 0.50.
    sentence = accuracy.final("test", three(72.5, 0.1)).sentence
    assert "between 72.0 and 73.0%. The original's value lies outside that interval" in sentence
    assert "one more seed" not in accuracy.final("test", [72.5]).sentence


@pytest.mark.parametrize(
    ("split", "percent", "verdict"),
    [
        ("training", three(70 + WIDTH + 0.01, 1), Verdict.REPRODUCED),
        ("training", three(70 + WIDTH - 0.01, 1), Verdict.UNDECIDED),
        ("training", three(80 - WIDTH - 0.01, 1), Verdict.REPRODUCED),
        ("training", three(80 - WIDTH + 0.01, 1), Verdict.UNDECIDED),
        ("training", three(80 + WIDTH - 0.01, 1), Verdict.UNDECIDED),
        ("training", three(80 + WIDTH + 0.01, 1), Verdict.CONTRADICTED),
        ("test", three(75.1), Verdict.CONTRADICTED),
        ("test", three(74.9), Verdict.REPRODUCED),
        ("test", three(64.9), Verdict.CONTRADICTED),
        ("test", [70.0, 70.0], Verdict.UNDECIDED),
        ("test", [70.0], Verdict.UNDECIDED),
    ],
)
def test_table_needs_the_interval_over_seeds_in_the_range(split, percent, verdict):
    finding = accuracy.table(split, percent)
    assert finding.verdict is verdict
    assert (verdict is Verdict.UNDECIDED) == ("cannot tell" in finding.sentence)
    assert np.isnan(finding.effect.p)  # the middle of the range is no hypothesis


def curves(first, late, count=3):
    """`count` curves of ten epochs that begin at `first` and end with `late` and `late`."""
    return [np.array([first, *[0.5] * 7, *late]) for _ in range(count)]


@pytest.mark.parametrize(
    ("late", "count", "verdict"),
    [
        ((0.42, 0.4201), 3, Verdict.REPRODUCED),
        ((0.42, 0.4199), 3, Verdict.CONTRADICTED),
        ((0.60, 0.60), 2, Verdict.UNDECIDED),
    ],
)
def test_plateau_rises_by_more_than_two_points(late, count, verdict):
    finding = accuracy.plateau_rises(curves(0.4, late, count))
    assert finding.verdict is verdict
    assert finding.effect.value == pytest.approx(100 * (np.mean(late) - 0.4))


def test_plateau_rises_is_undecided_where_seeds_disagree():
    seeds = [curves(0.4, (late, late))[0] for late in (0.41, 0.45, 0.50)]
    finding = accuracy.plateau_rises(seeds)
    assert finding.verdict is Verdict.UNDECIDED
    assert "because seeds differ too much" in finding.sentence


@pytest.mark.parametrize(
    ("late", "count", "verdict"),
    [
        ((0.70, 0.7199), 3, Verdict.REPRODUCED),
        ((0.70, 0.7201), 3, Verdict.CONTRADICTED),
        ((0.70, 0.70), 2, Verdict.UNDECIDED),
    ],
)
def test_plateau_level_varies_by_at_most_two_points(late, count, verdict):
    finding = accuracy.plateau_level(curves(0.4, late, count))
    assert finding.verdict is verdict
    assert "over the last 2 epochs" in finding.sentence


@pytest.mark.parametrize(
    ("baseline", "verdict"),
    [
        (three(79.9), Verdict.REPRODUCED),
        (three(80.1), Verdict.CONTRADICTED),
        (three(80.0), Verdict.UNDECIDED),
        ([60.0, 61.0], Verdict.UNDECIDED),
    ],
)
def test_plateau_below_compares_with_the_weakest_deep_network(baseline, verdict):
    finding = accuracy.plateau_below(baseline, {"strong": three(99), "weak": three(90)})
    assert finding.verdict is verdict
    assert ", weak 90.0%)" in finding.sentence
    assert finding.effect.value == pytest.approx(np.mean(baseline) - 90)


def test_plateau_below_is_undecided_with_one_deep_seed():
    finding = accuracy.plateau_below(three(60), {"deep": [90.0]})
    assert finding.verdict is Verdict.UNDECIDED
    assert "Too few seeds" in finding.sentence


def test_accuracy_conditions_have_the_ids_of_their_claims():
    for claim in accuracy.CLAIMS:
        assert all(one.id.startswith(f"{claim.id}.") for one in claim.conditions)
