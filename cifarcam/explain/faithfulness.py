"""Measures of heatmaps."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from cifarcam.errors import CifarcamError


@dataclass(frozen=True)
class MeanInterval:
    """A mean, the ends of its interval, and the number of values; NaN where undetermined."""

    mean: float
    low: float
    high: float
    count: int


def border_share(heatmaps: np.ndarray, width: int = 8) -> np.ndarray:
    """The share of each heatmap's energy (its sum) that lies in a frame along the border.

    Parameters
    ----------
    heatmaps
        N x H x W, finite, at least 0.
    width
        The frame's width in pixels.

    Returns
    -------
    numpy.ndarray
        Float64, N, 0-1; NaN for a map that is zero everywhere. A uniform map gives
        `border_area`.

    Raises
    ------
    CifarcamError
        When the frame leaves no centre, or the heatmaps have another shape, negative values or
        values that are not finite.
    """
    maps = np.asarray(heatmaps)
    if maps.ndim != 3:
        raise CifarcamError(f"heatmaps have shape {maps.shape}, not N x H x W")
    height, breadth = maps.shape[1:]
    _check_frame(height, breadth, width)
    if not np.isfinite(maps).all():
        raise CifarcamError("heatmaps have values that are not finite")
    if (maps < 0).any():
        raise CifarcamError("heatmaps have negative values; give the maps after ReLU")
    frame = np.ones((height, breadth), bool)
    frame[width:-width, width:-width] = False
    # The frame's own sum, not 1 minus the centre's, which would leave rounding errors near 0.
    total = maps.sum(axis=(1, 2), dtype=np.float64)
    outside = maps[:, frame].sum(axis=1, dtype=np.float64)
    return np.divide(outside, total, out=np.full(len(maps), np.nan), where=total > 0)


def border_area(height: int, breadth: int, width: int = 8) -> float:
    """The frame's share of the image's area, 0-1.

    Raises
    ------
    CifarcamError
        When the frame leaves no centre.
    """
    _check_frame(height, breadth, width)
    return 1 - (height - 2 * width) * (breadth - 2 * width) / (height * breadth)


def mean_interval(values: np.ndarray, level: float = 0.95) -> MeanInterval:
    """The mean of the values that are not NaN, with its normal-theory interval.

    The interval is mean ± z s / sqrt(n), s the standard deviation with n - 1 degrees of freedom:
    good for independent values and n of some tens or more, too narrow for a few. With one value
    the ends are NaN, with none the mean too.

    Raises
    ------
    CifarcamError
        When `level` is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise CifarcamError(f"level is {level}; give a number between 0 and 1")
    known = np.asarray(values, np.float64).ravel()
    known = known[~np.isnan(known)]
    if known.size == 0:
        return MeanInterval(np.nan, np.nan, np.nan, 0)
    mean = float(known.mean())
    if known.size == 1:
        return MeanInterval(mean, np.nan, np.nan, 1)
    error = float(known.std(ddof=1)) / known.size**0.5
    half = NormalDist().inv_cdf((1 + level) / 2) * error
    return MeanInterval(mean, mean - half, mean + half, known.size)


def mean_difference(first: np.ndarray, second: np.ndarray, level: float = 0.95) -> MeanInterval:
    """The mean of `first` less that of `second`, two independent samples, with its interval.

    The squared standard errors add up (Welch); for the rest as `mean_interval`. `count` is that of
    the smaller sample.

    Raises
    ------
    CifarcamError
        When `level` is not between 0 and 1.
    """
    one, other = mean_interval(first, level), mean_interval(second, level)
    mean = one.mean - other.mean
    half = float(np.hypot(one.high - one.mean, other.high - other.mean))
    return MeanInterval(mean, mean - half, mean + half, min(one.count, other.count))


def _check_frame(height: int, breadth: int, width: int) -> None:
    if width < 1:
        raise CifarcamError(f"a width of {width} pixels gives no frame; give at least 1")
    if 2 * width >= min(height, breadth):
        raise CifarcamError(
            f"a frame of {width} pixels leaves no centre in maps of {height} x {breadth}"
        )
