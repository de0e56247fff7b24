"""Mistakes that good networks are sure of, sorted by whose they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cifarcam.errors import CifarcamError
from cifarcam.runs import Run
from cifarcam.studies import calibration
from cifarcam.studies.agreement import GOOD_ACCURACY
from cifarcam.studies.calibration import Scaled
from cifarcam.studies.mistakes import RIGHT, Evidence, Kind, kinds_of

SURE = 0.99  # a prediction above it, after the network's temperature, is sure
MOST_PICTURES = 60


def confidences(
    networks: Mapping[str, Sequence[Run]], scaled: Sequence[Scaled]
) -> dict[str, np.ndarray]:
    """Probability of the predicted class after each run's temperature, seeds x N, by network.

    Only after scaling does a percentage mean the same in all networks: networks that were trained
    with smoothed labels rarely say 99% as they are, whether they are right or not.

    Parameters
    ----------
    networks
        Runs by network.
    scaled
        The record ``calibration``. Of a run whose halves were scaled apart, the temperature is the
        geometric mean of the two.

    Raises
    ------
    CifarcamError
        When the record lacks a run.
    """
    temperatures = {(one.experiment, one.seed): one.temperature for one in scaled}

    def of(run: Run) -> np.ndarray:
        own = (run.experiment.name, run.experiment.training.seed)
        if own not in temperatures:
            raise CifarcamError(
                f"{run.name}: the record has no temperature; make it again by `cifarcam measure "
                f"{calibration.RECORD}`"
            )
        return calibration.scale(run.predictions, temperatures[own]).max(axis=1)

    return {name: np.stack([of(run) for run in seeds]) for name, seeds in networks.items()}


@dataclass(frozen=True)
class SureMistakes:
    """The sure predictions of a network, means over its seeds.

    Attributes
    ----------
    name
        The network.
    is_good
        Whether its mean accuracy is at least 85%.
    predictions, mistakes
        Number of predictions above 99%, and of the mistakes among them.
    counts
        Of these mistakes, each `Kind`.
    doubted
        Share of the sure predictions, right or wrong, whose label is in doubt, %; NaN without any.
    """

    name: str
    is_good: bool
    predictions: float
    mistakes: float
    counts: tuple[float, ...]
    doubted: float


def count(
    predicted: Mapping[str, np.ndarray],
    confidence: Mapping[str, np.ndarray],
    labels: np.ndarray,
    evidence: Evidence,
) -> tuple[SureMistakes, ...]:
    """Count the sure mistakes of each network by kind, the least accurate network first.

    Parameters
    ----------
    predicted, confidence
        By network, seeds x N: predicted classes, and their probabilities from `confidences`.
    labels
        Integers, N.
    evidence
        What people say of the images.
    """
    rows = []
    for name in sorted(predicted, key=lambda name: float((predicted[name] == labels).mean())):
        seeds, is_sure = predicted[name], confidence[name] > SURE
        kinds = np.where(is_sure, kinds_of(seeds, labels, evidence.kinds), RIGHT)
        doubted = is_sure & (evidence.kinds == Kind.LABEL)
        rows.append(
            SureMistakes(
                name,
                bool((seeds == labels).mean() >= GOOD_ACCURACY),
                float(is_sure.sum(axis=1).mean()),
                float((kinds != RIGHT).sum(axis=1).mean()),
                tuple(float((kinds == kind).sum(axis=1).mean()) for kind in Kind),
                100 * float(doubted.sum() / is_sure.sum()) if is_sure.any() else float("nan"),
            )
        )
    return tuple(rows)


@dataclass(frozen=True)
class SureAnswer:
    """Whose the sure mistakes of the good networks are.

    Attributes
    ----------
    networks, without
        Number of good networks, and of those that make no sure mistake with any seed.
    mistakes
        Sure mistakes, summed over the good networks, each by its mean over seeds.
    label, people, lookalike, other
        Share of each kind, %; NaN where there is no sure mistake.
    ratio
        Share of the label divided by the share of doubted labels among sure predictions.
    sentence, without_sentence
        The result in words, and how many networks make no sure mistake, from lower case on.
    """

    networks: int
    without: int
    mistakes: float
    label: float
    people: float
    lookalike: float
    other: float
    ratio: float
    sentence: str
    without_sentence: str


def answer(rows: Sequence[SureMistakes]) -> SureAnswer:
    """Summarise `count` over the good networks."""
    good = [row for row in rows if row.is_good]
    total = sum(row.mistakes for row in good)
    without = sum(row.mistakes == 0 for row in good)
    last = _without(without, len(good))
    if not total:
        none = float("nan")
        sentence = "No good network makes a mistake that it is more than 99% sure of."
        return SureAnswer(len(good), without, 0.0, none, none, none, none, none, sentence, last)
    label, people, lookalike, other = (
        100 * sum(row.counts[kind] for row in good) / total for kind in Kind
    )
    certain = [row for row in good if row.predictions]
    doubted = sum(row.doubted * row.predictions for row in certain)
    base = doubted / sum(row.predictions for row in certain)
    ratio = label / base if base else float("nan")
    sentence = _sentence(label, people)
    return SureAnswer(
        len(good), without, total, label, people, lookalike, other, ratio, sentence, last
    )


def _without(without: int, networks: int) -> str:
    if not without:
        return "each of them makes such mistakes."
    if without == networks:
        return "none of them makes such a mistake."
    return f"{without} of them {'makes' if without == 1 else 'make'} no such mistake with any seed."


def _sentence(label: float, people: float) -> str:
    numbers = f"(the label is in doubt in {label:.0f}%, people disagree too in {people:.0f}%)"
    if label > 50:
        return f"Most sure mistakes of the good networks lie with the label {numbers}."
    if label + people > 50:
        return (
            "Most sure mistakes of the good networks lie with the label or with pictures on which "
            f"people disagree too {numbers}."
        )
    return f"Most sure mistakes of the good networks are their own {numbers}."


@dataclass(frozen=True)
class Shown:
    """Sure mistakes of one kind to show, those of most runs first.

    Attributes
    ----------
    kind
        The kind.
    indices, predicted
        Indices of the images, and the wrong class that most runs are sure of, int64, K.
    runs
        Number of runs that are sure of a wrong class of this kind, int64, K.
    count
        Number of such images, shown or not.
    """

    kind: Kind
    indices: np.ndarray
    predicted: np.ndarray
    runs: np.ndarray
    count: int


def to_show(
    predicted: Mapping[str, np.ndarray],
    confidence: Mapping[str, np.ndarray],
    labels: np.ndarray,
    evidence: Evidence,
    most: int = MOST_PICTURES,
) -> tuple[Shown, ...]:
    """The images that good networks are sure of and get wrong, grouped by kind.

    An image can be of two kinds, where runs are sure of different wrong classes; it then counts
    with the class that most runs give, of equals the first class. At most `most` images are shown,
    those that most runs get wrong, of equals the earlier images.

    Parameters
    ----------
    predicted, confidence, labels, evidence
        As in `count`.
    most
        The most images to show in all groups together.
    """
    tally = np.zeros((len(labels), 10), np.int64)  # runs that are sure of each class, by image
    for name, seeds in predicted.items():
        if (seeds == labels).mean() >= GOOD_ACCURACY:
            for classes, sure in zip(seeds, confidence[name] > SURE, strict=True):
                chosen = np.flatnonzero(sure & (classes != labels))
                tally[chosen, classes[chosen]] += 1
    wrong = np.flatnonzero(tally.any(axis=1))
    classes, runs = tally[wrong].argmax(axis=1), tally[wrong].max(axis=1)
    kinds = kinds_of(classes, labels[wrong], evidence.kinds[wrong])
    order = np.argsort(-runs, kind="stable")
    first = order[:most]
    return tuple(
        Shown(
            kind,
            wrong[first][kinds[first] == kind].astype(np.int64),
            classes[first][kinds[first] == kind].astype(np.int64),
            runs[first][kinds[first] == kind],
            int((kinds == kind).sum()),
        )
        for kind in Kind
    )
