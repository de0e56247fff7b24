"""Means with bootstrap intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from cifarcam.explain._options import checked_count, checked_number
from cifarcam.explain.metrics._checks import generator


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
        When `level` is not between 0 and 1, or another option is out of range.
    """
    level = checked_number("level", level, 0, 1, between=True)
    resamples = checked_count("resamples", resamples, 1)
    numbers = np.asarray(values, np.float64).ravel()
    numbers = numbers[~np.isnan(numbers)]
    if numbers.size == 0:
        return MeanInterval(np.nan, np.nan, np.nan, 0)
    mean = float(numbers.mean())
    if numbers.size == 1:
        return MeanInterval(mean, np.nan, np.nan, 1)
    interval = stats.bootstrap(
        (numbers,),
        np.mean,
        n_resamples=resamples,
        batch=max(1, 2_000_000 // numbers.size),  # memory
        confidence_level=level,
        method="percentile",
        vectorized=True,
        rng=generator(seed),
    ).confidence_interval
    return MeanInterval(mean, float(interval.low), float(interval.high), numbers.size)
