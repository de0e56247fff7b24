"""How similar two heatmaps of an image are."""

from __future__ import annotations

import numpy as np
from scipy import stats

from cifarcam.errors import CifarcamError, require
from cifarcam.explain.metrics._checks import checked_maps, row_correlations


def rank_correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation between the pixels of two heatmaps, for each image.

    Parameters
    ----------
    first, second
        N x H x W, finite, of the same shape.

    Returns
    -------
    numpy.ndarray
        N, -1 to 1; NaN where a heatmap is constant.

    Raises
    ------
    CifarcamError
        When the shapes differ or a value is not finite.
    """
    pair = _same_shape(checked_maps(first, signed=True), checked_maps(second, signed=True))
    ranks = [stats.rankdata(maps.reshape(len(maps), -1), axis=1) for maps in pair]
    return row_correlations(*ranks)


def ssim(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Structural similarity of two heatmaps, each divided by its maximum, for each image.

    Wang et al. (2004), Image Quality Assessment: From Error Visibility to Structural Similarity,
    equation 13, computed by scikit-image for values in [0, 1] with its defaults: uniform windows of
    7 x 7 pixels, K1 = 0.01, K2 = 0.03 and sample covariances. It needs
    ``pip install 'cifarcam[metrics]'``.

    Parameters
    ----------
    first, second
        N x H x W, finite, at least 0, of the same shape, at least 7 x 7 pixels.

    Returns
    -------
    numpy.ndarray
        N, -1 to 1; 1 for equal heatmaps, NaN where a heatmap is zero.

    Raises
    ------
    MissingExtra
        When scikit-image is not installed.
    CifarcamError
        When the shapes differ, a heatmap is too small, or a value is negative or not finite.
    """
    require("metrics", "skimage")
    from skimage.metrics import structural_similarity

    one, other = _same_shape(checked_maps(first), checked_maps(second))
    if min(one.shape[1:]) < 7:
        raise CifarcamError(f"heatmaps have shape {one.shape}; SSIM needs at least 7 x 7 pixels")
    similarities = np.full(len(one), np.nan)
    for index, (x, y) in enumerate(zip(one, other, strict=True)):
        if x.any() and y.any():
            x, y = x / x.max(), y / y.max()
            similarities[index] = structural_similarity(x, y, win_size=7, data_range=1)
    return similarities


def _same_shape(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if one.shape != other.shape:
        raise CifarcamError(f"heatmaps have different shapes: {one.shape} and {other.shape}")
    return one, other
