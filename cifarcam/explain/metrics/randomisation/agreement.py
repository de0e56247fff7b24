"""How alike two heatmaps of an image are."""

from __future__ import annotations

import numpy as np
from scipy import ndimage, stats

from cifarcam.errors import CifarcamError
from cifarcam.explain.metrics._checks import checked_maps, pearson


def rank_correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of two heatmaps' pixels, by image.

    Parameters
    ----------
    first, second
        N x H x W, finite, of one shape.

    Returns
    -------
    numpy.ndarray
        N, -1 to 1; NaN where a map is constant.

    Raises
    ------
    CifarcamError
        When the shapes differ or a value is not finite.
    """
    one, other = _pair(first, second)
    ranks = [stats.rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (one, other)]
    return pearson(*ranks)


def ssim(first: np.ndarray, second: np.ndarray, window: int = 7) -> np.ndarray:
    """Structural similarity of two heatmaps, each divided by its maximum first, by image.

    Wang et al. (2004), Image Quality Assessment: From Error Visibility to Structural Similarity,
    equation 13 with K1 = 0.01, K2 = 0.03 and values in [0, 1]; uniform windows inside the image
    with sample variances, averaged.

    Parameters
    ----------
    first, second
        N x H x W, finite, at least 0, of one shape.
    window
        Odd side of the window in pixels, at most the image's.

    Returns
    -------
    numpy.ndarray
        N, -1 to 1; 1 for the same maps, NaN where one of them is zero.

    Raises
    ------
    CifarcamError
        When the shapes differ, a value is negative or not finite, or the window does not fit.
    """
    maps = [checked_maps(each) for each in _pair(first, second)]
    sides = maps[0].shape[1:]
    if window % 2 == 0 or not 1 < window <= min(sides):
        raise CifarcamError(f"window is {window}; give an odd number from 3 to {min(sides)}")
    peaks = [each.max(axis=(1, 2), keepdims=True) for each in maps]
    x, y = (
        np.divide(m, peak, out=np.zeros_like(m), where=peak > 0)
        for m, peak in zip(maps, peaks, strict=True)
    )

    def local(values: np.ndarray) -> np.ndarray:
        edge = window // 2
        means = ndimage.uniform_filter(values, (0, window, window))
        return means[:, edge : sides[0] - edge, edge : sides[1] - edge]

    count = window**2
    mean_x, mean_y = local(x), local(y)
    sample = count / (count - 1)
    variance_x = sample * (local(x * x) - mean_x**2)
    variance_y = sample * (local(y * y) - mean_y**2)
    covariance = sample * (local(x * y) - mean_x * mean_y)
    c1, c2 = 0.01**2, 0.03**2
    similar = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    similar /= (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    found = similar.mean(axis=(1, 2))
    found[(peaks[0] == 0).ravel() | (peaks[1] == 0).ravel()] = np.nan
    return found


def _pair(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    one, other = checked_maps(first, signed=True), checked_maps(second, signed=True)
    if one.shape != other.shape:
        raise CifarcamError(f"heatmaps have different shapes: {one.shape} and {other.shape}")
    return one, other
