"""Predictions -> metrics, with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist
from typing import Any

import numpy as np
from scipy.special import stdtrit
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from cifarcam.data import CLASS_NAMES
from cifarcam.errors import CifarcamError

CALIBRATION_BINS = 15
SMALLEST_PROBABILITY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Calibration:
    """Confidence against accuracy in bins of equal width over (0, 1].

    `confidence` and `accuracy` are the bins' means, 0-1, NaN where `count` is zero. `error` is
    the expected calibration error, 0-1 (Guo et al. 2017, eq. 3).
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray
    error: float


@dataclass(frozen=True)
class ConfusedPair:
    """Two classes taken for each other.

    `count` is the number of mistakes in both directions, `share` (0-1) their part of all
    mistakes, `rank` (from 1) the pair's place among all pairs by count.
    """

    first: int
    second: int
    count: int
    share: float
    rank: int


def wilson_interval(correct: int, count: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927).

    Parameters
    ----------
    correct, count
        Successes among trials.
    level
        Confidence, between 0 and 1, both excluded.

    Returns
    -------
    tuple of float
        Lower and upper bound, 0-1.

    Raises
    ------
    CifarcamError
        When `count` is not positive, `correct` is not from 0 to `count`, or `level` is no
        confidence.
    """
    if not 0 <= correct <= count or count == 0:
        raise CifarcamError(f"{correct} correct of {count}: not a proportion")
    if not 0 < level < 1:
        raise CifarcamError(f"level is {level}; give a number between 0 and 1")
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = correct / count
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return max(0.0, middle - half), min(1.0, middle + half)


def evaluate(
    probabilities: np.ndarray, labels: np.ndarray, class_names: Sequence[str] = CLASS_NAMES
) -> dict[str, Any]:
    """All metrics of some predictions, ready for JSON.

    Parameters
    ----------
    probabilities
        Float, N x C, rows summing to 1.
    labels
        Integers 0 to C - 1, N.
    class_names
        C names.

    Returns
    -------
    dict
        ``count``; ``accuracy`` and its 95% Wilson ``accuracy_interval``, 0-1;
        ``cross_entropy`` in nats; ``confusion``, C x C, rows true and columns predicted;
        ``per_class`` precision, recall, F1 (0-1) and support by class name; their ``macro`` and
        ``weighted`` averages; ``expected_calibration_error``, 0-1. A precision of a class that
        is never predicted is 0.

    Raises
    ------
    CifarcamError
        When there is no image, shapes do not match, labels are out of range, rows are not
        probabilities, or there are more or fewer names than classes.
    """
    _check(probabilities, labels)
    names = list(class_names)
    if len(names) != probabilities.shape[1]:
        raise CifarcamError(f"{len(names)} class names for {probabilities.shape[1]} classes")
    predicted = probabilities.argmax(axis=1)
    correct = int((predicted == labels).sum())
    classes = np.arange(probabilities.shape[1])
    scores = precision_recall_fscore_support(labels, predicted, labels=classes, zero_division=0)
    truth = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    averages = {
        kind: precision_recall_fscore_support(
            labels, predicted, labels=classes, average=kind, zero_division=0
        )
        for kind in ("macro", "weighted")
    }
    return {
        "count": len(labels),
        "accuracy": correct / len(labels),
        "accuracy_interval": list(wilson_interval(correct, len(labels))),
        "cross_entropy": float(-np.log(np.maximum(truth, SMALLEST_PROBABILITY)).mean()),
        "confusion": confusion_matrix(labels, predicted, labels=classes).tolist(),
        "per_class": {
            name: {
                "precision": float(scores[0][index]),
                "recall": float(scores[1][index]),
                "f1": float(scores[2][index]),
                "support": int(scores[3][index]),
            }
            for index, name in enumerate(names)
        },
        **{
            kind: dict(zip(("precision", "recall", "f1"), map(float, values[:3]), strict=True))
            for kind, values in averages.items()
        },
        "expected_calibration_error": calibration(probabilities, labels).error,
    }


def calibration(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = CALIBRATION_BINS
) -> Calibration:
    """How far the probability of the predicted class can be taken at its word.

    Parameters
    ----------
    probabilities
        Float, N x C, rows summing to 1.
    labels
        Integers, N.
    bins
        How many bins of equal width, at least 1; a bin holds its upper edge, not its lower.

    Raises
    ------
    CifarcamError
        As `evaluate` does, and when `bins` is less than 1.
    """
    _check(probabilities, labels)
    if bins < 1:
        raise CifarcamError(f"{bins} bins; give at least 1")
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = (probabilities.argmax(axis=1) == labels).astype(np.float64)
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    filled = np.where(count > 0, count, np.nan)
    mean_confidence = np.bincount(place, confidence, bins) / filled
    mean_accuracy = np.bincount(place, correct, bins) / filled
    gaps = np.nan_to_num(np.abs(mean_accuracy - mean_confidence))
    error = float((gaps * count).sum() / count.sum())
    return Calibration(mean_confidence, mean_accuracy, count, error)


def confused_pairs(confusion: np.ndarray | Sequence[Sequence[int]]) -> list[ConfusedPair]:
    """All unordered pairs of classes, the most confused first.

    Ties share the better rank and stand in the order of their class numbers.

    Parameters
    ----------
    confusion
        Counts, C x C, rows true and columns predicted.

    Raises
    ------
    CifarcamError
        When it is not a square of counts.
    """
    matrix = np.asarray(confusion)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or (matrix < 0).any():
        raise CifarcamError(f"a confusion matrix is a square of counts, not {matrix.shape}")
    both = matrix + matrix.T
    mistakes = int(matrix.sum() - np.trace(matrix))
    counts = {(i, j): int(both[i, j]) for i, j in combinations(range(len(matrix)), 2)}
    ordered = sorted(counts, key=lambda pair: (-counts[pair], pair))
    return [
        ConfusedPair(
            first=i,
            second=j,
            count=counts[i, j],
            share=counts[i, j] / mistakes if mistakes else 0.0,
            rank=1 + sum(other > counts[i, j] for other in counts.values()),
        )
        for i, j in ordered
    ]


def rank_of(values: Mapping[str, float], name: str) -> int:
    """The place (from 1) of one name's value among all, the highest first; ties share the better.

    Raises
    ------
    CifarcamError
        When there is no such name.
    """
    if name not in values:
        raise CifarcamError(f"{name!r} is not one of {', '.join(values)}")
    return 1 + sum(value > values[name] for value in values.values())


def most_confident_mistakes(
    probabilities: np.ndarray, labels: np.ndarray, count: int
) -> np.ndarray:
    """Indices (int64) of at most `count` wrong predictions, the most confident first.

    Ties stand in the order of the images.

    Raises
    ------
    CifarcamError
        As `evaluate` does, and when `count` is negative.
    """
    _check(probabilities, labels)
    if count < 0:
        raise CifarcamError(f"{count} mistakes cannot be shown; give 0 or more")
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    order = np.argsort(-probabilities[wrong].max(axis=1), kind="stable")
    return wrong[order][:count].astype(np.int64)


def mean_interval(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """The mean of independent values and the half width of its 95% interval (Student's t).

    The half width is NaN for a single value.

    Raises
    ------
    CifarcamError
        When there is no value.
    """
    array = np.asarray(values, np.float64)
    if array.size == 0:
        raise CifarcamError("no values to average")
    if array.size == 1:
        return float(array.mean()), math.nan
    error = array.std(ddof=1) / math.sqrt(array.size)
    return float(array.mean()), float(stdtrit(array.size - 1, 0.975) * error)


def difference_interval(
    after: Sequence[float] | np.ndarray, before: Sequence[float] | np.ndarray
) -> tuple[float, float]:
    """The difference of the means of two independent samples and its 95% interval's half width.

    By Welch's t-test (Welch 1947): the samples' variances may differ. The half width is NaN
    where a sample has a single value, and 0 where all values of both agree.

    Raises
    ------
    CifarcamError
        When a sample is empty.
    """
    (high, _), (low, _) = mean_interval(after), mean_interval(before)
    sizes = np.array([len(after), len(before)])
    if sizes.min() == 1:
        return high - low, math.nan
    squares = np.array([np.var(after, ddof=1), np.var(before, ddof=1)]) / sizes
    if not squares.sum():
        return high - low, 0.0
    freedom = squares.sum() ** 2 / (squares**2 / (sizes - 1)).sum()
    return high - low, float(stdtrit(freedom, 0.975) * math.sqrt(squares.sum()))


def verdict(*conditions: bool) -> str:
    """How a claim fared: ``"held"``, ``"in part"`` or ``"did not hold"``.

    It held when all its conditions are true, did not hold when none is.

    Raises
    ------
    CifarcamError
        Without a condition.
    """
    if not conditions:
        raise CifarcamError("a verdict needs at least one condition")
    if all(conditions):
        return "held"
    return "in part" if any(conditions) else "did not hold"


def _check(probabilities: np.ndarray, labels: np.ndarray) -> None:
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or not len(labels):
        raise CifarcamError(
            f"probabilities of shape {probabilities.shape} do not fit labels of shape "
            f"{labels.shape}; give N x C and N, N at least 1"
        )
    if not np.allclose(probabilities.sum(axis=1), 1, atol=1e-3) or (probabilities < 0).any():
        # Not-a-number fails the first test too.
        raise CifarcamError("the rows of probabilities do not sum to 1; give the softmax's output")
    if not np.issubdtype(labels.dtype, np.integer):
        raise CifarcamError(f"labels are {labels.dtype}; give whole numbers")
    if labels.min() < 0 or labels.max() >= probabilities.shape[1]:
        raise CifarcamError(
            f"labels run from {labels.min()} to {labels.max()}; "
            f"allowed are 0 to {probabilities.shape[1] - 1}"
        )
