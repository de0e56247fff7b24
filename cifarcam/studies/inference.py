"""Effects with intervals and tests: over seeds, over test images, and over networks.

Two uncertainties are kept apart. *Over seeds*: what another training run would give; the values are
one number for each seed, and the interval is Student's. *Over test images*: what other test images
would give for the same networks; the values are one number for each image.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import optimize, stats

from cifarcam.errors import CifarcamError
from cifarcam.studies.wording import with_ends

LEVEL = 0.95
FEWEST_SEEDS = 3  # below, nothing is concluded over seeds


@dataclass(frozen=True)
class Effect:
    """A measured effect with its interval.

    Attributes
    ----------
    value, low, high
        The effect and the ends of its 95% interval; the ends are NaN where there is no interval.
    unit
        The unit of the three, such as ``"points"``.
    over
        What the interval covers: ``"seeds"``, ``"test images"`` or ``"networks"``.
    count
        Number of values that the interval rests on.
    test
        Name of the interval and test, such as ``"Student's t"``.
    p
        Two-sided p-value against `null`, NaN where there is no test.
    null
        The value that `p` and the verdict compare with.
    """

    value: float
    low: float
    high: float
    unit: str
    over: str
    count: int
    test: str
    p: float = math.nan
    null: float = 0.0

    def text(self, digits: int = 1, *, signed: bool = False, unit: str = "") -> str:
        """The value with its interval, as `wording.with_ends` writes them."""
        return with_ends(self.value, self.low, self.high, digits, signed=signed, unit=unit)


def over_seeds(values: Sequence[float] | np.ndarray, unit: str, null: float = 0.0) -> Effect:
    """The mean over seeds with Student's interval and one-sample t test against `null`.

    A single seed has no interval. Where all values are equal the interval has no width.

    Raises
    ------
    CifarcamError
        When there is no value, or a value is not finite.
    """
    array = _finite(values)
    mean = float(array.mean())
    if array.size == 1:
        return Effect(mean, math.nan, math.nan, unit, "seeds", 1, "none", math.nan, null)
    if np.ptp(array) == 0:
        mean = float(array[0])  # without the rounding of a sum
        p = 1.0 if mean == null else 0.0
        return Effect(mean, mean, mean, unit, "seeds", array.size, "Student's t", p, null)
    with warnings.catch_warnings():
        # SciPy warns of lost precision where values differ in their last digits only.
        warnings.simplefilter("ignore", RuntimeWarning)
        result = stats.ttest_1samp(array, null)
        interval = result.confidence_interval(LEVEL)
    return Effect(
        mean,
        float(interval.low),
        float(interval.high),
        unit,
        "seeds",
        array.size,
        "Student's t",
        float(result.pvalue),
        null,
    )


def paired_over_seeds(
    after: Sequence[float] | np.ndarray, before: Sequence[float] | np.ndarray, unit: str
) -> Effect:
    """The mean of `after` minus `before`, paired by seed, with Student's interval.

    Raises
    ------
    CifarcamError
        When the two differ in length, or as `over_seeds` does.
    """
    if len(after) != len(before):
        raise CifarcamError(f"{len(after)} and {len(before)} values; pairs need as many of each")
    effect = over_seeds(_finite(after) - _finite(before), unit)
    return replace(effect, test="paired t" if effect.count > 1 else "none")


def unpaired_over_seeds(
    after: Sequence[float] | np.ndarray, before: Sequence[float] | np.ndarray, unit: str
) -> Effect:
    """The mean of `after` minus the mean of `before`, independent seeds (Welch 1947).

    `count` is the smaller number of seeds. Without two seeds on each side there is no interval.

    Raises
    ------
    CifarcamError
        As `over_seeds` does.
    """
    one, other = _finite(after), _finite(before)
    value, count = float(one.mean() - other.mean()), min(one.size, other.size)
    if count == 1:
        return Effect(value, math.nan, math.nan, unit, "seeds", 1, "none")
    if np.ptp(one) == np.ptp(other) == 0:
        value = float(one[0] - other[0])  # without the rounding of a sum
        p = 1.0 if value == 0 else 0.0
        return Effect(value, value, value, unit, "seeds", count, "Welch's t", p)
    with warnings.catch_warnings():
        # SciPy warns of lost precision where the values of one sample are all equal.
        warnings.simplefilter("ignore", RuntimeWarning)
        result = stats.ttest_ind(one, other, equal_var=False)
        interval = result.confidence_interval(LEVEL)
    return Effect(
        value,
        float(interval.low),
        float(interval.high),
        unit,
        "seeds",
        count,
        "Welch's t",
        float(result.pvalue),
    )


def next_seed_interval(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """The 95% prediction interval for the value of one more seed (normal values, Student's t).

    Compare a single foreign value, such as the original's accuracy, with this interval. The ends
    are NaN for fewer than two seeds.

    Raises
    ------
    CifarcamError
        As `over_seeds` does.
    """
    array = _finite(values)
    if array.size < 2:
        return math.nan, math.nan
    half = float(
        stats.t.ppf((1 + LEVEL) / 2, array.size - 1)
        * array.std(ddof=1)
        * math.sqrt(1 + 1 / array.size)
    )
    return float(array.mean()) - half, float(array.mean()) + half


def paired_over_images(after: np.ndarray, before: np.ndarray) -> Effect:
    """The difference of two accuracies on the same images, in points, with McNemar's exact test.

    The interval is that of a difference of paired proportions by normal approximation (Agresti
    2002, Categorical Data Analysis, section 10.1), for hundreds of images or more; the p-value is
    exact (McNemar 1947).

    Parameters
    ----------
    after, before
        Whether each image was classified rightly, bool, N.

    Raises
    ------
    CifarcamError
        When there is no image or the lengths differ.
    """
    if after.shape != before.shape or after.ndim != 1 or not after.size:
        raise CifarcamError(f"shapes {after.shape} and {before.shape}; give two of the same images")
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    n = after.size
    value = (gained - lost) / n
    variance = (gained + lost - (gained - lost) ** 2 / n) / n**2
    half = stats.norm.ppf((1 + LEVEL) / 2) * math.sqrt(max(variance, 0.0))
    p = stats.binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    return Effect(
        100 * value,
        100 * (value - half),
        100 * (value + half),
        "points",
        "test images",
        n,
        "McNemar's exact test",
        float(p),
    )


def rank_correlation(first: Sequence[float], second: Sequence[float], seed: int = 0) -> Effect:
    """Spearman's rank correlation over networks, with a permutation test.

    All permutations are counted up to eight networks, else 9,999 random ones. The interval is
    Fisher's with Bonett and Wright's (2000) variance, NaN for fewer than four networks. A perfect
    correlation has the bound of the next lower correlation, in which two neighbours change places.

    Raises
    ------
    CifarcamError
        When the lengths differ, there are fewer than three networks, or one side is constant.
    """
    one, other = _finite(first), _finite(second)
    if one.size != other.size or one.size < 3:
        raise CifarcamError(f"{one.size} and {other.size} values; give at least three pairs")
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        raise CifarcamError("one side has equal values only, so that there is no rank correlation")
    count = one.size
    ranks, others = (2 * stats.rankdata(side) - count - 1 for side in (one, other))  # whole numbers
    value = float(ranks @ others / math.sqrt((ranks @ ranks) * (others @ others)))
    p = stats.permutation_test(
        (ranks,),
        lambda x, axis: x @ others,
        permutation_type="pairings",
        vectorized=True,
        n_resamples=math.factorial(8) if count <= 8 else 9_999,
        batch=1_000,
        rng=np.random.default_rng(seed),
    ).pvalue
    low, high = _fisher_interval(value, count)
    return Effect(value, low, high, "rank correlation", "networks", count, "permutations", float(p))


def _fisher_interval(value: float, count: int) -> tuple[float, float]:
    """The interval of Spearman's rank correlation of `count` pairs, see `rank_correlation`."""
    if count < 4:
        return math.nan, math.nan
    if math.isclose(abs(value), 1):
        nearest = math.copysign(1 - 12 / (count * (count**2 - 1)), value)
        low, high = _fisher_interval(nearest, count)
        return (low, 1.0) if value > 0 else (-1.0, high)
    half = stats.norm.ppf((1 + LEVEL) / 2) * math.sqrt((1 + value**2 / 2) / (count - 3))
    return math.tanh(math.atanh(value) - half), math.tanh(math.atanh(value) + half)


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Holm's (1979) adjusted p-values of one family of tests, float64, in the order given.

    Raises
    ------
    CifarcamError
        When a p-value lies outside [0, 1].
    """
    p = np.asarray(p_values, np.float64)
    if p.size and not ((p >= 0) & (p <= 1)).all():
        raise CifarcamError("p-values lie outside [0, 1]; leave undefined tests out of the family")
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(steps, 1)
    return adjusted


def smallest_detectable(deviation: float, count: int, power: float = 0.8) -> float:
    """The mean paired difference that a t test of `count` seeds finds with probability `power`.

    Two-sided, at the 5% level; noncentral t (Cohen 1988, Statistical Power Analysis, chapter 2).

    Parameters
    ----------
    deviation
        Standard deviation of the differences from seed to seed, in the unit of the result.
    count
        Number of seeds, at least 2.
    power
        Above 0.05 and below 1.

    Raises
    ------
    CifarcamError
        When a value is out of range.
    """
    if count < 2 or not 0 <= deviation < math.inf or not 0.05 < power < 1:
        raise CifarcamError(
            f"{count} seeds, deviation {deviation}, power {power}; give at least 2 seeds, a "
            "finite deviation of 0 or more, and a power between 0.05 and 1"
        )
    critical = stats.t.ppf((1 + LEVEL) / 2, count - 1)

    def missing(size: float) -> float:
        shift = size * math.sqrt(count)
        lower = np.nan_to_num(stats.nct.cdf(-critical, count - 1, shift))  # NaN for large shifts
        return float(stats.nct.sf(critical, count - 1, shift) + lower) - power

    most = 0.25
    while missing(most) < 0:
        most *= 1.5
    return deviation * float(optimize.brentq(missing, 0.0, most))


@dataclass(frozen=True)
class Power:
    """What difference between two recipes the seeds at hand can show, see `power_of_seeds`.

    Attributes
    ----------
    seeds
        Number of seeds.
    deviation
        Standard deviation of the result over seeds.
    detectable
        The smallest difference that a paired t test finds with a probability of 80%.
    detectable_by_twice
        The same with twice as many seeds.
    """

    seeds: int
    deviation: float
    detectable: float
    detectable_by_twice: float


def power_of_seeds(values: Sequence[float] | np.ndarray) -> Power:
    """What difference between two recipes shows, each trained from as many seeds as `values`.

    The results of a recipe are taken to vary over seeds as `values` do, and those of the two
    recipes to vary independently, so that their differences vary by the square root of two times as
    much. With one seed all but the number of seeds are NaN.

    Parameters
    ----------
    values
        The result of one recipe by seed, such as its accuracy in percent.

    Raises
    ------
    CifarcamError
        As `over_seeds` does.
    """
    array = _finite(values)
    if array.size < 2:
        return Power(1, math.nan, math.nan, math.nan)
    deviation = float(array.std(ddof=1))
    found, by_twice = (
        smallest_detectable(math.sqrt(2) * deviation, factor * array.size) for factor in (1, 2)
    )
    return Power(array.size, deviation, found, by_twice)


def _finite(values: Sequence[float] | np.ndarray) -> np.ndarray:
    array = np.asarray(values, np.float64).ravel()
    if not array.size or not np.isfinite(array).all():
        raise CifarcamError(f"values {array.tolist()}; give at least one, all finite")
    return array
