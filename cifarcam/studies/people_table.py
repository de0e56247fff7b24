"""What the table of people's answers (CIFAR-10H) says about the test images by itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cifarcam.errors import CifarcamError
from cifarcam.studies import confusion_pairs

# The agreement of people with an image's label, coarsely: its place is the digit in the record.
CATEGORIES = (
    "everyone chooses the label",
    "at least 90% choose the label",
    "at least half choose the label",
    "fewer than half choose the label",
)
UNANIMOUS, MOST, HALF, FEWER = range(len(CATEGORIES))
MOST_SHARE, HALF_SHARE = 0.9, 0.5
ALL_SHARE = 1 - 1e-9  # for rounding; one of at most 63 people is 0.016

ANSWERS = 51.14  # people who named each image, on average: 511,400 answers (Peterson et al. 2019)

# Agreement among people, whichever class they choose: lower edges of all bins but the first. The
# last bin holds the images on which everyone agrees.
EDGES = (0.5, 0.6, 0.7, 0.8, 0.9, ALL_SHARE)


@dataclass(frozen=True)
class Facts:
    """What the table of people's answers says by itself.

    Attributes
    ----------
    images
        Number of images.
    label
        Mean share of people who choose the label, %.
    majority
        Share of images whose label is the class that most people choose, %.
    entropy
        Mean entropy of people's distribution, nats: the lowest cross-entropy that a network can
        reach against people.
    unanimous
        Share of images on which everyone chooses one class, %.
    minority
        Images whose label fewer than half choose.
    another
        Images on which everyone chooses one class that is not the label.
    pair
        Probability that two different people give an image the same class, %.
    by_class
        Mean share of people who choose the label, by class, %.
    mistakes
        People's answers that are not the label, by pair of classes and both ways, in images.
    """

    images: int
    label: float
    majority: float
    entropy: float
    unanimous: float
    minority: int
    another: int
    pair: float
    by_class: tuple[float, ...]
    mistakes: tuple[float, ...]


def check(people: np.ndarray, labels: np.ndarray) -> None:
    """Check that people's distributions fit labels.

    Raises
    ------
    CifarcamError
        When there is no image, shapes differ, or rows are not distributions.
    """
    if people.ndim != 2 or labels.shape != people.shape[:1] or not len(labels):
        raise CifarcamError(
            f"people's answers of shape {people.shape} and labels of shape {labels.shape}; give "
            "N x C and N, N at least 1"
        )
    if not np.allclose(people.sum(axis=1), 1) or (people < 0).any():
        raise CifarcamError("the rows of people's answers do not sum to 1; give shares of people")


def categories(people: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How far people agree with each label: an index of `CATEGORIES`, int64, N."""
    check(people, labels)
    share = of_class(people, labels)
    steps = [share >= ALL_SHARE, share >= MOST_SHARE - 1e-9, share >= HALF_SHARE - 1e-9]
    return np.select(steps, [UNANIMOUS, MOST, HALF], FEWER).astype(np.int64)


def entropies(people: np.ndarray) -> np.ndarray:
    """Entropy of each distribution, nats, float64, N."""
    return -(people * np.log(np.where(people > 0, people, 1))).sum(axis=1)


def facts(people: np.ndarray, labels: np.ndarray, answers: float = ANSWERS) -> Facts:
    """What the table says by itself; of equally frequent classes the first is the majority's.

    Parameters
    ----------
    people, labels
        N x C and N.
    answers
        People who named each image, on average, above 1. The table holds shares only, and a sum of
        squared shares also draws the same person twice; the number corrects for this.
    """
    check(people, labels)
    share, largest, top = of_class(people, labels), people.max(axis=1), people.argmax(axis=1)
    by_class = confusion_pairs.by_class(people, labels)
    members = np.maximum(by_class.sum(axis=1), 1)  # a class without images has 0%
    return Facts(
        images=len(labels),
        label=100 * float(share.mean()),
        majority=100 * float((top == labels).mean()),
        entropy=float(entropies(people).mean()),
        unanimous=100 * float((largest >= ALL_SHARE).mean()),
        minority=int((categories(people, labels) == FEWER).sum()),
        another=int(((largest >= ALL_SHARE) & (top != labels)).sum()),
        pair=100 * (answers * float((people**2).sum(axis=1).mean()) - 1) / (answers - 1),
        by_class=tuple((100 * np.diag(by_class) / members).tolist()),
        mistakes=tuple(confusion_pairs.both_ways(by_class).round(4).tolist()),
    )


def agreement_bins(people: np.ndarray) -> np.ndarray:
    """The bin of each image by the share of the class that most people choose, int64, N."""
    return np.digitize(people.max(axis=1), np.array(EDGES) - 1e-9).astype(np.int64)


def of_class(people: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Share of people who choose a class of each image."""
    return people[np.arange(len(classes)), classes]
