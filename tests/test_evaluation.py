"""Metrics against values computed by hand, closed forms, and a perfect and a worst toy model."""

import json
import math
from itertools import combinations

import numpy as np
import pytest

from cifarcam import evaluation
from cifarcam.data import CLASS_NAMES
from cifarcam.errors import CifarcamError


def confident(predicted, confidence, classes=10):
    """Probabilities that give `predicted` its `confidence` and share out the rest evenly."""
    predicted = np.asarray(predicted)
    confidence = np.broadcast_to(confidence, predicted.shape).astype(np.float64)
    rest = (1 - confidence) / (classes - 1)
    probabilities = np.repeat(rest[:, None], classes, axis=1)
    probabilities[np.arange(len(predicted)), predicted] = confidence
    return probabilities


# Airplanes: four right, one taken for an automobile. Automobiles: one right, two taken for
# airplanes. Birds: both right. Nothing else is there or is predicted.
LABELS = np.array([0, 0, 0, 0, 0, 1, 1, 1, 2, 2])
PREDICTED = np.array([0, 0, 0, 0, 1, 1, 0, 0, 2, 2])
PROBABILITIES = confident(PREDICTED, 0.82)


def test_wilson_interval_by_hand():
    # z = 1.959964: (0.8 + z²/20 ± z sqrt(0.016 + z²/400)) / (1 + z²/10)
    low, high = evaluation.wilson_interval(8, 10)
    assert low == pytest.approx(0.490162, abs=1e-6)
    assert high == pytest.approx(0.943318, abs=1e-6)


def test_wilson_interval_of_none_and_of_all_has_a_closed_form():
    z_squared = 1.959963984540054**2
    low, high = evaluation.wilson_interval(0, 10)
    assert low == pytest.approx(0)
    assert high == pytest.approx(z_squared / (10 + z_squared))
    low, high = evaluation.wilson_interval(10, 10)
    assert low == pytest.approx(10 / (10 + z_squared))
    assert high == pytest.approx(1)


def test_wilson_interval_at_one_standard_deviation():
    # z = 1, half of 4: 0.5 ± sqrt(1/16 + 1/64) / (1 + 1/4) = 0.5 ± 1 / (2 sqrt 5)
    low, high = evaluation.wilson_interval(2, 4, level=math.erf(1 / math.sqrt(2)))
    assert low == pytest.approx(0.5 - 1 / (2 * math.sqrt(5)))
    assert high == pytest.approx(0.5 + 1 / (2 * math.sqrt(5)))


@pytest.mark.parametrize(
    "arguments", [(1, 0), (0, 0), (-1, 5), (6, 5), (2, 5, 0.0), (2, 5, 1.0), (2, 5, math.nan)]
)
def test_wilson_interval_refuses_what_is_no_proportion(arguments):
    with pytest.raises(CifarcamError):
        evaluation.wilson_interval(*arguments)


def test_evaluate_accuracy_and_confusion_by_hand():
    metrics = evaluation.evaluate(PROBABILITIES, LABELS, CLASS_NAMES)
    assert metrics["count"] == 10
    assert metrics["accuracy"] == pytest.approx(0.7)
    assert metrics["accuracy_interval"] == list(evaluation.wilson_interval(7, 10))
    expected = np.zeros((10, 10), int)
    expected[:3, :3] = [[4, 1, 0], [2, 1, 0], [0, 0, 2]]
    np.testing.assert_array_equal(metrics["confusion"], expected)


def test_evaluate_precision_recall_and_f1_by_hand():
    metrics = evaluation.evaluate(PROBABILITIES, LABELS, CLASS_NAMES)
    by_hand = {
        "airplane": (4 / 6, 4 / 5, 8 / 11, 5),
        "automobile": (1 / 2, 1 / 3, 2 / 5, 3),
        "bird": (1, 1, 1, 2),
    }
    assert tuple(metrics["per_class"]) == CLASS_NAMES
    for name, scores in metrics["per_class"].items():
        # A class that neither occurs nor is predicted scores 0.
        assert tuple(scores.values()) == pytest.approx(by_hand.get(name, (0, 0, 0, 0))), name
        assert tuple(scores) == ("precision", "recall", "f1", "support")


