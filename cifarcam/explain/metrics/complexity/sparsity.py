"""How concentrated a heatmap is."""

from __future__ import annotations

import numpy as np

from cifarcam.explain.metrics._checks import checked_maps


def gini(heatmaps: np.ndarray) -> np.ndarray:
    """The Gini index of each heatmap, which measures its sparsity.

    Chalasani et al. (2020), Concise Explanations of Neural Networks using Adversarial Training,
    Section 2. The index is 0 for a uniform heatmap, 1 - 1/n if one of n pixels has the whole sum,
    and NaN for a zero heatmap. It does not measure whether a heatmap is right.

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
