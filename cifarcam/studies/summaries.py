"""Means of values by image, with standard errors, as a record stores them."""

from __future__ import annotations

from typing import Any

import numpy as np


def mean(values: np.ndarray) -> float | None:
    """The mean of the values that are not NaN; None where there is none."""
    return None if np.isnan(values).all() else float(np.nanmean(values))


def summary(values: np.ndarray) -> dict[str, Any]:
    """Mean, standard error over images, and count of the values that are not NaN.

    The mean of no value and the error of one are None.
    """
    numbers = np.asarray(values, np.float64)
    numbers = numbers[~np.isnan(numbers)]
    mean = round(float(numbers.mean()), 3) if numbers.size else None
    error = None
    if numbers.size > 1:
        error = round(float(numbers.std(ddof=1) / np.sqrt(numbers.size)), 3)
    return {"mean": mean, "error": error, "count": int(numbers.size)}


def by_group(values: np.ndarray, groups: np.ndarray, count: int = 10) -> dict[str, Any]:
    """`summary` for each group of images (lists) and for ``"all"`` images."""
    each = [summary(values[groups == k]) for k in range(count)]
    return {key: [one[key] for one in each] for key in ("mean", "error", "count")} | {
        "all": summary(values)
    }