def test_evaluate_averages_by_hand():
    metrics = evaluation.evaluate(PROBABILITIES, LABELS, CLASS_NAMES)
    assert metrics["macro"] == pytest.approx(
        {"precision": 13 / 60, "recall": 16 / 75, "f1": 117 / 550}
    )
    assert metrics["weighted"] == pytest.approx(
        {"precision": 41 / 60, "recall": 0.7, "f1": 376 / 550}
    )


def test_evaluate_cross_entropy_is_in_nats():
    metrics = evaluation.evaluate(PROBABILITIES, LABELS, CLASS_NAMES)
    by_hand = -(7 * math.log(0.82) + 3 * math.log(0.02)) / 10
    assert metrics["cross_entropy"] == pytest.approx(by_hand)
    even = np.full((4, 10), 0.1)
    assert evaluation.evaluate(even, np.arange(4), CLASS_NAMES)["cross_entropy"] == pytest.approx(
        math.log(10)
    )


def test_evaluate_cross_entropy_of_a_zero_probability_is_finite():
    metrics = evaluation.evaluate(confident([3], 1.0), np.array([4]), CLASS_NAMES)
    assert metrics["cross_entropy"] == pytest.approx(126 * math.log(2))


def test_evaluate_a_perfect_classifier():
    labels = np.repeat(np.arange(10), 3)
    metrics = evaluation.evaluate(confident(labels, 1.0), labels, CLASS_NAMES)
    assert metrics["accuracy"] == 1
    assert metrics["cross_entropy"] == 0
    assert metrics["expected_calibration_error"] == 0
    assert metrics["macro"] == metrics["weighted"] == {"precision": 1, "recall": 1, "f1": 1}


def test_evaluate_does_not_depend_on_the_order_of_images():
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.full(10, 0.3), 500).astype(np.float32)
    labels = generator.integers(0, 10, 500)
    order = generator.permutation(500)
    first = evaluation.evaluate(probabilities, labels, CLASS_NAMES)
    second = evaluation.evaluate(probabilities[order], labels[order], CLASS_NAMES)
    for key in ("cross_entropy", "expected_calibration_error"):
        assert second.pop(key) == pytest.approx(first.pop(key))
    assert second == first


def test_evaluate_passes_through_json_unchanged():
    metrics = evaluation.evaluate(PROBABILITIES.astype(np.float32), LABELS, CLASS_NAMES)
    assert json.loads(json.dumps(metrics)) == metrics


def test_calibration_of_a_calibrated_toy_is_perfect():
    labels = np.zeros(20, int)
    predicted = np.array([0] * 8 + [1] * 2 + [0] * 6 + [1] * 4)
    probabilities = confident(predicted, np.repeat([0.8, 0.6], 10))
    metrics = evaluation.calibration(probabilities, labels)
    assert metrics.error == pytest.approx(0, abs=1e-12)
    filled = np.flatnonzero(metrics.count)
    # Fifteenths: 0.6 is the upper edge of the ninth bin, 0.8 of the twelfth.
    np.testing.assert_array_equal(filled, [8, 11])
    np.testing.assert_array_equal(metrics.count[filled], [10, 10])
    np.testing.assert_allclose(metrics.confidence[filled], [0.6, 0.8])
    np.testing.assert_allclose(metrics.accuracy[filled], [0.6, 0.8])
    assert np.isnan(np.delete(metrics.confidence, filled)).all()
    assert np.isnan(np.delete(metrics.accuracy, filled)).all()


def test_calibration_of_certain_and_wrong_predictions_is_worst():
    metrics = evaluation.calibration(confident([1, 2, 3], 1.0), np.array([0, 0, 0]))
    assert metrics.error == 1
    assert metrics.count[-1] == 3
    assert metrics.accuracy[-1] == 0


def test_calibration_by_hand_in_one_and_two_bins():
    # Right at 0.4; right, right and wrong at 0.9.
    probabilities = confident([0, 0, 0, 1], [0.4, 0.9, 0.9, 0.9])
    labels = np.zeros(4, int)
    two = evaluation.calibration(probabilities, labels, bins=2)
    np.testing.assert_allclose(two.confidence, [0.4, 0.9])
    np.testing.assert_allclose(two.accuracy, [1, 2 / 3])
    assert two.error == pytest.approx((1 * 0.6 + 3 * (0.9 - 2 / 3)) / 4)
    one = evaluation.calibration(probabilities, labels, bins=1)
    assert one.error == pytest.approx(0.775 - 0.75)


