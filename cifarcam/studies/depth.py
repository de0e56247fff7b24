"""Confusion of similar classes against the depth and the accuracy of networks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from cifarcam.data import CLASS_NAMES, evidence
from cifarcam.errors import CifarcamError
from cifarcam.runs import Run
from cifarcam.studies import inference
from cifarcam.studies.inference import LEVEL, Effect

# Convolutions and dense layers on the longest way, `cifarcam.models.cost.depth`, of networks whose
# depth is comparable: attention adds layers that make no features, a transformer's are of two kinds.
DEPTHS: Mapping[str, int] = {
    "baseline": 5,
    "custom CNN, augmented": 5,
    "AlexNet": 8,
    "VGG-19": 17,
    "ResNet-18": 18,
}


# Pairs of similar classes that the original names.
PAIRS: tuple[tuple[str, str], ...] = (
    ("cat", "dog"),
    ("automobile", "truck"),
    ("airplane", "ship"),
)


@dataclass(frozen=True)
class Confusions:
    """How often several networks confuse the classes of each of `PAIRS`.

    Attributes
    ----------
    names
        The networks, N.
    depth
        Float64, N; NaN where it is not known or not comparable.
    accuracy
        Percent of the test images, float64, N; the mean over seeds.
    counts
        Test images of one class of a pair taken for the other, both ways; float64, N x pairs, the
        mean over seeds.
    shares
        The same in percent of all mistakes.
    """

    names: tuple[str, ...]
    depth: np.ndarray
    accuracy: np.ndarray
    counts: np.ndarray
    shares: np.ndarray

    def of_known_depth(self) -> Confusions:
        """The networks whose depth is known and comparable."""
        known = ~np.isnan(self.depth)
        return Confusions(
            tuple(name for name, one in zip(self.names, known, strict=True) if one),
            self.depth[known],
            self.accuracy[known],
            self.counts[known],
            self.shares[known],
        )


def confusions(
    matrices: Mapping[str, Sequence[np.ndarray]], depths: Mapping[str, float]
) -> Confusions:
    """Confusion of the classes of each of `PAIRS`, from confusion matrices.

    Parameters
    ----------
    matrices
        For each network one matrix a seed: counts, C x C, rows are true classes.
    depths
        By network; networks that are not named have none.

    Raises
    ------
    CifarcamError
        When a network makes no mistakes, so that pairs have no share of them.
    """
    accuracy, counts, shares = [], [], []
    pairs = [[CLASS_NAMES.index(name) for name in pair] for pair in PAIRS]
    for name, seeds in matrices.items():
        stacked = np.stack([np.asarray(matrix, np.float64) for matrix in seeds])
        right, total = np.trace(stacked, axis1=1, axis2=2), stacked.sum(axis=(1, 2))
        if (right == total).any():
            raise CifarcamError(f"{name} makes no mistakes; leave it out of a comparison of them")
        confused = np.stack([stacked[:, i, j] + stacked[:, j, i] for i, j in pairs], axis=1)
        accuracy.append(float((100 * right / total).mean()))
        counts.append(confused.mean(axis=0))
        shares.append((100 * confused / (total - right)[:, None]).mean(axis=0))
    names = tuple(matrices)
    depth = np.array([depths.get(name, math.nan) for name in names], np.float64)
    return Confusions(names, depth, np.array(accuracy), np.stack(counts), np.stack(shares))


def confusion_matrix(predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Counts by true class (row) and predicted class (column), int64, 10 x 10."""
    matrix = np.zeros((len(CLASS_NAMES), len(CLASS_NAMES)), np.int64)
    np.add.at(matrix, (np.asarray(labels, np.int64), np.asarray(predicted, np.int64)), 1)
    return matrix


def of_runs(networks: Mapping[str, Sequence[Run]]) -> Confusions:
    """`confusions` of networks of this report, each with the runs of its seeds."""
    matrices = {
        name: [run.metrics["test"]["confusion"] for run in seeds]
        for name, seeds in networks.items()
    }
    return confusions(matrices, DEPTHS)


def of_predictions(
    predictions: Mapping[str, np.ndarray], labels: np.ndarray, depths: Mapping[str, float]
) -> Confusions:
    """`confusions` of networks of which the predicted classes are known."""
    matrices = {name: [confusion_matrix(one, labels)] for name, one in predictions.items()}
    return confusions(matrices, depths)


def published() -> Confusions:
    """How often the thirty published networks confuse the classes of each pair."""
    return of_predictions(evidence.published_predictions(), evidence.test_labels(), evidence.DEPTHS)


