"""Mistakes that networks of at least 85% accuracy are sure of, sorted by kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cifarcam.errors import CifarcamError
from cifarcam.runs import Run
from cifarcam.studies import calibration
from cifarcam.studies.agreement import GOOD_ACCURACY
from cifarcam.studies.calibration import Scaled
from cifarcam.studies.inference import Effect
from cifarcam.studies.mistakes import RIGHT, Evidence, Kind, kinds_of, share
from cifarcam.studies.networks import all_called, called

SURE = 0.99  # a prediction above it, after the network's temperature, is sure
NEARLY_ALL = 0.9  # share of the sure mistakes that the named networks make
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
    on_images
        Of these mistakes, those on each image, float64, N.
    all_mistakes
        Of all mistakes of the network, sure or not, the share of the first two kinds, %; NaN
        without any.
    """

    name: str
    is_good: bool
    predictions: float
    mistakes: float
    counts: tuple[float, ...]
    on_images: np.ndarray
    all_mistakes: float


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
        every = kinds_of(seeds, labels, evidence.kinds)
        kinds = np.where(is_sure, every, RIGHT)
        wrong, not_own = every != RIGHT, (every == Kind.LABEL) | (every == Kind.PEOPLE)
        rows.append(
            SureMistakes(
                name,
                bool((seeds == labels).mean() >= GOOD_ACCURACY),
                float(is_sure.sum(axis=1).mean()),
                float((kinds != RIGHT).sum(axis=1).mean()),
                tuple(float((kinds == kind).sum(axis=1).mean()) for kind in Kind),
                (kinds != RIGHT).mean(axis=0),
                100 * float(not_own.sum() / wrong.sum()) if wrong.any() else float("nan"),
            )
        )
    return tuple(rows)


@dataclass(frozen=True)
class SureAnswer:
    """Where the sure mistakes of the networks of at least 85% accuracy come from.

    Attributes
    ----------
    networks
        Number of these networks.
    mistakes
        Their sure mistakes, summed over the networks, each by its mean over seeds.
    images
        Number of images on which they make them.
    label, people, together
        Share of the first two kinds, %, each and together; with the interval over test images,
        which counts the networks' mistakes on one image as one case. None without sure mistakes.
    sentence
        The result in words.
    comparison
        The first two kinds in all mistakes of the same networks, in words.
    makers
        Which networks make most sure mistakes, and which are never sure, in words.
    """

    networks: int
    mistakes: float
    images: int
    label: Effect | None
    people: Effect | None
    together: Effect | None
    sentence: str
    comparison: str
    makers: str


def answer(rows: Sequence[SureMistakes], evidence: Evidence) -> SureAnswer:
    """Summarise `count` over the networks of at least 85% accuracy.

    Parameters
    ----------
    rows
        From `count`.
    evidence
        What people say of the images.
    """
    good = [row for row in rows if row.is_good]
    total = sum(row.mistakes for row in good)
    never = _never([row.name for row in good if not row.predictions], len(good))
    if not total:
        sentence = "None of these networks makes a mistake that it is more than 99% sure of."
        return SureAnswer(len(good), 0.0, 0, None, None, None, sentence, "", never)
    whole = np.sum([row.on_images for row in good], axis=0)
    is_label, is_people = evidence.kinds == Kind.LABEL, evidence.kinds == Kind.PEOPLE
    label, people, together = (
        share(np.where(chosen, whole, 0.0), whole)
        for chosen in (is_label, is_people, is_label | is_people)
    )
    images = int((whole > 0).sum())
    return SureAnswer(
        len(good),
        total,
        images,
        label,
        people,
        together,
        _sentence(label, people, together, images),
        _comparison(together, [row.all_mistakes for row in good if row.mistakes]),
        f"{_makers(good, total)} {never}".strip(),
    )


def _makers(good: Sequence[SureMistakes], total: float) -> str:
    """The fewest networks that make nearly all of the sure mistakes."""
    names, made = [], 0.0
    for row in sorted(good, key=lambda row: -row.mistakes):
        names.append(row.name)
        made += row.mistakes
        if made >= NEARLY_ALL * total:
            break
    share = f"{100 * made / total:.0f}% of these mistakes"
    if len(names) == 1:
        return f"One network makes {share}: {called(names[0])}."
    return f"Of the {len(good)} networks, {len(names)} make {share}: {all_called(names)}."


def _never(names: Sequence[str], networks: int) -> str:
    if not names:
        return ""
    if len(names) == networks:
        return "Even after temperature scaling, none of these networks is ever more than 99% sure."
    verb = "is" if len(names) == 1 else "are"
    return f"Even after temperature scaling, {all_called(names)} {verb} never more than 99% sure."


def _sentence(label: Effect, people: Effect, together: Effect, images: int) -> str:
    numbers = (
        f"({label.value:.0f}% where people doubt the label and {people.value:.0f}% where people "
        f"disagree, together {together.value:.0f}%, 95% interval {together.low:.0f}% to "
        f"{together.high:.0f}% over "
        f"{'the one image' if images == 1 else f'the {images} images'} concerned)"
    )
    if together.low > 50:
        return (
            "Most of the networks' sure mistakes are on images whose label people doubt or on "
            f"which people disagree {numbers}."
        )
    if together.high < 50:
        return f"Most of the networks' sure mistakes are their own {numbers}."
    return (
        "We cannot tell whether most of the networks' sure mistakes are on images whose label people "
        f"doubt or on which people disagree {numbers}."
    )


def _comparison(together: Effect, every: Sequence[float]) -> str:
    low, high = min(every), max(every)
    ends = f"{low:.0f}%" if len(every) == 1 else f"{low:.0f}% to {high:.0f}%"
    of = f"all mistakes of the networks that make sure mistakes ({ends})"
    if together.low > high:
        return f"These two kinds are more frequent among sure mistakes than among {of}."
    if together.high < low:
        return f"These two kinds are less frequent among sure mistakes than among {of}."
    return (
        f"Their share among sure mistakes is not measurably different from their share among {of}."
    )


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
    """The images that networks of at least 85% accuracy are sure of and get wrong, by kind.

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
