"""How concentrated a heatmap is."""

from __future__ import annotations

import numpy as np

from cifarcam.explain.metrics._checks import checked_maps


def gini(heatmaps: np.ndarray) -> np.ndarray:
    """How sparse each heatmap is: the Gini index of its values.

    After Chalasani et al. (2020), Concise Explanations of Neural Networks using Adversarial
    Training, Section 2. 0 for a uniform map, 1 - 1/n for a single one of n pixels, NaN for a zero
    map. It says how concentrated a map is, not whether it is right.

    Raises
    ------
    CifarcamError
        When the heatmaps are not N x H x W, finite and at least 0.
    """
    maps = checked_maps(heatmaps)
    values = np.sort(maps.reshape(len(maps), -1), axis=1)
    count = values.shape[1]
    ranks = 2 * np.arange(1, count + 1) - count - 1
    total = values.sum(axis=1)
    return np.divide(values @ ranks, count * total, out=np.full(len(maps), np.nan), where=total > 0)
