"""What measures ask of heatmaps."""

from __future__ import annotations

import numpy as np

from cifarcam.errors import CifarcamError


def checked_maps(heatmaps: np.ndarray, *, signed: bool = False) -> np.ndarray:
    """The heatmaps as a float64 array.

    Raises
    ------
    CifarcamError
        When they are not N x H x W, finite and (unless `signed`) at least 0.
    """
    maps = np.asarray(heatmaps, np.float64)
    if maps.ndim != 3:
        raise CifarcamError(f"heatmaps have shape {maps.shape}, not N x H x W")
    if not np.isfinite(maps).all():
        raise CifarcamError("heatmaps have values that are not finite")
    if not signed and (maps < 0).any():
        raise CifarcamError("heatmaps have negative values; give the maps after ReLU")
    return maps


def checked_pair(images: np.ndarray, heatmaps: np.ndarray, *, signed: bool = False) -> np.ndarray:
    """The heatmaps, after a check that there is one of its size for each image.

    Raises
    ------
    CifarcamError
        When they do not fit, for the rest as `checked_maps`.
    """
    maps = checked_maps(heatmaps, signed=signed)
    if maps.shape != np.shape(images)[:3]:
        raise CifarcamError(f"heatmaps {maps.shape} do not fit images {np.shape(images)}")
    return maps


def pixel_order(maps: np.ndarray, seed: int) -> np.ndarray:
    """Each map's pixels, highest value first, N x (H W); ties stand in one order from the seed."""
    flat = maps.reshape(len(maps), -1)
    ties = np.random.default_rng(seed).permutation(flat.shape[1])
    return ties[np.argsort(-flat[:, ties], axis=1, kind="stable")]


def pearson(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Correlation of the rows of two N x M arrays: N, NaN where a row is constant."""
    one, other = (x - x.mean(axis=1, keepdims=True) for x in (first, second))
    # A constant row's deviations are rounding errors of its mean, not 0.
    tiny = [
        np.abs(d).max(axis=1) <= 1e-12 * np.maximum(np.abs(x).max(axis=1), 1e-300)
        for d, x in ((one, first), (other, second))
    ]
    below = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
    known = (below > 0) & ~tiny[0] & ~tiny[1]
    return np.divide((one * other).sum(axis=1), below, out=np.full(len(one), np.nan), where=known)
