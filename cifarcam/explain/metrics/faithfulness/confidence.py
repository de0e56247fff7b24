"""The probability of a class when a heatmap or a mask hides part of the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cifarcam.explain.classifier import Classifier, Targets
from cifarcam.explain.metrics._checks import checked_pair, target_classes


@dataclass(frozen=True)
class ConfidenceChange:
    """The change of the target's probability when its heatmap masks the image, N each.

    Attributes
    ----------
    drop
        The share of the probability that is lost, 0-1 (0 if it rises): lower is better.
    increase
        1.0 if the probability rises, else 0.0: higher is better.
    """

    drop: np.ndarray
    increase: np.ndarray


def confidence_change(
    classifier: Classifier, images: np.ndarray, heatmaps: np.ndarray, targets: Targets = None
) -> ConfidenceChange:
    """Drop and increase in confidence for each image.

    Chattopadhay et al. (2018), Grad-CAM++, Section 4.1: the image is multiplied by the heatmap
    divided by its maximum, so that pixels without evidence become black.

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

    Raises
    ------
    CifarcamError
        When images, heatmaps and targets do not fit each other or the model.
    """
    pixels = np.asarray(classifier.checked_images(images), np.float32)
    maps = checked_pair(pixels, heatmaps)
    classes = target_classes(classifier, pixels, targets)
    peaks = maps.max(axis=(1, 2), keepdims=True)
    masks = np.divide(maps, peaks, out=np.zeros_like(maps), where=peaks > 0)
    each = np.arange(len(pixels))
    before = classifier.probabilities(pixels)[each, classes]
    after = classifier.probabilities(pixels * masks[..., None])[each, classes]
    lost = np.maximum(before - after, 0)
    drop = np.divide(lost, before, out=np.zeros_like(lost), where=before > 0)
    return ConfidenceChange(drop, (after > before).astype(np.float64))


def probability_without(
    classifier: Classifier, images: np.ndarray, masks: np.ndarray, targets: Targets = None
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

    Returns
    -------
    numpy.ndarray
        N, 0-1.

    Raises
    ------
    CifarcamError
        When images, masks and targets do not fit each other or the model.
    """
    pixels = np.asarray(classifier.checked_images(images), np.float32)
    removed = checked_pair(pixels, masks).astype(bool)[..., np.newaxis]
    classes = target_classes(classifier, pixels, targets)
    changed = np.where(removed, pixels.mean(axis=(1, 2), keepdims=True), pixels)
    return classifier.probabilities(changed)[np.arange(len(pixels)), classes]
