"""Rules on depth: hand-made confusions that fall, rise, or do neither."""

import numpy as np
import pytest

from cifarcam.studies.claims import Verdict, depth
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


def test_counts_fall_needs_all_three_pairs_after_holm():
    falling = depth.counts_fall(confusions(TWELVE, TWELVE, same(-TWELVE)), "published")
    assert falling.verdict is Verdict.REPRODUCED
    assert falling.effect.value == pytest.approx(-1)
    rising = depth.counts_fall(confusions(TWELVE, TWELVE, same(TWELVE)), "published")
    assert rising.verdict is Verdict.CONTRADICTED
    neither = depth.counts_fall(confusions(TWELVE, TWELVE, same(MIXED)), "published")
    assert neither.verdict is Verdict.UNDECIDED
    assert neither.sentence.startswith("Deeper networks confuse no pair less often beyond chance")
    one = np.stack([-TWELVE, MIXED, MIXED], axis=1)
    some = depth.counts_fall(confusions(TWELVE, TWELVE, one), "published")
    assert some.verdict is Verdict.UNDECIDED
    assert "Deeper networks confuse cats with dogs less often, but not all" in some.sentence
    assert some.basis.endswith("effect for automobile and truck")


def test_counts_of_five_networks_are_too_few_for_a_verdict():
    five = [5, 5, 8, 17, 18]
    finding = depth.counts_fall(confusions(five, five, same([9, 8, 7, 3, 1])), "of our")
    assert finding.verdict is Verdict.UNDECIDED
    assert finding.sentence.startswith("Too few of our networks have a comparable depth")


def test_share_falls_names_the_pairs_for_which_it_does():
    data = confusions(TWELVE, TWELVE, same(TWELVE), same(-TWELVE))
    assert depth.share_falls(data).verdict is Verdict.REPRODUCED
    rising = depth.share_falls(confusions(TWELVE, TWELVE, same(MIXED), same(TWELVE)))
    assert rising.verdict is Verdict.CONTRADICTED
    one = np.stack([-TWELVE, MIXED, MIXED], axis=1)
    some = depth.share_falls(confusions(TWELVE, TWELVE, same(MIXED), one))
    assert some.verdict is Verdict.UNDECIDED
    assert some.sentence.startswith("Confusion of cats with dogs takes a smaller share")
    none = depth.share_falls(confusions(TWELVE, TWELVE, one, same(MIXED)))
    assert none.verdict is Verdict.UNDECIDED
    assert none.sentence.startswith("No pair's share")


def test_equal_accuracy_says_whether_accuracy_or_depth_explains_the_counts():
    by_depth = depth.counts_fall_at_equal_accuracy(
        confusions(TWELVE, MIXED, same(-TWELVE + 2 * (TWELVE % 2)))
    )
    assert by_depth.verdict is Verdict.REPRODUCED
    assert by_depth.sentence.startswith("At equal accuracy, too, deeper networks")
    rising = depth.counts_fall_at_equal_accuracy(
        confusions(TWELVE, MIXED, same(TWELVE + 2 * (TWELVE % 2)))
    )
    assert rising.verdict is Verdict.CONTRADICTED
    # The counts are in the order of accuracy but for neighbours that change places, which has
    # nothing to do with depth.
    swapped = TWELVE.reshape(6, 2)[:, ::-1].ravel()
    follows = depth.counts_fall_at_equal_accuracy(confusions(MIXED, TWELVE, same(-swapped)))
    assert follows.verdict is Verdict.UNDECIDED
    assert follows.sentence.startswith("The counts follow accuracy rather than depth")
