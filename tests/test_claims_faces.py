"""Rules on faces of cats: hand-made values on both sides of each threshold, and no faces."""

import pytest

from cifarcam.studies.claims import Verdict, faces


@pytest.mark.parametrize(
    ("judge", "more", "less"),
    [
        (faces.energy, "holds a larger share", "holds a smaller share"),
        (faces.over_centre, "The face holds more", "An equal box in"),
        (faces.removal, "loses more", "loses less"),
    ],
)
@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([1.0, 1.2, 1.4], Verdict.REPRODUCED),
        ([-1.0, -1.2, -1.4], Verdict.CONTRADICTED),
        ([-1.0, 0.2, 1.4], Verdict.UNDECIDED),
        ([1.0, 1.2], Verdict.UNDECIDED),
        ([3.0], Verdict.UNDECIDED),
    ],
)
def test_rules_on_faces_have_a_sentence_for_each_outcome(judge, more, less, values, verdict):
    found = judge(values, 120)
    assert found.verdict is verdict
    assert found.effect.count == len(values)
    assert {
        Verdict.REPRODUCED: more in found.sentence,
        Verdict.CONTRADICTED: less in found.sentence,
        Verdict.UNDECIDED: "cannot tell" in found.sentence,
    }[verdict]
    assert found.sentence.endswith(".")


def test_without_marked_faces_the_claim_is_not_tested():
    for judge in (faces.energy, faces.over_centre, faces.removal):
        found = judge([], 0)
        assert found.verdict is Verdict.NOT_TESTED
        assert found.effect is None
