"""The probability of a class when a heatmap or a mask hides part of the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cifarcam.explain.classifier import BATCH, Classifier, Targets
from cifarcam.explain.metrics._checks import (
    altered_values,
    checked_pair,
    mean_colours,
    target_array,
)


@dataclass(frozen=True)
class ConfidenceChange:
    """The change of the target's probability when its heatmap masks the image, N each.

    Attributes
    ----------
    drop
        The share of the probability that is lost, 0-1 (0 if it rises): lower is better. NaN where
        there is nothing to lose: the probability is 0, or a `score` of your own is not above 0.
        The drop of such a score exceeds 1 where it falls below 0.
    increase
        1.0 if the probability rises, else 0.0: higher is better.
    """

    drop: np.ndarray
    increase: np.ndarray


def confidence_change(
    classifier: Classifier,
    images: np.ndarray,
    heatmaps: np.ndarray,
    targets: Targets = None,
    *,
    batch_size: int = BATCH,
) -> ConfidenceChange:
    """Drop and increase in confidence for each image.

    Chattopadhay et al. (2018), Grad-CAM++, Section 4.1: the image, as a share of the range from
    black to white, is multiplied by the heatmap divided by its maximum, so that pixels without
    evidence become black.

    Parameters
    ----------
    classifier
        The model.
    images
        N x H x W x C, in the model's range.
    heatmaps
        N x H x W, at least 0.
    targets
        Classes to explain, as for an explainer.
    batch_size
        The number of images, and of altered images, at a time; it does not change the result.

    Raises
    ------
    CifarcamError
        When images, heatmaps and targets do not fit each other or the model, or black is unknown.
    """
    black = classifier.needed_range("the change in confidence").black
    pixels = classifier.checked_images(images, batch_size)
    maps = checked_pair(pixels, heatmaps)
    targets = target_array(classifier, pixels, targets, batch_size)
    peaks = maps.max(axis=(1, 2), keepdims=True)
    masks = np.divide(maps, peaks, out=np.zeros_like(maps), where=peaks > 0)

    def masked(numbers: np.ndarray, alterations: np.ndarray) -> np.ndarray:
        whole = pixels[numbers].astype(np.float32)
        shares = np.where(alterations[:, None, None] == 0, 1.0, masks[numbers])
        return black + shares[..., np.newaxis] * (whole - black)

    before, after = altered_values(classifier, masked, 2, targets, batch_size).T
    lost = np.maximum(before - after, 0)
    drop = np.divide(lost, before, out=np.full_like(lost, np.nan), where=before > 0)
    return ConfidenceChange(drop, (after > before).astype(np.float64))


def probability_without(
    classifier: Classifier,
    images: np.ndarray,
    masks: np.ndarray,
    targets: Targets = None,
    *,
    batch_size: int = BATCH,
) -> np.ndarray:
    """The target's probability when a region of each image has the image's mean colour.

    Parameters
    ----------
    classifier
        The model.
    images
        N x H x W x C, in the model's range.
    masks
        N x H x W, bool: the pixels to remove. An empty mask removes none.
    targets
        Classes, as for an explainer; by default the classes predicted for the whole images.
    batch_size
        The number of images at a time; it does not change the result.

    Returns
    -------
    numpy.ndarray
        N, 0-1; with a `score` of your own, its values.

    Raises
    ------
    CifarcamError
        When images, masks and targets do not fit each other or the model.
    """
    pixels = classifier.checked_images(images, batch_size)
    regions = checked_pair(pixels, masks).astype(bool)[..., np.newaxis]
    targets = target_array(classifier, pixels, targets, batch_size)
    grounds = mean_colours(pixels)

    def without(numbers: np.ndarray, _: np.ndarray) -> np.ndarray:
        whole = pixels[numbers].astype(np.float32)
        return np.where(regions[numbers], grounds[numbers], whole)

    return altered_values(classifier, without, 1, targets, batch_size)[:, 0]
