"""Mistakes of networks sorted by where they come from: the label, the picture or the network.

A mistake belongs to the first kind that fits it, in the order of `Kind`. Two sources say that a
label is in doubt: five people who judged it did not confirm it (Northcutt et al. 2021), or the most
frequent answer of about fifty people is another class (CIFAR-10H, Peterson et al. 2019). On some
other images people disagree: fewer than nine in ten of the fifty give the label, whatever class the
network gives.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from scipy import stats

from cifarcam.data import CLASS_NAMES
from cifarcam.data.evidence import LabelVotes
from cifarcam.errors import CifarcamError
from cifarcam.studies.inference import LEVEL, Effect

DISAGREE = 2  # people's agreement from which fewer than 90% of them give the label
# The pairs of classes that people confuse most: the first four of the 45 in CIFAR-10H. Fixed before
# the networks' mistakes were sorted.
LOOKALIKES = (("cat", "dog"), ("deer", "horse"), ("automobile", "truck"), ("airplane", "ship"))
RIGHT = -1


class Kind(IntEnum):
    """Kinds of mistakes, in order of precedence."""

    LABEL = 0
    PEOPLE = 1
    LOOKALIKE = 2
    OTHER = 3


KINDS = ("label in doubt", "people disagree", "look-alike classes", "none of these")


@dataclass(frozen=True)
class Evidence:
    """What people say of each test image.

    Attributes
    ----------
    kinds
        `Kind.LABEL`, `Kind.PEOPLE` or, of the other images, `Kind.OTHER`; int64, N.
    preferred
        The class that people prefer to a label in doubt, int64, N; -1 where there is none.
    agreement
        How many of about fifty people give the label, see `evidence_of`, integers, N.
    five, many, both, either
        Number of labels in doubt: according to five people who judged the label, according to the
        most frequent answer of about fifty people, according to both, and to at least one.
    judged_both
        Number of labels that the fifty doubt and that the five judged at all.
    undecided
        Of `either`, the labels to which people prefer no other class.
    disagree
        Number of images of `Kind.PEOPLE`.
    sentence
        How far the two sources agree, in words.
    """

    kinds: np.ndarray
    preferred: np.ndarray
    agreement: np.ndarray
    five: int
    many: int
    both: int
    either: int
    judged_both: int
    undecided: int
    disagree: int
    sentence: str

    @property
    def doubted(self) -> np.ndarray:
        """Indices of the images whose label people doubt, int64."""
        return np.flatnonzero(self.kinds == Kind.LABEL)


def evidence_of(
    votes: LabelVotes, labels: np.ndarray, agreement: np.ndarray, majority: np.ndarray
) -> Evidence:
    """Sort the test images by what people say of their labels.

    Parameters
    ----------
    votes
        What five people said of candidates.
    labels
        Integers, N.
    agreement
        Of about fifty people for each image, integers, N: 0 all give the label, 1 at least 90%, 2
        at least half, 3 fewer.
    majority
        Their most frequent answer, integers, N; the label or -1 where it is the label.

    Raises
    ------
    CifarcamError
        When the shapes do not fit.
    """
    if not labels.shape == agreement.shape == majority.shape or labels.ndim != 1:
        raise CifarcamError(
            f"labels, agreement and majority of shapes {labels.shape}, {agreement.shape} and "
            f"{majority.shape}; give N of each"
        )
    many = (majority >= 0) & (majority != labels)
    five = np.zeros(labels.shape, bool)
    five[votes.images[votes.doubtful]] = True
    preferred = np.full(labels.shape, -1, np.int64)
    preferred[votes.images[votes.corrected]] = votes.suggested[votes.corrected]
    preferred[many] = majority[many]
    either = five | many
    kinds = np.select([either, agreement >= DISAGREE], [Kind.LABEL, Kind.PEOPLE], Kind.OTHER)
    both, judged = int((five & many).sum()), int(np.isin(votes.images, np.flatnonzero(many)).sum())
    return Evidence(
        kinds=kinds.astype(np.int64),
        preferred=preferred,
        agreement=agreement,
        five=int(five.sum()),
        many=int(many.sum()),
        both=both,
        either=int(either.sum()),
        judged_both=judged,
        undecided=int((either & (preferred < 0)).sum()),
        disagree=int((kinds == Kind.PEOPLE).sum()),
        sentence=_sources(int(five.sum()), int(many.sum()), both, judged),
    )


def recut(evidence: Evidence, disagree: int) -> Evidence:
    """The same evidence, where people disagree from another category of their agreement on.

    Parameters
    ----------
    evidence
        From `evidence_of`.
    disagree
        People disagree on an image whose `agreement` is at least this: 1 where not all of them give
        the label, 2 where fewer than 90% do, 3 where fewer than half do.
    """
    apart = np.where(evidence.agreement >= disagree, Kind.PEOPLE, Kind.OTHER)
    kinds = np.where(evidence.kinds == Kind.LABEL, Kind.LABEL, apart).astype(np.int64)
    return replace(evidence, kinds=kinds, disagree=int((kinds == Kind.PEOPLE).sum()))


def _sources(five: int, many: int, both: int, judged: int) -> str:
    if not five and not many:
        return "No label is in doubt according to either source."
    if not many:
        return "The fifty people doubt no label."
    if not five:
        return "The five people confirmed every label that they judged."
    counts = f"({five} and {many} labels, {both} of them the same)"
    if 2 * both >= min(five, many):
        return f"The two sources mostly doubt the same labels {counts}."
    text = f"The two sources mostly doubt different labels {counts}."
    if not judged:
        return f"{text} The five people judged none of the labels that the fifty people doubt."
    if judged == 1:
        end = "did not confirm it" if both else "confirmed it"
        return (
            f"{text} The five people judged only one label that the fifty people doubt, and {end}."
        )
    if judged == many:
        return (
            f"{text} The five people judged all {many} labels that the fifty people doubt, and did "
            f"not confirm {both} of these labels."
        )
    return (
        f"{text} The five people judged only {judged} of the {many} labels that the fifty people "
        f"doubt, and did not confirm {both} of these {judged} labels. The fifty people saw all images."
    )


def kinds_of(predicted: np.ndarray, labels: np.ndarray, images: np.ndarray) -> np.ndarray:
    """The kind of each prediction, int64: `RIGHT` or a `Kind`.

    Parameters
    ----------
    predicted
        Integers 0-9, ... x N.
    labels
        Integers 0-9, N.
    images
        The images' kinds, see `Evidence`.
    """
    alike = (images == Kind.OTHER) & _lookalike()[labels, predicted]
    kinds = np.where(alike, Kind.LOOKALIKE, images)
    return np.where(predicted == labels, RIGHT, kinds).astype(np.int64)


def by_chance(labels: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Shares of the kinds if any image got any wrong class with equal chance, %, float64, 4."""
    wrong = len(CLASS_NAMES) - 1
    alike = _lookalike()[labels].sum(axis=1) / wrong * (images == Kind.OTHER)
    label, people = (float((images == kind).mean()) for kind in (Kind.LABEL, Kind.PEOPLE))
    return 100 * np.array([label, people, alike.mean(), 1 - label - people - alike.mean()])


