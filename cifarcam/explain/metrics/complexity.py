"""Complexity: how concentrated heatmaps are, and how their values are distributed."""

from __future__ import annotations

import numpy as np
from scipy import stats

from cifarcam.explain._options import checked_count, checked_number
from cifarcam.explain.metrics._checks import checked_maps

__all__ = ["discrete_entropy", "effective_complexity", "gini"]


def gini(heatmaps: np.ndarray) -> np.ndarray:
    """The Gini index of each heatmap, which measures its sparsity.

    Chalasani et al. (2020), Concise Explanations of Neural Networks using Adversarial Training.
    The index is 0 for a uniform heatmap, 1 - 1/n if one of n pixels has the whole sum, and NaN for
    a zero heatmap. It does not measure whether a heatmap is right.

    Raises
    ------
    CifarcamError
        When the heatmaps are not N x H x W, or a value is negative or not finite.
    """
    maps = checked_maps(heatmaps)
    values = np.sort(maps.reshape(len(maps), -1), axis=1)
    count = values.shape[1]
    ranks = 2 * np.arange(1, count + 1) - count - 1
    total = values.sum(axis=1)
    return np.divide(values @ ranks, count * total, out=np.full(len(maps), np.nan), where=total > 0)


def effective_complexity(heatmaps: np.ndarray, threshold: float = 1e-5) -> np.ndarray:
    """The share of pixels whose value exceeds a share of the heatmap's maximum.

    Effective complexity: Nguyen and Rodríguez Martínez (2020), On Quantitative Aspects of Model
    Interpretability. There it is the least number of features that determine the score; here, as in
    Quantus, it is counted from the heatmap alone, but as a share of the pixels.

    Parameters
    ----------
    heatmaps
        N x H x W, finite, at least 0.
    threshold
        A share of the heatmap's maximum, 0-1 and below 1.

    Returns
    -------
    numpy.ndarray
        N, above 0 and at most 1 (low values are simple); NaN for a zero heatmap.

    Raises
    ------
    CifarcamError
        When `threshold` is out of range, the heatmaps are not N x H x W, or a value is negative or
        not finite.
    """
    threshold = checked_number("threshold", threshold, 0, 1)
    maps = checked_maps(heatmaps)
    peaks = maps.max(axis=(1, 2), keepdims=True)
    shares = (maps > threshold * peaks).mean(axis=(1, 2))
    return np.where(peaks[:, 0, 0] > 0, shares, np.nan)


def discrete_entropy(heatmaps: np.ndarray, bins: int = 100) -> np.ndarray:
    """The entropy of the histogram of each heatmap's values, in nats.

    Hedström et al. (2024), Sanity Checks Revisited: An Exploration to Repair the Model Parameter
    Randomisation Test. The bins are equal in width and reach from the heatmap's minimum to its
    maximum.

    Parameters
    ----------
    heatmaps
        N x H x W, finite.
    bins
        The number of bins.

    Returns
    -------
    numpy.ndarray
        N, 0 (a constant heatmap) to the logarithm of `bins`.

    Raises
    ------
    CifarcamError
        When `bins` is below 2, the heatmaps are not N x H x W, or a value is not finite.
    """
    bins = checked_count("bins", bins, 2)
    maps = checked_maps(heatmaps, signed=True)
    counts = np.array([np.histogram(values, bins)[0] for values in maps])
    return np.asarray(stats.entropy(counts, axis=1))
