"""How alike two observers of the same images confuse the pairs of classes.

An observer is a network, which gives one class to each image, or people, who share their answers
among the classes. Both ways of a pair are taken together: of 10 classes there are 45 pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from cifarcam.errors import CifarcamError

DRAWS = 200  # random draws of mistakes and of images
STEPS = 2_000  # at most, of the fit of `expected`
TOLERANCE = 1e-9


def by_class(shares: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Answers summed by true class (row) and answered class (column), float64, C x C.

    Parameters
    ----------
    shares
        Share of each class in the answers to each image, N x C: people's distributions, or ones and
        zeros of a network's predicted classes.
    labels
        Integers, N.

    Raises
    ------
    CifarcamError
        When the shapes do not fit.
    """
    if shares.ndim != 2 or labels.shape != shares.shape[:1]:
        raise CifarcamError(
            f"answers of shape {shares.shape} and labels of shape {labels.shape}; give N x C and N"
        )
    matrix = np.zeros((shares.shape[1], shares.shape[1]))
    np.add.at(matrix, labels, shares.astype(np.float64))
    return matrix


def both_ways(matrix: np.ndarray) -> np.ndarray:
    """Answers of one class of a pair for the other, both ways, by pair: C (C - 1) / 2.

    The pairs are ordered as in `itertools.combinations`: (0, 1), (0, 2), …
    """
    first, second = np.triu_indices(len(matrix), 1)
    return np.asarray(matrix[first, second] + matrix[second, first])


def expected(matrix: np.ndarray) -> np.ndarray:
    """Mistakes that the classes alone would give, float64, C x C with an empty diagonal.

    Each cell off the diagonal is the product of a factor of its row, how often the class is missed,
    and a factor of its column, how often the class is answered wrongly. The factors give the rows
    and columns off the diagonal the sums that were observed: quasi-independence (Bishop, Fienberg
    and Holland 1975, chapter 5), fitted by iterative proportional fitting.

    Parameters
    ----------
    matrix
        Answers by true class and answered class, C x C; the diagonal does not count.

    Raises
    ------
    CifarcamError
        When it is not a square of numbers from 0 on.
    """
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not (matrix >= 0).all():
        raise CifarcamError(f"shape {matrix.shape}; give a square of numbers from 0 on")
    off = ~np.eye(len(matrix), dtype=bool)
    mistakes = np.where(off, matrix, 0.0)
    rows, columns = mistakes.sum(axis=1), mistakes.sum(axis=0)
    fitted = off & (rows > 0)[:, None] & (columns > 0)[None, :]
    cells = fitted.astype(np.float64)
    for _ in range(STEPS):
        cells *= _ratio(rows, cells.sum(axis=1))[:, None]
        cells *= _ratio(columns, cells.sum(axis=0))[None, :]
        if np.abs(cells.sum(axis=1) - rows).max(initial=0) <= TOLERANCE * rows.sum():
            break
    return cells


def residuals(matrix: np.ndarray) -> np.ndarray:
    """By pair, what `expected` leaves: observed minus expected, divided by the expected's root."""
    observed, by_margins = both_ways(matrix), both_ways(expected(matrix))
    root = np.sqrt(by_margins)
    return np.divide(observed - by_margins, root, out=np.zeros_like(root), where=root > 0)


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's rank correlation; NaN where one side has equal values only."""
    return float(rank_correlations(np.asarray(one), np.asarray(other)))


