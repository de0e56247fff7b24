"""The rule on classical methods: hand-made accuracies on both sides, and paired tests."""

import numpy as np
import pytest

from cifarcam.studies import inference
from cifarcam.studies.claims import Verdict, classical


def test_cnn_over_classical_compares_with_the_best_method():
    methods = {"linear SVM on pixels": 40.0, "random forest on pixels": 50.0}
    above = classical.cnn_over_classical([72.0, 73.0, 74.0], methods)
    assert above.verdict is Verdict.REPRODUCED
    assert above.effect.value == pytest.approx(23)
    assert "more accurate than the best classical method, a random forest" in above.sentence
    assert "79.6% (Coates et al. 2011), more than the baseline's 73.0%" in above.sentence
    below = classical.cnn_over_classical([47.0, 48.0, 47.5], methods)
    assert below.verdict is Verdict.CONTRADICTED
    assert "less accurate" in below.sentence
    between = classical.cnn_over_classical([49.0, 50.0, 52.0], methods)
    assert between.verdict is Verdict.UNDECIDED
    assert "cannot tell" in between.sentence
    assert classical.cnn_over_classical([72.0, 73.0], methods).verdict is Verdict.UNDECIDED
    assert "Coates" not in classical.cnn_over_classical([80.0, 80.1, 80.2], methods).sentence


def test_cnn_over_classical_reports_the_paired_tests_only_where_all_agree():
    methods = {"linear SVM on pixels": 40.0}
    right, wrong = np.ones(100, bool), np.zeros(100, bool)
    clear = inference.paired_over_images(right, wrong)
    equal = inference.paired_over_images(right, right)
    agreeing = classical.cnn_over_classical([72.0, 73.0, 74.0], methods, [clear] * 3)
    assert (
        "For each seed, McNemar's test on the same images agrees (p < 0.001)." in agreeing.sentence
    )
    mixed = classical.cnn_over_classical([72.0, 73.0, 74.0], methods, [clear, clear, equal])
    assert "McNemar" not in mixed.sentence
