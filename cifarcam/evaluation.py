"""Metrics of predictions, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from scipy import stats

from cifarcam.errors import CifarcamError, require

require("train", "sklearn")  # before its import

from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

CALIBRATION_BINS = 15
SMALLEST_PROBABILITY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Calibration:
    """Confidence and accuracy in bins of equal width over (0, 1].

    Attributes
    ----------
    confidence, accuracy
        Means by bin, float64, 0-1; NaN in an empty bin.
    count
        Images by bin, int64.
    error
        The expected calibration error, 0-1 (Guo et al. 2017, eq. 3).
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray
    error: float


@dataclass(frozen=True)
class ConfusedPair:
    """Two classes that a network confuses.

    Attributes
    ----------
    first, second
        The classes, `first` less than `second`.
    count
        Mistakes in both directions.
    share
        `count` divided by the number of all mistakes, 0-1.
    rank
        Rank of the pair by count, from 1; ties share the better rank.
    """

    first: int
    second: int
    count: int
    share: float
    rank: int


def wilson_interval(correct: int, count: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927), by SciPy.

    Parameters
    ----------
    correct, count
        Number of successes and of trials.
    level
        Confidence level, above 0 and below 1.

    Returns
    -------
    tuple of float
        Lower and upper bound, 0-1.

    Raises
    ------
    CifarcamError
        When `count` is not positive, or `correct` or `level` is out of range.
    """
    if not 0 <= correct <= count or count == 0:
        raise CifarcamError(f"{correct} correct of {count}; give 0 to {count} of at least 1")
    if not 0 < level < 1:
        raise CifarcamError(f"level is {level}; give a number between 0 and 1")
    interval = stats.binomtest(correct, count).proportion_ci(level, method="wilson")
    return float(interval.low), float(interval.high)


def evaluate(
    probabilities: np.ndarray, labels: np.ndarray, class_names: Sequence[str]
) -> dict[str, Any]:
    """All metrics of predictions, as JSON takes them.

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
        probabilities, or the number of names is not C.
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
    """Confidence, the probability of the predicted class, and accuracy by bin of confidence.

    Parameters
    ----------
    probabilities
        Float, N x C, rows summing to 1.
    labels
        Integers, N.
    bins
        Number of bins of equal width, at least 1; a bin holds its upper edge, not its lower.

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
    """All unordered pairs of classes, the most confused pair first.

    Pairs with the same count share the better rank and are ordered by class.

    Parameters
    ----------
    confusion
        Counts, C x C, rows true and columns predicted.

    Raises
    ------
    CifarcamError
        When it is not a square matrix of counts.
    """
    matrix = np.asarray(confusion)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or (matrix < 0).any():
        raise CifarcamError(f"a confusion matrix is a square of counts, not {matrix.shape}")
    both = matrix + matrix.T
    mistakes = int(matrix.sum() - np.trace(matrix))
    indices = list(combinations(range(len(matrix)), 2))
    counts = np.array([both[pair] for pair in indices], int)
    pairs = [
        ConfusedPair(*pair, int(count), int(count) / mistakes if mistakes else 0.0, int(rank))
        for pair, count, rank in zip(indices, counts, stats.rankdata(-counts, "min"), strict=True)
    ]
    return sorted(pairs, key=lambda pair: pair.rank)


def most_confident_mistakes(
    probabilities: np.ndarray, labels: np.ndarray, count: int
) -> np.ndarray:
    """Indices (int64) of at most `count` wrong predictions, the most confident first.

    Predictions of the same confidence are ordered by index.

    Raises
    ------
    CifarcamError
        As `evaluate` does, and when `count` is negative.
    """
    _check(probabilities, labels)
    if count < 0:
        raise CifarcamError(f"count is {count}; give 0 or more")
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    order = np.argsort(-probabilities[wrong].max(axis=1), kind="stable")
    return wrong[order][:count].astype(np.int64)


def _check(probabilities: np.ndarray, labels: np.ndarray) -> None:
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or not len(labels):
        raise CifarcamError(
            f"probabilities of shape {probabilities.shape} do not fit labels of shape "
            f"{labels.shape}; give N x C and N, N at least 1"
        )
    if not np.allclose(probabilities.sum(axis=1), 1, atol=1e-3) or (probabilities < 0).any():
        # NaN fails the first condition as well.
        raise CifarcamError("the rows of probabilities do not sum to 1; give the softmax's output")
    if not np.issubdtype(labels.dtype, np.integer):
        raise CifarcamError(f"labels are {labels.dtype}; give integers")
    if labels.min() < 0 or labels.max() >= probabilities.shape[1]:
        raise CifarcamError(
            f"labels run from {labels.min()} to {labels.max()}; "
            f"allowed are 0 to {probabilities.shape[1] - 1}"
        )
