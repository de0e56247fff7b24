"""The claims on LIME and SHAP beside Grad-CAM, and on the cost of explaining."""

import numpy as np
import pytest

from cifarcam.studies.claims import explanations
from cifarcam.studies.claims.base import Verdict

NOISE = np.random.default_rng(0).normal(0, 0.1, 40)


def road(*gains, other="lime"):
    """Seeds whose mean map is above the better of the two (0.3 on the first 25 images) by a gain."""
    few = NOISE[:25] - NOISE[:25].mean()
    return [
        {
            "grad-cam": np.concatenate([0.3 + few, np.full(15, 0.9)]),
            other: 0.1 + few,
            f"grad-cam+{other}": 0.3 + gain + few,
        }
        for gain in gains
    ]


@pytest.mark.parametrize(
    ("gains", "verdict", "words"),
    [
        ((0.04, 0.05, 0.06), Verdict.REPRODUCED, "LIME complements Grad-CAM:"),
        ((-0.04, -0.05, -0.06), Verdict.CONTRADICTED, "LIME does not complement Grad-CAM:"),
        ((0.05, -0.05, 0.01), Verdict.UNDECIDED, "cannot tell"),
        ((0.04, 0.05), Verdict.UNDECIDED, "Too few seeds"),
        ((0.05,), Verdict.UNDECIDED, "Too few seeds"),
        ((), Verdict.NOT_TESTED, "did not measure"),
    ],
)
def test_complement_compares_the_mean_map_with_the_better_of_two(gains, verdict, words):
    finding = explanations.complement(road(*gains), "lime")
    assert finding.verdict is verdict and words in finding.sentence
    np.testing.assert_allclose(finding.by_seed, gains, atol=1e-12)


def test_complement_takes_the_better_of_the_two_alone():
    seeds = road(0.02, 0.02, 0.02, other="shap")
    for values in seeds:
        values["shap"] = values["shap"] + 0.3  # now 0.4, and the mean map has 0.32
    finding = explanations.complement(seeds, "shap")
    np.testing.assert_allclose(finding.by_seed, -0.08)
    assert finding.verdict is Verdict.CONTRADICTED and "SHAP" in finding.sentence


def test_complement_is_not_tested_where_the_mean_map_was_not_measured():
    finding = explanations.complement([{"grad-cam": NOISE, "lime": NOISE}], "lime")
    assert finding.verdict is Verdict.NOT_TESTED and finding.effect is None


def test_no_cost_is_true_by_construction():
    assert explanations.no_cost().verdict is Verdict.NOT_TESTED
