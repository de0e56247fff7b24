"""The share of a heatmap's energy inside a mask, and whether its maximum lies there."""

from __future__ import annotations

import numpy as np

from cifarcam.errors import CifarcamError
from cifarcam.explain.metrics._checks import checked_maps


def energy_inside(heatmaps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """The share of each heatmap's sum (its energy) inside its mask.

    The energy-based pointing game of Wang et al. (2020), Score-CAM, Section 4.3.

    Parameters
    ----------
    heatmaps
        N x H x W, finite, at least 0.
    masks
        N x H x W, bool.

    Returns
    -------
    numpy.ndarray
        N, 0-1; NaN for a zero heatmap. For a uniform heatmap it is the mask's share of the area, so
        that an empty mask gives 0.

    Raises
    ------
    CifarcamError
        When the shapes differ, or a value is negative or not finite.
    """
    maps, inside = checked_maps(heatmaps), np.asarray(masks, bool)
    if maps.shape != inside.shape:
        raise CifarcamError(f"heatmaps {maps.shape} and masks {inside.shape} differ in shape")
    total = maps.sum(axis=(1, 2))
    # The sum inside the mask; 1 minus the sum outside would have rounding errors near 0.
    within = (maps * inside).sum(axis=(1, 2))
    return np.divide(within, total, out=np.full(len(maps), np.nan), where=total > 0)


def pointing_game(heatmaps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Whether the maximum of each heatmap lies inside its mask: 1, or 0, or a share.

    The pointing game of Zhang et al. (2018), Top-Down Neural Attention by Excitation Backprop. They
    also count a maximum within 15 pixels of the object as a hit; here, as in Quantus, it has to lie
    inside. Where several pixels share the maximum, the value is the share of them inside; in
    Quantus one of them suffices for a hit.

    Parameters
    ----------
    heatmaps
        N x H x W, finite, at least 0.
    masks
        N x H x W, bool.

    Returns
    -------
    numpy.ndarray
        N, 0-1; NaN for a zero heatmap and, as in Quantus, for an empty mask.

    Raises
    ------
    CifarcamError
        As `energy_inside` does.
    """
    maps, inside = checked_maps(heatmaps), np.asarray(masks, bool)
    peaks = maps.max(axis=(1, 2), keepdims=True)
    shares = energy_inside(np.where(maps == peaks, maps, 0), inside)
    return np.where(inside.any(axis=(1, 2)), shares, np.nan)