def test_confused_pairs_by_hand():
    confusion = np.diag(np.full(10, 50))
    confusion[3, 5], confusion[5, 3] = 7, 5
    confusion[0, 8] = 6
    confusion[9, 1] = 6
    confusion[1, 2] = 1
    pairs = evaluation.confused_pairs(confusion.tolist())
    assert [(p.first, p.second, p.count, p.rank) for p in pairs[:5]] == [
        (3, 5, 12, 1),
        (0, 8, 6, 2),
        (1, 9, 6, 2),
        (1, 2, 1, 4),
        (0, 1, 0, 5),
    ]
    assert [p.share for p in pairs[:4]] == pytest.approx([12 / 25, 6 / 25, 6 / 25, 1 / 25])
    assert sorted((p.first, p.second) for p in pairs) == list(combinations(range(10), 2))
    assert {p.rank for p in pairs[4:]} == {5}


def test_confused_pairs_shares_add_up_to_one():
    confusion = np.random.default_rng(1).integers(0, 90, (10, 10))
    pairs = evaluation.confused_pairs(confusion)
    assert sum(p.share for p in pairs) == pytest.approx(1)
    assert sum(p.count for p in pairs) == confusion.sum() - np.trace(confusion)
    assert [p.count for p in pairs] == sorted((p.count for p in pairs), reverse=True)


def test_confused_pairs_without_a_mistake():
    pairs = evaluation.confused_pairs(np.diag(np.arange(10)))
    assert {(p.count, p.share, p.rank) for p in pairs} == {(0, 0.0, 1)}


def test_most_confident_mistakes_and_their_order():
    predicted = np.array([0, 1, 2, 3, 4, 5])
    labels = np.array([0, 9, 9, 3, 9, 9])
    probabilities = confident(predicted, [0.99, 0.5, 0.8, 0.3, 0.5, 0.6])
    indices = evaluation.most_confident_mistakes(probabilities, labels, 3)
    assert indices.tolist() == [2, 5, 1]  # of the tie of 1 and 4 the earlier image
    assert indices.dtype == np.int64
    assert evaluation.most_confident_mistakes(probabilities, labels, 9).tolist() == [2, 5, 1, 4]
    assert evaluation.most_confident_mistakes(probabilities, labels, 0).tolist() == []
    assert evaluation.most_confident_mistakes(probabilities, predicted, 3).tolist() == []
    with pytest.raises(CifarcamError):
        evaluation.most_confident_mistakes(probabilities, labels, -1)


@pytest.mark.parametrize(
    ("probabilities", "labels", "complaint"),
    [
        (np.full((2, 10), 0.1), np.array([0, 1, 2]), "do not fit"),
        (np.full(10, 0.1), np.array([0]), "do not fit"),
        (np.full((2, 10), 0.1), np.array([[0], [1]]), "do not fit"),
        (np.empty((0, 10)), np.empty(0, int), "at least 1"),
        (np.full((1, 10), 0.2), np.array([0]), "do not sum to 1"),
        (np.array([[1.5, -0.5]]), np.array([0]), "do not sum to 1"),
        (np.array([[np.nan, 1.0]]), np.array([0]), "do not sum to 1"),
        (np.full((1, 10), 0.1), np.array([10]), "labels run from 10 to 10"),
        (np.full((1, 10), 0.1), np.array([-1]), "labels run from -1 to -1"),
        (np.full((1, 10), 0.1), np.array([3.0]), "integers"),
    ],
)
@pytest.mark.parametrize(
    "function",
    [
        lambda *arguments: evaluation.evaluate(*arguments, CLASS_NAMES),
        evaluation.calibration,
        lambda *arguments: evaluation.most_confident_mistakes(*arguments, 1),
    ],
)
def test_evaluation_refuses_bad_predictions(function, probabilities, labels, complaint):
    with pytest.raises(CifarcamError, match=complaint):
        function(probabilities, labels)


def test_evaluation_refuses_other_bad_input():
    with pytest.raises(CifarcamError, match="2 class names"):
        evaluation.evaluate(PROBABILITIES, LABELS, class_names=("a", "b"))
    with pytest.raises(CifarcamError, match="0 bins"):
        evaluation.calibration(PROBABILITIES, LABELS, bins=0)
    with pytest.raises(CifarcamError, match="square of counts"):
        evaluation.confused_pairs(np.ones((3, 4), int))
    with pytest.raises(CifarcamError, match="square of counts"):
        evaluation.confused_pairs(-np.ones((3, 3), int))
