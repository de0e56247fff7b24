"""Examples of a class: which images a chapter shows."""

import numpy as np
import pytest

from cifarcam import report
from cifarcam.errors import CifarcamError
from cifarcam.studies.examples import seen


def test_examples_follow_their_rules():
    probabilities = np.array(
        [[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8], [0.05, 0.95], [0.0, 1.0], [0.8, 0.2]]
    )
    labels = np.array([0, 0, 0, 0, 0, 1, 0])
    examples = report.choose_examples(probabilities, labels, 0)
    # Right by confidence: 0, 6, 2, 1, whose lower middle is 2; the surest wrong one is 4.
    rules = [(e.rule, e.index, e.predicted, e.target) for e in examples]
    assert rules == [
        ("surest right", 0, 0, 0),
        ("median right", 2, 0, 0),
        ("surest wrong", 4, 1, 1),
        ("surest wrong", 4, 1, 0),
    ]
    assert examples[2].title(["cat", "dog"]) == "cat as dog (95%): map for dog"
    assert examples[1].title(["cat", "dog"]) == "cat (70%): map for cat"
    only = report.choose_examples(probabilities, labels, 1)
    assert [(e.rule, e.index) for e in only] == [("surest right", 5)]
    with pytest.raises(CifarcamError, match="class 2"):
        report.choose_examples(probabilities, labels, 2)
    with pytest.raises(CifarcamError, match="labels"):
        report.choose_examples(probabilities, labels[1:], 0)


def test_seen_counts_maps_whose_evidence_lies_on_the_object():
    picture = np.full((16, 16, 3), 20, np.uint8)
    picture[4:12, 4:12] = 230  # a quarter of the area
    on, beside, blank, mixed = heatmaps = np.zeros((4, 16, 16))
    on[5, 5] = 1
    beside[0, 0] = 1
    mixed[5:9, 5] = 1  # 4 of 13 on the object, which is more than a quarter
    mixed[0, :9] = 1.01  # the highest value lies beside it
    found = seen(np.stack([picture] * 4), heatmaps)
    assert (found.maps, found.on_object, found.peaks) == (3, 2, 1)
    assert "in 2 of 3 maps" in found.sentence
    assert "in 1 of 3 maps" in found.sentence
    both = seen(np.stack([picture] * 2), np.stack([on, on]))
    assert (both.maps, both.on_object, both.peaks) == (2, 2, 2)
    assert seen(picture[None], beside[None]).sentence.count("no map") == 2
    assert seen(picture[None], blank[None]).maps == 0
    assert seen(picture[None][:0], blank[None][:0]).maps == 0
