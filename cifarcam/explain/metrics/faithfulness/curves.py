"""Curves of a class's probability as pixels are removed or added in the order of a heatmap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from cifarcam.explain._options import checked_count, checked_number
from cifarcam.explain.classifier import BATCH, Classifier, Targets
from cifarcam.explain.metrics._checks import (
    altered_values,
    checked_pair,
    mean_colours,
    pixel_order,
    target_array,
)

# Numbers of images (k) -> images (k x H x W x C, or what broadcasts to that), float32.
Pictures = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Curve:
    """The target's probability at several shares of changed pixels.

    Attributes
    ----------
    shares
        Shares of pixels changed, 0-1, one per step.
    probabilities
        N x steps, 0-1; with a `score` of your own, its values.
    """

    shares: np.ndarray
    probabilities: np.ndarray

    @property
    def areas(self) -> np.ndarray:
        """Area under each curve (trapezoidal rule) divided by the range of shares: N."""
        span = self.shares[-1] - self.shares[0]
        return np.trapezoid(self.probabilities, self.shares, axis=1) / span


def deletion(
    classifier: Classifier,
    images: np.ndarray,
    heatmaps: np.ndarray,
    targets: Targets = None,
    *,
    steps: int = 16,
    seed: int = 0,
    batch_size: int = BATCH,
) -> Curve:
    """The probability as pixels are removed, highest in the heatmap first (lower areas are better).

    Petsiuk et al. (2018), RISE. A removed pixel has the mean colour of its image.

    Parameters
    ----------
    classifier
        The model.
    images
        N x H x W x C, in the model's range.
    heatmaps
        N x H x W, finite; only the order of the values matters.
    targets
        Classes to explain, as for an explainer.
    steps
        The number of steps from no pixel to all pixels.
    seed
        Seed of the order among pixels with the same value, such as those of a zero heatmap.
    batch_size
        The number of images, and of altered images, at a time; it does not change the result.

    Raises
    ------
    CifarcamError
        When an option is out of range, or images, heatmaps and targets do not fit each other or the
        model.
    """
    pixels = classifier.checked_images(images, batch_size)
    grounds = mean_colours(pixels)
    order = _checked_order(pixels, heatmaps, steps, seed)
    targets = target_array(classifier, pixels, targets, batch_size)
    return _curve(
        classifier, _whole(pixels), lambda numbers: grounds[numbers], order, targets, batch_size
    )


def pixel_flipping(
    classifier: Classifier,
    images: np.ndarray,
    heatmaps: np.ndarray,
    targets: Targets = None,
    *,
    steps: int = 16,
    baseline: float = 0.0,
    seed: int = 0,
    batch_size: int = BATCH,
) -> Curve:
    """The probability as pixels are set to a baseline, highest first (lower areas are better).

    Pixel flipping: Bach et al. (2015), On Pixel-Wise Explanations for Non-Linear Classifier
    Decisions by Layer-Wise Relevance Propagation. There the pixels of binary digits change their
    sign; here, as in Quantus, removed pixels become black, the black of the input range (Quantus
    takes the image's lowest value). `deletion` uses the image's mean colour.

    Parameters
    ----------
    classifier, images, heatmaps, targets, steps, seed, batch_size
        As for `deletion`.
    baseline
        The value of removed pixels, from 0, black, to 1, white.

    Raises
    ------
    CifarcamError
        As `deletion` does, or when black and white are unknown.
    """
    limits = classifier.needed_range("pixel flipping")
    value = checked_number("baseline", baseline, 0, 1)
    colour = (limits.black + value * limits.span).astype(np.float32)
    pixels = classifier.checked_images(images, batch_size)
    order = _checked_order(pixels, heatmaps, steps, seed)
    targets = target_array(classifier, pixels, targets, batch_size)
    return _curve(classifier, _whole(pixels), lambda _: colour, order, targets, batch_size)


def insertion(
    classifier: Classifier,
    images: np.ndarray,
    heatmaps: np.ndarray,
    targets: Targets = None,
    *,
    steps: int = 16,
    seed: int = 0,
    batch_size: int = BATCH,
) -> Curve:
    """The probability as pixels are added, highest in the heatmap first (higher areas are better).

    Petsiuk et al. (2018), RISE. The curve begins with a blurred image (a Gaussian with a standard
    deviation of an eighth of the image's height and width). Parameters and errors are those of
    `deletion`.
    """
    pixels = classifier.checked_images(images, batch_size)
    order = _checked_order(pixels, heatmaps, steps, seed)
    targets = target_array(classifier, pixels, targets, batch_size)
    whole = _whole(pixels)
    sigma = (0, pixels.shape[1] / 8, pixels.shape[2] / 8, 0)

    def blurred(numbers: np.ndarray) -> np.ndarray:
        different, places = np.unique(numbers, return_inverse=True)
        return ndimage.gaussian_filter(whole(different), sigma, mode="nearest")[places]

    return _curve(classifier, blurred, whole, order, targets, batch_size)


def _whole(pixels: np.ndarray) -> Pictures:
    return lambda numbers: pixels[numbers].astype(np.float32)


@dataclass(frozen=True)
class _Order:
    """Ranks of pixels (N x H x W, 0 for the highest), and how many are changed at each step."""

    ranks: np.ndarray
    counts: np.ndarray
    shares: np.ndarray


def _checked_order(pixels: np.ndarray, heatmaps: np.ndarray, steps: int, seed: int) -> _Order:
    steps = checked_count("steps", steps, 1)
    maps = checked_pair(pixels, heatmaps, signed=True)
    ranks = np.argsort(pixel_order(maps, seed), axis=1).astype(np.int32)
    shares = np.arange(steps + 1) / steps
    counts = np.array([round(share * ranks.shape[1]) for share in shares])
    return _Order(ranks.reshape(maps.shape), counts, shares)


def _curve(
    classifier: Classifier,
    start: Pictures,
    end: Pictures,
    order: _Order,
    targets: np.ndarray,
    batch_size: int,
) -> Curve:
    """The curve from the images `start` to the images `end`, the heatmap's highest pixels first."""

    def changed(numbers: np.ndarray, steps: np.ndarray) -> np.ndarray:
        is_changed = order.ranks[numbers] < order.counts[steps][:, np.newaxis, np.newaxis]
        return np.where(is_changed[..., np.newaxis], end(numbers), start(numbers))

    probabilities = altered_values(classifier, changed, len(order.counts), targets, batch_size)
    return Curve(order.shares, probabilities)
