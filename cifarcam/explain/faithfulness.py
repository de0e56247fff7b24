"""Measures of heatmaps."""

from __future__ import annotations

import numpy as np

from cifarcam.errors import CifarcamError


def border_share(heatmaps: np.ndarray, width: int = 8) -> np.ndarray:
    """The share of each heatmap's energy that lies in a frame along the border.

    Parameters
    ----------
    heatmaps
        N x H x W, at least 0.
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
        When the frame leaves no inside, or a heatmap has negative values.
    """
    height, breadth = heatmaps.shape[1:]
    if not 1 <= width < min(height, breadth) / 2:
        raise CifarcamError(f"a frame of {width} pixels does not fit maps of {height} x {breadth}")
    if (heatmaps < 0).any():
        raise CifarcamError("a heatmap has negative values; take the maps after ReLU")
    total = heatmaps.sum(axis=(1, 2), dtype=np.float64)
    inside = heatmaps[:, width:-width, width:-width].sum(axis=(1, 2), dtype=np.float64)
    positive = np.where(total > 0, total, np.nan)
    return 1 - inside / positive


def border_area(height: int, breadth: int, width: int = 8) -> float:
    """The frame's share of the image's area, 0-1."""
    return 1 - (height - 2 * width) * (breadth - 2 * width) / (height * breadth)
