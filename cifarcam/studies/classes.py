"""Confusions of pairs of classes and scores of single classes, over the seeds of an experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cifarcam import evaluation
from cifarcam.studies import inference
from cifarcam.studies.inference import Effect


@dataclass(frozen=True)
class Pair:
    """A pair of classes and how often it is confused, over seeds.

    Attributes
    ----------
    first, second
        Names of the classes.
    first_as_second, second_as_first
        Mean number of test images of one class predicted as the other.
    share
        Share of all mistakes, %.
    best_rank, worst_rank
        Lowest and highest rank of the pair over seeds, from 1.
    """

    first: str
    second: str
    first_as_second: float
    second_as_first: float
    share: Effect
    best_rank: int
    worst_rank: int


@dataclass(frozen=True)
class ClassScores:
    """Precision, recall and F1 of a class or of an average, over seeds, %.

    Attributes
    ----------
    name
        Of the class, or of the average.
    precision, recall, f1
        Means with intervals over seeds.
    images
        Number of test images.
    """

    name: str
    precision: Effect
    recall: Effect
    f1: Effect
    images: int


@dataclass(frozen=True)
class Mistakes:
    """Wrong predictions of one network.

    Attributes
    ----------
    count
        Number of wrong predictions.
    sure
        Number of those with a probability above 99%.
    sure_share
        Their share, %; 0 where there is no wrong prediction.
    accuracy, confidence
        Accuracy and mean probability of the predicted class, %.
    """

    count: int
    sure: int
    sure_share: float
    accuracy: float
    confidence: float


def mean_confusion(confusions: Sequence[np.ndarray]) -> np.ndarray:
    """The confusion matrix of an average seed: mean counts, rounded, int64, C x C."""
    return np.rint(np.mean(confusions, axis=0)).astype(np.int64)


def confused_pairs(confusions: Sequence[np.ndarray], names: Sequence[str]) -> list[Pair]:
    """All pairs of classes, the largest mean share of the mistakes first.

    Parameters
    ----------
    confusions
        Counts of each seed, C x C, rows true and columns predicted.
    names
        C class names.
    """
    mean = np.mean(confusions, axis=0)
    seeds: dict[tuple[int, int], list[evaluation.ConfusedPair]] = {}
    for matrix in confusions:
        for pair in evaluation.confused_pairs(matrix):
            seeds.setdefault((pair.first, pair.second), []).append(pair)
    pairs = [
        Pair(
            names[first],
            names[second],
            float(mean[first, second]),
            float(mean[second, first]),
            inference.over_seeds([100 * pair.share for pair in places], "%"),
            min(pair.rank for pair in places),
            max(pair.rank for pair in places),
        )
        for (first, second), places in sorted(seeds.items())
    ]
    return sorted(pairs, key=lambda pair: -pair.share.value)


def scores(metrics: Sequence[Mapping[str, Any]]) -> list[ClassScores]:
    """Scores of each class, then their macro average.

    Parameters
    ----------
    metrics
        Results of `cifarcam.evaluation.evaluate`, one for each seed.
    """
    names = list(metrics[0]["per_class"])
    rows = [
        ClassScores(
            name,
            *_effects([one["per_class"][name] for one in metrics]),
            metrics[0]["per_class"][name]["support"],
        )
        for name in names
    ]
    macro = _effects([one["macro"] for one in metrics])
    return [*rows, ClassScores("macro average", *macro, metrics[0]["count"])]


@dataclass(frozen=True)
class Steadiness:
    """How much the scores of a class vary from seed to seed.

    Attributes
    ----------
    precision, recall, f1
        Standard deviation over seeds, mean over the classes, points; NaN for a single seed.
    sentence
        What follows, in words.
    """

    precision: float
    recall: float
    f1: float
    sentence: str


def steadiness(metrics: Sequence[Mapping[str, Any]]) -> Steadiness:
    """Compare how much precision, recall and F1 of a class vary from seed to seed.

    Parameters
    ----------
    metrics
        Results of `cifarcam.evaluation.evaluate`, one for each seed.
    """
    if len(metrics) < 2:
        return Steadiness(np.nan, np.nan, np.nan, "A single seed does not show how scores vary.")
    precision, recall, f1 = (
        100
        * float(
            np.mean(
                [
                    np.std([one["per_class"][name][score] for one in metrics], ddof=1)
                    for name in metrics[0]["per_class"]
                ]
            )
        )
        for score in ("precision", "recall", "f1")
    )
    amount = f"(standard deviation {f1:.1f} points for F1, {precision:.1f} for precision and "
    amount += f"{recall:.1f} for recall, means over the classes)"
    if f1 < min(precision, recall):
        sentence = (
            f"From seed to seed, the F1 of a class varies less than its precision and recall {amount}. "
            "A seed that predicts a class more readily gains recall and loses precision."
        )
    else:
        sentence = (
            "From seed to seed, the F1 of a class varies no less than its precision and recall "
            f"{amount}."
        )
    return Steadiness(precision, recall, f1, sentence)


def mistakes(probabilities: np.ndarray, labels: np.ndarray) -> Mistakes:
    """Number and confidence of the wrong predictions of one network.

    Parameters
    ----------
    probabilities
        Float, N x C.
    labels
        Integers, N.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    count, sure = int((~right).sum()), int((confidence[~right] > 0.99).sum())
    share = 100 * sure / count if count else 0.0
    return Mistakes(count, sure, share, 100 * float(right.mean()), 100 * float(confidence.mean()))


def _effects(seeds: Sequence[Mapping[str, float]]) -> tuple[Effect, Effect, Effect]:
    """Precision, recall and F1 over seeds, %."""
    precision, recall, f1 = (
        inference.over_seeds([100 * one[score] for one in seeds], "%")
        for score in ("precision", "recall", "f1")
    )
    return precision, recall, f1
