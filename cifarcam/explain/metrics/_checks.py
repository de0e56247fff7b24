"""Checks and steps that several metrics share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from scipy import stats

from cifarcam.errors import CifarcamError
from cifarcam.explain._keras import float_32
from cifarcam.explain._options import checked_count
from cifarcam.explain._targets import Targets, checked_classes, checked_values
from cifarcam.explain.classifier import Classifier

Numbers = np.ndarray  # int64, k


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


def target_array(
    classifier: Classifier, images: np.ndarray, targets: Targets, batch_size: int
) -> np.ndarray:
    """One class per image, int64; by default the class that the model predicts.

    With a `score`, what it takes as targets: float32, N x ....

    Raises
    ------
    CifarcamError
        When the targets do not fit.
    """
    if classifier.score is not None:
        return checked_values(targets, len(images))
    if targets is None:
        return classifier.scores(images, batch_size).argmax(axis=1)
    return checked_classes(targets, len(images), classifier.classes)


def altered_values(
    classifier: Classifier,
    altered: Callable[[Numbers, Numbers], np.ndarray],
    count: int,
    targets: np.ndarray,
    batch_size: int,
    *,
    is_probability: bool = True,
) -> np.ndarray:
    """The value of the target for each image in each of its altered forms.

    Parameters
    ----------
    classifier
        The model.
    altered
        Numbers of images and numbers of alterations, k each -> altered images, k x H x W x C. It is
        asked for at most `batch_size` of them at a time.
    count
        The number of alterations of each image.
    targets
        As `target_array` returns them.
    batch_size
        Altered images at a time.
    is_probability
        Whether the value of a class is its probability, or its score before the softmax. With a
        `score` of the classifier, the value is that score.

    Returns
    -------
    numpy.ndarray
        Float64, N x alterations.
    """
    values = np.empty(len(targets) * count)
    for start in range(0, values.size, batch_size):
        stop = min(start + batch_size, values.size)
        images, alterations = np.divmod(np.arange(start, stop), count)
        outputs = classifier.scores(altered(images, alterations), batch_size)
        values[start:stop] = _values(classifier, outputs, targets[images], is_probability)
    return values.reshape(len(targets), count)


@float_32()
def _values(
    classifier: Classifier, outputs: np.ndarray, targets: np.ndarray, is_probability: bool
) -> np.ndarray:
    """One number per image from what `Classifier.scores` returns."""
    if classifier.score is not None:
        return classifier.target_scores(tf.constant(outputs), tf.constant(targets)).numpy()
    if is_probability:
        outputs = classifier.as_probabilities(outputs)
    return outputs[np.arange(len(outputs)), targets]


def generator(seed: int) -> np.random.Generator:
    """A generator of random numbers that the seed decides.

    Raises
    ------
    CifarcamError
        When the seed is no whole number of at least 0.
    """
    return np.random.default_rng(checked_count("seed", seed, 0))


def mean_colours(images: np.ndarray) -> np.ndarray:
    """The mean colour of each image, float32, N x 1 x 1 x C."""
    means = np.mean(images, axis=(1, 2), keepdims=True, dtype=np.float64)
    return np.asarray(means, np.float32)


def pixel_order(maps: np.ndarray, seed: int) -> np.ndarray:
    """Indices of each map's pixels, highest value first, N x (H W).

    The seed decides the order of pixels with the same value, alike for all maps.
    """
    flat = maps.reshape(len(maps), -1)
    ties = generator(seed).permutation(flat.shape[1])
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