def rank_correlations(ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation along the last axis, as `rank_correlation`."""
    first, second = (
        stats.rankdata(side, axis=-1) - (side.shape[-1] + 1) / 2 for side in (ones, others)
    )
    scale = np.sqrt((first**2).sum(axis=-1) * (second**2).sum(axis=-1))
    product = (first * second).sum(axis=-1)
    return np.divide(product, scale, out=np.full_like(scale, np.nan), where=scale > 0)


@dataclass(frozen=True)
class PeopleLikeness:
    """How alike a network and people confuse the pairs of classes: rank correlations over pairs.

    Attributes
    ----------
    observed
        Of the network's mistakes and people's.
    by_margins
        Of the mistakes `expected` from how often the network misses each class and answers it
        wrongly, and people's mistakes.
    beyond
        Of what `expected` leaves of both, see `residuals`.
    equal
        The mean of `observed` where only as many mistakes of the network are drawn as the most
        accurate network makes, so that networks are compared by equally many mistakes.
    error
        Standard error of `observed` over test images (bootstrap).
    """

    observed: float
    by_margins: float
    beyond: float
    equal: float
    error: float


def likeness(
    predictions: Mapping[str, np.ndarray], people: np.ndarray, labels: np.ndarray, seed: int = 0
) -> dict[str, PeopleLikeness]:
    """Compare the confusions of several networks with people's.

    Parameters
    ----------
    predictions
        Predicted classes of each network, integers, N.
    people
        People's distributions, float64, N x C.
    labels
        Integers, N.
    seed
        Of the random draws.
    """
    theirs = by_class(people, labels)
    matrices = {name: by_class(_one_hot(p, people), labels) for name, p in predictions.items()}
    fewest = min((int(both_ways(one).sum()) for one in matrices.values()), default=0)
    errors = standard_errors(predictions, people, labels, seed=seed)
    return {
        name: PeopleLikeness(
            rank_correlation(both_ways(one), both_ways(theirs)),
            rank_correlation(both_ways(expected(one)), both_ways(theirs)),
            rank_correlation(residuals(one), residuals(theirs)),
            at_equal_count(both_ways(one), both_ways(theirs), fewest, seed=seed),
            errors[name],
        )
        for name, one in matrices.items()
    }


def at_equal_count(
    counts: np.ndarray, people: np.ndarray, mistakes: int, *, draws: int = DRAWS, seed: int = 0
) -> float:
    """The mean rank correlation with people's mistakes, by random draws of so many mistakes.

    Mistakes are drawn without replacement. A network's rank correlation falls with fewer mistakes,
    whatever they are, since rare pairs are then counted less exactly.

    Parameters
    ----------
    counts
        Mistakes by pair, whole numbers.
    people
        People's mistakes by pair.
    mistakes
        How many to draw, at most all.
    """
    whole = np.rint(counts).astype(np.int64)
    if not 0 <= mistakes <= whole.sum():
        raise CifarcamError(f"{mistakes} of {whole.sum()} mistakes; draw at most all")
    if mistakes == whole.sum():
        return rank_correlation(whole, people)
    generator = np.random.default_rng(seed)
    drawn = generator.multivariate_hypergeometric(whole, mistakes, size=draws)
    return float(rank_correlations(drawn, np.asarray(people)).mean())


def standard_errors(
    predictions: Mapping[str, np.ndarray],
    people: np.ndarray,
    labels: np.ndarray,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, float]:
    """Standard error over test images of each network's rank correlation with people.

    The bootstrap draws images with replacement, the same images for the network and for people.
    """
    first, second = np.triu_indices(people.shape[1], 1)
    generator = np.random.default_rng(seed)
    count = len(labels)
    weights = generator.multinomial(count, np.full(count, 1 / count), size=draws).astype(np.float64)

    def by_pair(shares: np.ndarray) -> np.ndarray:
        """Each draw's mistakes by pair, draws x pairs."""
        of_first = shares[:, second] * (labels[:, None] == first)
        return np.asarray(weights @ (of_first + shares[:, first] * (labels[:, None] == second)))

    theirs = by_pair(people)
    return {
        name: float(rank_correlations(by_pair(_one_hot(p, people)), theirs).std(ddof=1))
        for name, p in predictions.items()
    }


def _one_hot(predicted: np.ndarray, people: np.ndarray) -> np.ndarray:
    return np.eye(people.shape[1])[np.asarray(predicted, np.int64)]


def _ratio(of: np.ndarray, to: np.ndarray) -> np.ndarray:
    return np.divide(of, to, out=np.zeros_like(to), where=to > 0)
