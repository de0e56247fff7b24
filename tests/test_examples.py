"""Examples of a class: which images a chapter shows."""

import numpy as np
import pytest

from cifarcam import report
from cifarcam.errors import CifarcamError


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
