"""Maps of the difference of two scores, and how often removing what they mark turns the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cifarcam import explain
from cifarcam.studies.summaries import summary
from cifarcam.studies.swaps import BATCH
from cifarcam.studies.where_material import Material

SHARE = 0.2  # of the pixels, removed
PAIRS = (("cat", "dog"), ("automobile", "truck"), ("airplane", "ship"))
IMAGES = 400  # of each pair


def removed(images: np.ndarray, heatmaps: np.ndarray, share: float = SHARE) -> np.ndarray:
    """Images whose pixels of the highest map values have the image's mean colour, float32.

    Parameters
    ----------
    images
        N x H x W x C.
    heatmaps
        N x H x W; the order of equal values is random, the same for all images.
    share
        Share of the pixels to remove, 0-1, at least one pixel.
    """
    pixels = np.asarray(images, np.float32)
    flat = np.asarray(heatmaps).reshape(len(pixels), -1)
    ties = np.random.default_rng(0).permutation(flat.shape[1])
    order = ties[np.argsort(-flat[:, ties], axis=1, kind="stable")]
    count = max(1, round(share * flat.shape[1]))
    masks = np.zeros(flat.shape, bool)
    np.put_along_axis(masks, order[:, :count], True, axis=1)
    means = pixels.mean(axis=(1, 2), keepdims=True)
    return np.where(masks.reshape(pixels.shape[:3])[..., np.newaxis], means, pixels)


def turned(
    classifier: explain.Classifier,
    images: np.ndarray,
    rivals: np.ndarray,
    maps: Mapping[str, np.ndarray],
    share: float = SHARE,
) -> dict[str, np.ndarray]:
    """Whether removing the pixels that each map marks makes the rival the answer, bool, N each.

    Parameters
    ----------
    classifier
        The model.
    images
        N x H x W x C.
    rivals
        The class to which the answer would turn, N.
    maps
        Heatmaps by name, N x H x W.
    share
        Share of the pixels to remove, 0-1.
    """
    return {
        name: classifier.scores(removed(images, values, share), BATCH).argmax(axis=1) == rivals
        for name, values in maps.items()
    }


def chosen(
    predicted: np.ndarray, labels: np.ndarray, pair: tuple[int, int], count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of images of two classes that a network predicts rightly, and their rivals.

    As many as `count` in random order, of both classes as they come.
    """
    right = np.flatnonzero((predicted == labels) & np.isin(labels, pair))
    indices = np.sort(np.random.default_rng([0, *pair]).permutation(right)[:count])
    return indices, np.where(labels[indices] == pair[0], pair[1], pair[0])


def rates(
    classifier: explain.Classifier,
    explainer: explain.Explainer,
    on: Material,
    predicted: np.ndarray,
) -> dict[str, Any]:
    """How often removing the pixels that a map marks turns the answer to the pair's other class.

    The images are right predictions of two classes. The contrast map explains the score of the
    true class minus the score of the other class, the plain map the true class.
    """
    found = {}
    for pair in PAIRS:
        first, second = (on.class_names.index(name) for name in pair)
        indices, rivals = chosen(predicted, on.labels, (first, second), IMAGES)
        if not indices.size:
            continue
        images, labels = on.images[indices], on.labels[indices]
        maps = {
            "contrast": explainer(images, labels, against=rivals, batch_size=BATCH),
            "plain": explainer(images, labels, batch_size=BATCH),
            "random": explain.RandomMap(classifier)(images, labels),
            "centre": explain.CentreBlob(classifier)(images, labels),
        }
        turns = turned(classifier, images, rivals, maps)
        percent = {name: 100.0 * values for name, values in turns.items()}
        found["-".join(pair)] = {
            "turned": {name: summary(values) for name, values in percent.items()},
            "contrast_minus": {
                name: summary(percent["contrast"] - percent[name])
                for name in ("plain", "random", "centre")
            },
        }
    return found
