"""Published networks beside ours: mistakes by pair of classes, and mistakes in common."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from cifarcam.data import CLASS_NAMES, evidence
from cifarcam.errors import CifarcamError
from cifarcam.studies import confusion_pairs
from cifarcam.studies.wording import number

PAIRS = tuple(combinations(range(len(CLASS_NAMES)), 2))


@dataclass(frozen=True)
class PairShare:
    """How much of the mistakes a pair of classes takes in published networks and in ours.

    Attributes
    ----------
    pair
        The two classes, ``"cat – dog"``.
    networks
        Number of published networks.
    published, lowest, highest
        Share of all mistakes, %, both ways: mean, lowest and highest over the published networks.
    ours
        By network of ours, mean over its seeds.
    by_margins
        By network of ours, if the mistakes of all its seeds were spread by chance over the pairs,
        with every class missed and wrongly answered as often as it was (quasi-independence, see
        `confusion_pairs.expected`).
    """

    pair: str
    networks: int
    published: float
    lowest: float
    highest: float
    ours: Mapping[str, float]
    by_margins: Mapping[str, float]


def published() -> dict[str, np.ndarray]:
    """Predicted classes of the published networks by name, int64, 1 x 10,000 each."""
    return {
        name: classes.astype(np.int64)[np.newaxis]
        for name, classes in evidence.published_predictions().items()
    }


def deep_networks(names: Iterable[str]) -> int:
    """Number of the published classifiers that are deep networks, not random features."""
    return sum(not name.startswith("random_features") for name in names)


def stacked(networks: Mapping[str, np.ndarray]) -> np.ndarray:
    """Predicted classes of all networks and seeds, K x N, of seeds x N by network."""
    return np.concatenate(list(networks.values()))


def pair_shares(predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Share of each pair of classes in the mistakes of each network, %, float64, K x 45.

    Parameters
    ----------
    predicted
        Predicted classes by network, integers 0-9, K x N.
    labels
        Integers 0-9, N.

    Raises
    ------
    CifarcamError
        When a network makes no mistakes.
    """
    shares = np.empty((len(predicted), len(PAIRS)))
    for row, classes in enumerate(predicted):
        wrong = classes != labels
        if not wrong.any():
            raise CifarcamError(f"network {row} makes no mistakes; leave it out of the comparison")
        shares[row] = 100 * confusion_pairs.both_ways(_confusions(classes, labels)) / wrong.sum()
    return shares


def by_pair(
    published: np.ndarray, ours: Mapping[str, np.ndarray], labels: np.ndarray
) -> tuple[PairShare, ...]:
    """The pairs of classes, those that take most of the published networks' mistakes first.

    Parameters
    ----------
    published
        Predicted classes by network, K x N.
    ours
        By network, seeds x N.
    labels
        Integers, N.
    """
    theirs = pair_shares(published, labels)
    own = {name: pair_shares(seeds, labels).mean(axis=0) for name, seeds in ours.items()}
    by_margins = {name: _margin_shares(seeds, labels) for name, seeds in ours.items()}
    return tuple(
        PairShare(
            f"{CLASS_NAMES[PAIRS[k][0]]} – {CLASS_NAMES[PAIRS[k][1]]}",
            len(published),
            float(theirs[:, k].mean()),
            float(theirs[:, k].min()),
            float(theirs[:, k].max()),
            {name: float(shares[k]) for name, shares in own.items()},
            {name: float(shares[k]) for name, shares in by_margins.items()},
        )
        for k in np.argsort(-theirs.mean(axis=0), kind="stable")
    )