def _lookalike() -> np.ndarray:
    """Whether two classes are one of `LOOKALIKES`, bool, classes x classes."""
    table = np.zeros((len(CLASS_NAMES), len(CLASS_NAMES)), bool)
    for pair in LOOKALIKES:
        first, second = (CLASS_NAMES.index(name) for name in pair)
        table[first, second] = table[second, first] = True
    return table


@dataclass(frozen=True)
class Sorted:
    """The mistakes of a network by kind.

    Attributes
    ----------
    name
        The network.
    accuracy, mistakes
        Percent, and number of mistakes, means over seeds.
    counts
        Mistakes of each kind, means over seeds.
    shares
        Of each kind in all mistakes, %, over test images: other images, the same seeds (ratio of
        means, Cochran 1977, section 6.3).
    deviations
        Standard deviation of each share from seed to seed, points; NaN for a single seed.
    own
        Share of the last two kinds together, the network's own mistakes, %, over test images.
    preferred
        Of the mistakes whose label is in doubt and where people prefer another class, the share
        that give this class, %; NaN where there is no such mistake.
    """

    name: str
    accuracy: float
    mistakes: float
    counts: tuple[float, ...]
    shares: tuple[Effect, ...]
    deviations: tuple[float, ...]
    own: Effect
    preferred: float


def sort(
    predicted: Mapping[str, np.ndarray], labels: np.ndarray, evidence: Evidence
) -> tuple[Sorted, ...]:
    """Sort the mistakes of each network, the least accurate network first.

    Parameters
    ----------
    predicted
        Predicted classes by network, integers, seeds x N.
    labels
        Integers, N.
    evidence
        What people say of the images.

    Raises
    ------
    CifarcamError
        When a network makes no mistake.
    """
    rows = [_sorted(name, seeds, labels, evidence) for name, seeds in predicted.items()]
    return tuple(sorted(rows, key=lambda row: row.accuracy))


def _sorted(name: str, seeds: np.ndarray, labels: np.ndarray, evidence: Evidence) -> Sorted:
    kinds = kinds_of(seeds, labels, evidence.kinds)
    wrong = kinds != RIGHT
    if not wrong.any(axis=1).all():
        raise CifarcamError(f"{name} makes no mistakes with some seed; leave it out")
    of_kind = np.stack([kinds == kind for kind in Kind])  # kinds x seeds x N
    by_seed = 100 * of_kind.sum(axis=2) / wrong.sum(axis=1)
    doubted = (kinds == Kind.LABEL) & (evidence.preferred >= 0)
    better = (seeds == evidence.preferred) & doubted
    return Sorted(
        name,
        100 * float((~wrong).mean()),
        float(wrong.sum(axis=1).mean()),
        tuple(float(count) for count in of_kind.sum(axis=2).mean(axis=1)),
        tuple(share(one.mean(axis=0), wrong.mean(axis=0)) for one in of_kind),
        tuple(float(one.std(ddof=1)) if len(one) > 1 else math.nan for one in by_seed),
        share((kinds >= Kind.LOOKALIKE).mean(axis=0), wrong.mean(axis=0)),
        100 * float(better.sum() / doubted.sum()) if doubted.any() else math.nan,
    )


def share(part: np.ndarray, whole: np.ndarray) -> Effect:
    """The sum of `part` in percent of the sum of `whole`, with its interval over images.

    The interval is that of a ratio of means (Cochran 1977, section 6.3).

    Parameters
    ----------
    part, whole
        Mean number of mistakes on each image, of a kind and in all, float64, N.
    """
    value = float(part.sum() / whole.sum())
    error = math.sqrt(float(((part - value * whole) ** 2).sum())) / float(whole.sum())
    half = float(stats.norm.ppf((1 + LEVEL) / 2)) * error
    ends = 100 * max(value - half, 0.0), 100 * min(value + half, 1.0)
    test = "ratio of means"
    return Effect(100 * value, *ends, "%", "test images", len(whole), test, null=math.nan)
