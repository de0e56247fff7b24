"""Means with bootstrap intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from cifarcam.errors import CifarcamError


@dataclass(frozen=True)
class MeanInterval:
    """A mean, the ends of its interval, and the number of values; NaN where undefined."""

    mean: float
    low: float
    high: float
    count: int


def bootstrap_mean(
    values: np.ndarray, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> MeanInterval:
    """The mean of the values that are not NaN, with its bootstrap interval.

    The ends of the interval are percentiles of the means of `resamples` samples with replacement
    (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13). The method assumes
    independent values; the interval of a few values is too narrow. With one value the ends are NaN,
    with no value the mean as well.

    Raises
    ------
    CifarcamError
        When `level` is not between 0 and 1.
    """
    numbers = _without_nan(values, level)
    if numbers.size == 0:
        return MeanInterval(np.nan, np.nan, np.nan, 0)
    mean = float(numbers.mean())
    if numbers.size == 1:
        return MeanInterval(mean, np.nan, np.nan, 1)
    low, high = _ends((numbers,), np.mean, level, resamples, seed)
    return MeanInterval(mean, low, high, numbers.size)


def bootstrap_difference(
    first: np.ndarray,
    second: np.ndarray,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> MeanInterval:
    """The mean of `first` minus the mean of `second`, independent samples, with its interval.

    Each resample draws from both samples; otherwise as `bootstrap_mean`. `count` is the size of the
    smaller sample. For values of the same images, give their differences to `bootstrap_mean`.

    Raises
    ------
    CifarcamError
        When `level` is not between 0 and 1.
    """
    one, other = _without_nan(first, level), _without_nan(second, level)
    count = min(one.size, other.size)
    mean = float(one.mean() - other.mean()) if count else np.nan
    if count < 2:
        return MeanInterval(mean, np.nan, np.nan, count)
    low, high = _ends((one, other), _difference, level, resamples, seed)
    return MeanInterval(mean, low, high, count)


def _difference(first: np.ndarray, second: np.ndarray, axis: int = -1) -> np.ndarray:
    return first.mean(axis=axis) - second.mean(axis=axis)


def _without_nan(values: np.ndarray, level: float) -> np.ndarray:
    if not 0 < level < 1:
        raise CifarcamError(f"level is {level}; give a number between 0 and 1")
    flat = np.asarray(values, np.float64).ravel()
    return flat[~np.isnan(flat)]


def _ends(
    samples: tuple[np.ndarray, ...], statistic: object, level: float, resamples: int, seed: int
) -> tuple[float, float]:
    interval = stats.bootstrap(
        samples,
        statistic,
        n_resamples=resamples,
        batch=max(1, 2_000_000 // sum(map(len, samples))),  # memory
        confidence_level=level,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)