def _margin_shares(seeds: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Share of each pair in the mistakes that the classes alone would give, %, float64, 45."""
    matrix = np.sum([_confusions(predicted, labels) for predicted in seeds], axis=0)
    cells = confusion_pairs.both_ways(confusion_pairs.expected(matrix))
    return np.asarray(100 * cells / cells.sum())


def _confusions(predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Number of mistakes by true class (row) and answered class, 10 x 10, zeros on the diagonal."""
    count, wrong = len(CLASS_NAMES), predicted != labels
    cells = np.bincount(labels[wrong] * count + predicted[wrong], minlength=count**2)
    return cells.reshape(count, count)


@dataclass(frozen=True)
class Profile:
    """Whether our networks spread their mistakes over pairs of classes as published networks do.

    Attributes
    ----------
    least, most
        Lowest and highest rank correlation of the 45 shares, over our networks.
    least_name
        The network of the lowest.
    margins_least, margins_most
        The same of the mistakes that our networks' classes alone would give, see `PairShare`.
    pairs
        Number of pairs.
    sentence
        The result in words.
    """

    least: float
    most: float
    least_name: str
    margins_least: float
    margins_most: float
    pairs: int
    sentence: str


def profile(shares: Sequence[PairShare]) -> Profile:
    """Correlate the shares of the pairs, ours with the published networks' mean (Spearman)."""
    published = np.array([one.published for one in shares])
    ours = {name: _ranks(published, [one.ours[name] for one in shares]) for name in shares[0].ours}
    name = min(ours, key=lambda one: ours[one])
    low, high = ours[name], max(ours.values())
    reach = _span(number(low, 2), number(high, 2))
    numbers = f"(rank correlation {reach} over the {len(shares)} pairs of classes)"
    if low >= 0.8:
        sentence = f"Our networks confuse what published networks confuse {numbers}."
    elif high >= 0.8:
        sentence = (
            "Some of our networks confuse what published networks confuse, and other networks do so "
            f"less {numbers}."
        )
    else:
        sentence = f"Our networks confuse other classes than published networks do {numbers}."
    chance = [_ranks(published, [one.by_margins[name] for one in shares]) for name in ours]
    least, most = min(chance), max(chance)
    reach = _span(number(least, 2), number(most, 2))
    spread = (
        "if we spread the mistakes by chance over the pairs, with every class missed and wrongly "
        "answered as often as before, the rank correlation is"
    )
    if high < 0.8:
        sentence += f" For comparison, {spread} {reach}."
    elif most < low:
        sentence += f" The classes alone do not explain this: {spread} only {reach}."
    else:
        sentence += f" The classes alone may explain this in part: {spread} {reach}."
    return Profile(low, high, name, least, most, len(shares), sentence)


def _ranks(published: np.ndarray, ours: Sequence[float]) -> float:
    return confusion_pairs.rank_correlation(published, np.array(ours))


def _span(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def consistency(one: np.ndarray, other: np.ndarray) -> float:
    """Error consistency of two networks (Geirhos et al. 2020, section 2, equations 1 to 3).

    1 where they are right on the same images, 0 where they agree as independent networks of these
    accuracies would; NaN where that expectation is 1.

    Parameters
    ----------
    one, other
        Whether each image was classified rightly, bool, N.
    """
    first, second = float(one.mean()), float(other.mean())
    observed = float((one == other).mean())
    expected = first * second + (1 - first) * (1 - second)
    return (observed - expected) / (1 - expected) if expected < 1 else math.nan


def same_wrong(one: np.ndarray, other: np.ndarray, labels: np.ndarray) -> float:
    """Among images that two networks get wrong, the share on which they give one class, 0-1.

    NaN where there is no such image.
    """
    both = (one != labels) & (other != labels)
    return float((one == other)[both].mean()) if both.any() else math.nan


def same_by_confusions(one: np.ndarray, other: np.ndarray, labels: np.ndarray) -> float:
    """What `same_wrong` would be if each network drew its wrong class by its own confusions, 0-1.

    Each network's wrong class is then independent of the image, given its true class. The
    probability of a class is its share in the network's mistakes on that true class. NaN where no
    image is wrong in both.
    """
    both = (one != labels) & (other != labels)
    by_class = (_conditional(one, labels) * _conditional(other, labels)).sum(axis=1)
    return float(by_class[labels[both]].mean()) if both.any() else math.nan


def _conditional(predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Shares of the classes in the mistakes on each true class (row), float64, 10 x 10."""
    cells = _confusions(predicted, labels).astype(np.float64)
    sums = cells.sum(axis=1, keepdims=True)
    return np.divide(cells, sums, out=np.zeros_like(cells), where=sums > 0)


@dataclass(frozen=True)
class Likeness:
    """How far the mistakes of a network are the mistakes of the published networks.

    Attributes
    ----------
    name
        The network, or ``"published networks"`` among each other.
    accuracy
        Percent, mean over seeds or networks.
    consistency
        Mean error consistency over all pairs of a seed and a published network.
    consistency_of_seeds
        Mean error consistency over the pairs of its own seeds; NaN for a single seed.
    same
        Mean share of the images wrong in both that get the same wrong class, %; NaN where no image
        is wrong in both.
    same_expected
        What `same` would be if each network drew its wrong class by its own confusions of the true
        class, %, see `same_by_confusions`.
    """

    name: str
    accuracy: float
    consistency: float
    consistency_of_seeds: float
    same: float
    same_expected: float


def likeness(
    published: np.ndarray, ours: Mapping[str, np.ndarray], labels: np.ndarray
) -> tuple[Likeness, ...]:
    """Compare mistakes: each of our networks, and published networks among each other (last).

    Parameters
    ----------
    published
        Predicted classes by network, K x N, at least two.
    ours
        By network, seeds x N.
    labels
        Integers, N.
    """
    rows = [
        _likeness(name, seeds, [(one, other) for one in seeds for other in published], labels)
        for name, seeds in ours.items()
    ]
    among = list(combinations(published, 2))
    return (*rows, _likeness("published networks", published, among, labels))


def _likeness(
    name: str, members: np.ndarray, pairs: Sequence[tuple[np.ndarray, ...]], labels: np.ndarray
) -> Likeness:
    right = members == labels
    own = [consistency(one, other) for one, other in combinations(right, 2)]
    same = [same_wrong(one, other, labels) for one, other in pairs]
    drawn = [same_by_confusions(one, other, labels) for one, other in pairs]
    return Likeness(
        name,
        100 * float(right.mean()),
        float(np.mean([consistency(one == labels, other == labels) for one, other in pairs])),
        float(np.mean(own)) if own else math.nan,
        100 * _mean(same),
        100 * _mean(drawn),
    )


def _mean(shares: Sequence[float]) -> float:
    """Mean of the shares that are numbers; NaN where none is."""
    finite = [share for share in shares if not math.isnan(share)]
    return float(np.mean(finite)) if finite else math.nan


def likeness_sentence(rows: Sequence[Likeness]) -> str:
    """What `likeness` says in words; the published networks are the last row."""
    *ours, among = rows
    low, high = min(one.consistency for one in ours), max(one.consistency for one in ours)
    numbers = f"(error consistency {number(low, 2)} to {number(high, 2)}, where chance gives 0)"
    if low > 0:
        text = (
            "Each of our networks shares more mistakes with published networks than independent "
            f"networks of these accuracies would {numbers}."
        )
    else:
        text = (
            "Not all of our networks share more mistakes with published networks than independent "
            f"networks of these accuracies would {numbers}."
        )
    text += f" Published networks reach {among.consistency:.2f} among themselves."
    compared = [one for one in ours if not math.isnan(one.same)]
    if not compared:
        return text
    same, drawn = (
        _span(f"{min(shares):.0f}%", f"{max(shares):.0f}%")
        for shares in (
            [one.same for one in compared],
            [one.same_expected for one in compared],
        )
    )
    text += (
        " Where one of our networks and a published network are both wrong, they give the same wrong "
        f"class on {same} of the images."
    )
    if all(one.same > one.same_expected for one in compared):
        return (
            f"{text} Their confusions of the classes do not explain this: if each network drew its "
            "wrong class according to its own confusions of the true class, they would agree on "
            f"{drawn} of the images."
        )
    return (
        f"{text} For some of our networks, their confusions of the classes can explain this: if each "
        "network drew its wrong class according to its own confusions of the true class, they would "
        f"agree on {drawn} of the images."
    )
