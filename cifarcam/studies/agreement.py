"""How far networks agree: seeds of one experiment, and good networks against the labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats

from cifarcam import evaluation
from cifarcam.errors import CifarcamError
from cifarcam.runs import Run
from cifarcam.studies.inference import LEVEL, Effect

GOOD_ACCURACY = 0.85  # networks at or above it are asked about the labels


@dataclass(frozen=True)
class Agreement:
    """How far the seeds of an experiment agree, and what the mean of their probabilities gains.

    Attributes
    ----------
    seeds
        Number of seeds.
    share
        Mean share of images on which two seeds give the same class, over all pairs of seeds, %.
        NaN for a single seed.
    lowest, highest
        The same of the pair that agrees least and most, %.
    single
        Mean accuracy of the seeds, %.
    ensemble
        Accuracy of the mean of the seeds' probabilities, %.
    gain
        `ensemble` minus `single`, points, paired by image.
    sentence
        What follows, in words.
    """

    seeds: int
    share: float
    lowest: float
    highest: float
    single: float
    ensemble: float
    gain: Effect
    sentence: str


def of_seeds(predictions: Sequence[np.ndarray], labels: np.ndarray) -> Agreement:
    """Compare the predictions of several seeds with each other and with their mean.

    Parameters
    ----------
    predictions
        Class probabilities of each seed, float, N x C.
    labels
        Integers, N.

    Raises
    ------
    CifarcamError
        When the shapes do not fit or there is no seed.
    """
    if len({one.shape for one in predictions}) != 1:
        raise CifarcamError(
            f"predictions of shapes {[one.shape for one in predictions]}; give at least one, all of "
            "one shape"
        )
    probabilities = np.stack(predictions)
    if probabilities.ndim != 3 or probabilities.shape[1:2] != labels.shape or not len(labels):
        raise CifarcamError(
            f"probabilities of shape {probabilities.shape} and labels of shape {labels.shape}; "
            "give seeds x N x classes and N, N at least 1"
        )
    predicted = probabilities.argmax(axis=2)
    pairs = [
        100 * float((predicted[one] == predicted[other]).mean())
        for one, other in combinations(range(len(predicted)), 2)
    ]
    right = (predicted == labels).mean(axis=0)  # share of the seeds that are right, by image
    together = (probabilities.mean(axis=0, dtype=np.float64).argmax(axis=1) == labels).astype(float)
    gain = _over_images(100 * (together - right))
    single, ensemble = 100 * float(right.mean()), 100 * float(together.mean())
    share = float(np.mean(pairs)) if pairs else float("nan")
    lowest, highest = (min(pairs), max(pairs)) if pairs else (share, share)
    sentence = _agreement_sentence(len(predicted), share, single, ensemble, gain)
    return Agreement(len(predicted), share, lowest, highest, single, ensemble, gain, sentence)


def _agreement_sentence(
    seeds: int, share: float, single: float, ensemble: float, gain: Effect
) -> str:
    if seeds == 1:
        return "A single seed is at hand, so that agreement between seeds cannot be measured."
    sentence = f"Two seeds give the same class to {share:.0f}% of the test images"
    if share > single:
        sentence += f", although each is right on {single:.0f}%. "
    else:
        sentence += (
            f", fewer than a single seed classifies correctly ({single:.0f}%): equal accuracies do "
            "not make equal networks. "
        )
    accuracies = f"({ensemble:.1f}% against {single:.1f}%)"
    if gain.low > 0:
        sentence += (
            f"Where seeds disagree, their mean is often right: averaging the probabilities of {seeds} "
            f"seeds raises the accuracy by {gain.value:.1f} points {accuracies}."
        )
    elif gain.high < 0:
        sentence += (
            f"Averaging the probabilities of {seeds} seeds lowers the accuracy by "
            f"{-gain.value:.1f} points {accuracies}."
        )
    else:
        sentence += (
            f"Averaging the probabilities of {seeds} seeds does not change the accuracy measurably "
            f"{accuracies}."
        )
    return sentence


@dataclass(frozen=True)
class Suspects:
    """Images whose label good networks agree to contradict.

    Attributes
    ----------
    indices
        Indices of the images, int64.
    classes
        The class that the networks agree on for each of these images, int64.
    count
        Number of images.
    networks
        Number of networks asked.
    sentence
        The result in words.
    """

    indices: np.ndarray
    classes: np.ndarray
    count: int
    networks: int
    sentence: str


def suspects(runs: Sequence[Run], labels: np.ndarray) -> Suspects:
    """Ask the networks of at least 85% test accuracy about the labels of the test images.

    Each experiment has one vote, the class of the mean probability of its seeds, so that further
    seeds of the same experiment are no further votes.

    Parameters
    ----------
    runs
        Runs on one dataset; experiments of a lower mean accuracy are left out.
    labels
        Labels of the test images, N.
    """
    experiments: dict[str, list[Run]] = {}
    for run in runs:
        experiments.setdefault(run.experiment.name, []).append(run)
    votes = [
        np.mean([run.predictions for run in seeds], axis=0).argmax(axis=1)
        for seeds in experiments.values()
        if np.mean([run.metrics["test"]["accuracy"] for run in seeds]) >= GOOD_ACCURACY
    ]
    predicted = np.array(votes, np.int64).reshape(-1, len(labels))
    indices = contradicted_labels(predicted, labels)
    count = len(indices)
    if len(votes) < 2:
        sentence = "Too few good networks are at hand to ask about the labels."
    elif not count:
        sentence = f"All {len(votes)} good networks at hand agree on another class for no label."
    else:
        sentence = (
            f"On {count} test image{'' if count == 1 else 's'}, all {len(votes)} networks at hand "
            f"with a test accuracy of at least {100 * GOOD_ACCURACY:.0f}% agree on one class, and "
            "the label says another."
        )
    classes = predicted[0, indices] if count else np.empty(0, np.int64)
    return Suspects(indices, classes, count, len(votes), sentence)


@dataclass(frozen=True)
class Surest:
    """The wrong predictions that a network makes with the highest probability.

    Attributes
    ----------
    indices
        Indices of the images, int64, the most confident first.
    count
        Number of images.
    doubtful
        Number of those whose label is in doubt.
    sentence
        The result in words.
    """

    indices: np.ndarray
    count: int
    doubtful: int
    sentence: str


def surest_mistakes(
    probabilities: np.ndarray, labels: np.ndarray, doubtful: np.ndarray, count: int = 15
) -> Surest:
    """The most confident wrong predictions of a network, and how many have a label in doubt.

    Parameters
    ----------
    probabilities
        Float, N x C.
    labels
        Integers, N.
    doubtful
        Indices of the images whose label is in doubt, see `labels.in_doubt`.
    count
        The most images to return.
    """
    indices = evaluation.most_confident_mistakes(probabilities, labels, count)
    number = int(np.isin(indices, doubtful).sum())
    if not len(indices):
        sentence = "The network makes no mistakes on these images."
    elif not number:
        sentence = f"None of the {len(indices)} surest mistakes has a label in doubt."
    elif number == len(indices):
        sentence = f"All of the {len(indices)} surest mistakes have a label in doubt."
    else:
        verb = "has a label" if number == 1 else "have labels"
        sentence = (
            "Some of the surest mistakes may be mistakes of the label: "
            f"{number} of the {len(indices)} surest {verb} in doubt."
        )
    return Surest(indices, len(indices), number, sentence)


def contradicted_labels(predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Indices of the images on which all networks agree on one class that is not the label, int64.

    Parameters
    ----------
    predicted
        Predicted classes by network, integers, K x N. Fewer than two networks suspect nothing.
    labels
        Integers, N.

    Raises
    ------
    CifarcamError
        When the shapes do not fit.
    """
    if predicted.ndim != 2 or predicted.shape[1:] != labels.shape:
        raise CifarcamError(
            f"classes of shape {predicted.shape} and labels of shape {labels.shape}; give "
            "networks x N and N"
        )
    if len(predicted) < 2:
        return np.empty(0, np.int64)
    unanimous = (predicted == predicted[0]).all(axis=0)
    return np.flatnonzero(unanimous & (predicted[0] != labels)).astype(np.int64)


def _over_images(differences: np.ndarray) -> Effect:
    """The mean of paired differences over test images with its normal 95% interval, points."""
    mean = float(differences.mean())
    error = (
        float(differences.std(ddof=1) / np.sqrt(differences.size)) if differences.size > 1 else 0.0
    )
    half = float(stats.norm.ppf((1 + LEVEL) / 2)) * error
    p = float(2 * stats.norm.sf(abs(mean) / error)) if error else float(mean == 0)
    return Effect(
        mean, mean - half, mean + half, "points", "test images", differences.size, "paired z", p
    )