def partial_rank_correlation(
    first: Sequence[float] | np.ndarray,
    second: Sequence[float] | np.ndarray,
    given: Sequence[float] | np.ndarray,
    seed: int = 0,
) -> Effect:
    """The rank correlation of two quantities over networks at equal ranks of a third.

    It is the correlation of what remains of the ranks of `first` and of `second` after a linear
    regression on the ranks of `given` (Kendall 1942 for the closed form with three correlations).
    The p-value is from 9,999 permutations of the remains of `second` (Freedman and Lane 1983), and
    the interval is Fisher's with Bonett and Wright's (2000) variance and one network less.

    Raises
    ------
    CifarcamError
        When the lengths differ, there are fewer than five networks, or one of the first two is
        constant or is determined by `given`.
    """
    arrays = [np.asarray(values, np.float64) for values in (first, second, given)]
    n = arrays[0].size
    if n < 5 or any(array.shape != (n,) or not np.isfinite(array).all() for array in arrays):
        raise CifarcamError(
            f"{[array.size for array in arrays]} values; give three of at least five networks, all "
            "finite"
        )
    x, y, z = (stats.rankdata(array) for array in arrays)
    basis = np.stack([np.ones(n), z], axis=1)
    remove = np.eye(n) - basis @ np.linalg.pinv(basis)
    rest_x, rest_y = remove @ x, remove @ y
    if min(np.abs(rest_x).max(), np.abs(rest_y).max()) < 1e-9:
        raise CifarcamError("one side is constant at equal ranks of the third; leave it out")
    value = float(_correlation(rest_x, rest_y[None])[0])
    rng = np.random.default_rng(seed)
    permuted = rng.permuted(np.tile(rest_y, (9_999, 1)), axis=1) @ remove
    extreme = np.abs(_correlation(rest_x, permuted)) >= abs(value) - 1e-12
    p = (1 + int(extreme.sum())) / (1 + len(permuted))
    low = high = value
    if n == 5:
        low = high = math.nan
    elif abs(value) < 1 - 1e-12:
        half = stats.norm.ppf((1 + LEVEL) / 2) * math.sqrt((1 + value**2 / 2) / (n - 4))
        low, high = (math.tanh(math.atanh(value) + side * half) for side in (-1, 1))
    return Effect(value, low, high, "rank correlation", "networks", n, "permutations", p)


def _correlation(one: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Correlation of a vector of mean 0 with each row, of mean 0 each."""
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(one)
    return np.asarray(rows @ one / np.maximum(lengths, 1e-300))


def smallest_p(values: Sequence[float] | np.ndarray) -> float:
    """The smallest two-sided p-value that permutations of these values can give.

    It is that of a perfect rank correlation: two of all orders, each as often as equal values can
    change places.
    """
    _, repeats = np.unique(np.asarray(values, np.float64), return_counts=True)
    orders = math.factorial(int(repeats.sum())) // math.prod(map(math.factorial, repeats.tolist()))
    return min(1.0, 2 / orders)


@dataclass(frozen=True)
class Association:
    """How a quantity goes with another over networks, for each of `PAIRS`.

    Attributes
    ----------
    effects
        Rank correlations, one for each pair.
    adjusted
        Their p-values after Holm's correction over the pairs.
    """

    effects: tuple[Effect, ...]
    adjusted: tuple[float, ...]

    @property
    def falls(self) -> tuple[bool, ...]:
        """For each pair whether the correlation is negative beyond chance."""
        return self._beyond(-1)

    @property
    def rises(self) -> tuple[bool, ...]:
        """For each pair whether the correlation is positive beyond chance."""
        return self._beyond(1)

    def _beyond(self, sign: int) -> tuple[bool, ...]:
        return tuple(
            sign * effect.value > 0 and p < 1 - LEVEL
            for effect, p in zip(self.effects, self.adjusted, strict=True)
        )


def association(
    values: np.ndarray, against: np.ndarray, given: np.ndarray | None = None
) -> Association:
    """Rank correlations of the columns of `values` with `against`, at equal `given` if it is there.

    Parameters
    ----------
    values
        Float64, networks x pairs.
    against, given
        Float64, networks.
    """
    effects = tuple(
        inference.rank_correlation(list(column), list(against))
        if given is None
        else partial_rank_correlation(column, against, given)
        for column in values.T
    )
    adjusted = inference.holm([effect.p for effect in effects])
    return Association(effects, tuple(map(float, adjusted)))
