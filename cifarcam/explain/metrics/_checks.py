"""Checks and steps that several metrics share."""

from __future__ import annotations

import numpy as np
from scipy import stats

from cifarcam.errors import CifarcamError
from cifarcam.explain.classifier import Classifier, Targets


def checked_maps(heatmaps: np.ndarray, *, signed: bool = False) -> np.ndarray:
    """Heatmaps as a float64 array.

    Raises
    ------
    CifarcamError
        When they are not N x H x W, not finite or, unless `signed`, negative.
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
    """Heatmaps as a float64 array, one of the image's size for each image.

    Raises
    ------
    CifarcamError
        When numbers or sizes differ, or `checked_maps` refuses the heatmaps.
    """
    maps = checked_maps(heatmaps, signed=signed)
    if maps.shape != np.shape(images)[:3]:
        raise CifarcamError(f"heatmaps {maps.shape} do not fit images {np.shape(images)}")
    return maps


def target_classes(classifier: Classifier, images: np.ndarray, targets: Targets) -> np.ndarray:
    """One class per image, int64; by default the class that the model predicts."""
    if targets is None:
        return classifier.scores(images).argmax(axis=1)
    return classifier.checked_targets(targets, len(images))


def pixel_order(maps: np.ndarray, seed: int) -> np.ndarray:
    """Indices of each map's pixels, highest value first, N x (H W).

    The seed decides the order of pixels with the same value, alike for all maps.
    """
    flat = maps.reshape(len(maps), -1)
    ties = np.random.default_rng(seed).permutation(flat.shape[1])
    return ties[np.argsort(-flat[:, ties], axis=1, kind="stable")]


def row_correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pearson's correlations of the rows of two N x M arrays: N, NaN where a row is constant."""
    correlations = np.full(len(first), np.nan)
    varying = ~(_constant_rows(first) | _constant_rows(second))
    if varying.any():
        result = stats.pearsonr(first[varying], second[varying], axis=1)
        correlations[varying] = result.statistic
    return correlations


def _constant_rows(values: np.ndarray) -> np.ndarray:
    """Which rows are constant up to rounding errors."""
    deviations = np.abs(values - values.mean(axis=1, keepdims=True)).max(axis=1)
    return deviations <= 1e-12 * np.maximum(np.abs(values).max(axis=1), 1e-300)
