"""Published networks beside ours: mistakes by pair of classes, and mistakes in common."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats

from cifarcam.data import CLASS_NAMES, evidence
from cifarcam.errors import CifarcamError

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
    """

    pair: str
    networks: int
    published: float
    lowest: float
    highest: float
    ours: Mapping[str, float]


def published() -> dict[str, np.ndarray]:
    """Predicted classes of the published networks by name, int64, 1 x 10,000 each."""
    return {
        name: classes.astype(np.int64)[np.newaxis]
        for name, classes in evidence.published_predictions().items()
    }


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
    count = len(CLASS_NAMES)
    shares = np.empty((len(predicted), len(PAIRS)))
    for row, classes in enumerate(predicted):
        wrong = classes != labels
        if not wrong.any():
            raise CifarcamError(f"network {row} makes no mistakes; leave it out of the comparison")
        matrix = np.bincount(labels[wrong] * count + classes[wrong], minlength=count**2)
        both = matrix.reshape(count, count) + matrix.reshape(count, count).T
        shares[row] = [100 * both[pair] / wrong.sum() for pair in PAIRS]
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
    return tuple(
        PairShare(
            f"{CLASS_NAMES[PAIRS[k][0]]} – {CLASS_NAMES[PAIRS[k][1]]}",
            len(published),
            float(theirs[:, k].mean()),
            float(theirs[:, k].min()),
            float(theirs[:, k].max()),
            {name: float(shares[k]) for name, shares in own.items()},
        )
        for k in np.argsort(-theirs.mean(axis=0), kind="stable")
    )


@dataclass(frozen=True)
class Profile:
    """Whether our networks spread their mistakes over pairs of classes as published networks do.

    Attributes
    ----------
    least, most
        Lowest and highest rank correlation of the 45 shares, over our networks.
    least_name
        The network of the lowest.
    pairs
        Number of pairs.
    sentence
        The result in words.
    """

    least: float
    most: float
    least_name: str
    pairs: int
    sentence: str


def profile(shares: Sequence[PairShare]) -> Profile:
    """Correlate the shares of the pairs, ours with the published networks' mean (Spearman)."""
    published = [one.published for one in shares]
    ours = {
        name: float(stats.spearmanr(published, [one.ours[name] for one in shares]).statistic)
        for name in shares[0].ours
    }
    name = min(ours, key=lambda one: ours[one])
    low, high = ours[name], max(ours.values())
    numbers = f"(rank correlation {low:.2f} to {high:.2f} over the {len(shares)} pairs of classes)"
    if low >= 0.8:
        sentence = f"Our networks confuse what published networks confuse {numbers}."
    elif high >= 0.8:
        sentence = (
            f"Some of our networks confuse what published networks confuse, others less {numbers}."
        )
    else:
        sentence = f"Our networks confuse other classes than published networks do {numbers}."
    return Profile(low, high, name, len(shares), sentence)


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

    NaN where there is no such image. Of nine wrong classes drawn at random it is 1/9.
    """
    both = (one != labels) & (other != labels)
    return float((one == other)[both].mean()) if both.any() else math.nan


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
    """

    name: str
    accuracy: float
    consistency: float
    consistency_of_seeds: float
    same: float


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
    same = [share for share in same if not math.isnan(share)]
    return Likeness(
        name,
        100 * float(right.mean()),
        float(np.mean([consistency(one == labels, other == labels) for one, other in pairs])),
        float(np.mean(own)) if own else math.nan,
        100 * float(np.mean(same)) if same else math.nan,
    )


def likeness_sentence(rows: Sequence[Likeness]) -> str:
    """What `likeness` says in words; the published networks are the last row."""
    *ours, among = rows
    low, high = min(one.consistency for one in ours), max(one.consistency for one in ours)
    numbers = f"(error consistency {low:.2f} to {high:.2f}, where chance gives 0)"
    if low > 0:
        text = (
            "Each of our networks shares more mistakes with published networks than independent "
            f"networks of these accuracies would {numbers}"
        )
    else:
        text = (
            "Not all of our networks share more mistakes with published networks than independent "
            f"networks of these accuracies would {numbers}"
        )
    text += f"; among themselves, published networks reach {among.consistency:.2f}"
    lowest, highest = min(one.same for one in ours), max(one.same for one in ours)
    share = (
        f"{lowest:.0f}% to {highest:.0f}%"
        if f"{lowest:.0f}" != f"{highest:.0f}"
        else (f"{lowest:.0f}%")
    )
    return (
        f"{text}. Where both are wrong, they give the same wrong class on {share} of the images; "
        f"chance would give {100 / (len(CLASS_NAMES) - 1):.0f}%."
    )
