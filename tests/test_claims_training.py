"""The rules on dropout and augmentation: both sides of each threshold, and too few seeds."""

import json
import math

import numpy as np
import pytest
from helpers import ROOT

from cifarcam.errors import CifarcamError
from cifarcam.studies import ingredients
from cifarcam.studies.claims import CLAIMS, Sources, Verdict, judge, training

WITHOUT = np.array([10.0, 12.0, 11.0])
RULES = {
    "dropout gap": lambda after, before: training.dropout_gap(after, before, 12),
    "dropout loss": lambda after, before: training.dropout_loss(after, before, 12),
    "shifts": lambda after, before: training.augmentation_shifts(after, before, 8),
    "augmentation gap": lambda after, before: training.augmentation_gap(after, before, 8),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        # Three differences of mean m and deviation s have the interval m +- 4.3027 s / sqrt(3).
        ([-4.0, -3.0, -2.0], Verdict.REPRODUCED),  # -3 +- 2.48
        ([-3.4, -2.4, -1.4], Verdict.UNDECIDED),  # -2.4 +- 2.48
        ([3.4, 2.4, 1.4], Verdict.UNDECIDED),
        ([4.0, 3.0, 2.0], Verdict.CONTRADICTED),
    ],
)
def test_rule_follows_the_paired_interval(rule, change, verdict):
    finding = rule(WITHOUT + change, WITHOUT)
    assert finding.verdict is verdict
    assert finding.effect.value == pytest.approx(np.mean(change))
    half = 4.302652729911275 / math.sqrt(3)  # of differences with a deviation of 1
    assert finding.effect.high - finding.effect.value == pytest.approx(half)
    assert finding.effect.test == "paired t"
    assert finding.by_seed == pytest.approx(change)
    assert "3 seeds" in finding.basis


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("seeds", [1, 2])
def test_rule_is_undecided_over_too_few_seeds(rule, seeds):
    finding = rule((WITHOUT - 5)[:seeds], WITHOUT[:seeds])
    assert finding.verdict is Verdict.UNDECIDED
    assert "cannot tell whether" in finding.sentence and "(−5.0" in finding.sentence
    assert "nan" not in finding.sentence


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_sentence_is_chosen_by_the_outcome_and_names_the_length(rule):
    sentences = {rule(WITHOUT + c, WITHOUT).sentence for c in ([-4, -3, -2], [-1, 0, 1], [2, 3, 4])}
    assert len({sentence.partition("(")[0] for sentence in sentences}) == 3
    assert all("epochs" in sentence and sentence.endswith(".") for sentence in sentences)


def test_rotation_is_not_tested_whatever_was_measured():
    for change in ([-4.0, -3.0, -2.0], [4.0, 3.0, 2.0]):
        finding = training.augmentation_rotation(WITHOUT + change, WITHOUT)
        assert finding.verdict is Verdict.NOT_TESTED
        assert finding.effect.value == pytest.approx(np.mean(change))
    assert "+3.0 [0.5, 5.5] points" in finding.sentence


def test_pairs_are_of_the_seeds_that_both_sides_have():
    after, before = ingredients.pairs({2: 7.0, 0: 5.0, 3: 1.0}, {0: 4.0, 1: 9.0, 2: 2.0})
    np.testing.assert_array_equal(after, [5, 7])
    np.testing.assert_array_equal(before, [4, 2])
    with pytest.raises(CifarcamError, match=r"seeds \[0\] and \[1\]; give two sides"):
        ingredients.pairs({0: 1.0}, {1: 1.0})


def test_findings_are_those_of_the_record():
    findings = judge(Sources(), "dropout-helps", "augmentation-helps")
    assert list(findings) == [
        "dropout-helps.gap",
        "dropout-helps.loss",
        "augmentation-helps.shifts",
        "augmentation-helps.gap",
        "augmentation-helps.rotation",
    ]
    record = json.loads((ROOT / "runs" / "records" / "ablation.json").read_text())
    without, with_ = record["dropout"]
    assert (without["rate"], with_["rate"] > 0) == (0.0, True)
    gaps = [
        100 * np.array([run["train"] - run["validation"] for run in arm["trainings"]])
        for arm in (without, with_)
    ]
    assert findings["dropout-helps.gap"].by_seed == pytest.approx(gaps[1] - gaps[0])
    before, after = record["steps"][2:4]
    assert after["ingredient"] == "flips and shifts"
    lost = [
        100 * np.array([run["validation"] - run["validation_shifted"] for run in line["trainings"]])
        for line in (before, after)
    ]
    assert findings["augmentation-helps.shifts"].by_seed == pytest.approx(lost[1] - lost[0])


def test_every_condition_begins_with_the_name_of_its_claim():
    for claim in CLAIMS:
        for condition in claim.conditions:
            assert condition.id.split(".")[0] == claim.id
