"""Blurred copies of heatmaps: controls for methods that explain single pixels."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from cifarcam.errors import CifarcamError


def blurred(heatmaps: np.ndarray, share: float = 1 / 8) -> np.ndarray:
    """Heatmaps smoothed by a Gaussian, as controls for the fine detail of the heatmaps.

    If a blurred copy does as well as the heatmap itself on a metric, then the fine detail carries
    nothing that the metric can see. Metrics that remove pixels even prefer blurred maps, although
    blur adds no information (Song et al. 2023, On Pitfalls of RemOve-And-Retrain: Data Processing
    Inequality Perspective). A pixel beyond the edge counts as the nearest pixel of the heatmap.

    Parameters
    ----------
    heatmaps
        N x H x W, finite.
    share
        The standard deviation of the Gaussian as a share of the height and of the width; 1/8 are
        4 pixels of 32.

    Returns
    -------
    numpy.ndarray
        N x H x W, of the type of the heatmaps.

    Raises
    ------
    CifarcamError
        When the heatmaps are not N x H x W or not finite, or `share` is not above 0.
    """
    maps = np.asarray(heatmaps)
    if maps.ndim != 3 or maps.dtype.kind != "f" or not np.isfinite(maps).all():
        raise CifarcamError(
            f"heatmaps of type {maps.dtype} have shape {maps.shape}; give finite floats, N x H x W"
        )
    if not 0 < share < np.inf:
        raise CifarcamError(f"share is {share}; give a number above 0, such as 1/8")
    height, width = maps.shape[1:]
    deviations = (0, share * height, share * width)
    # SciPy has no filter of float16.
    precise = maps.astype(np.promote_types(maps.dtype, np.float32))
    return ndimage.gaussian_filter(precise, deviations, mode="nearest").astype(maps.dtype)
