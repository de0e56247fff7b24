"""Maps of the difference of two scores, and how often removing what they mark turns the answer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cifarcam import explain

SHARE = 0.2  # of the pixels, removed


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
        name: classifier.scores(removed(images, values, share)).argmax(axis=1) == rivals
        for name, values in maps.items()
    }


def chosen(
    predicted: np.ndarray, labels: np.ndarray, pair: tuple[int, int], count: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of images of two classes that a network predicts rightly, and their rivals.

    As many as `count` in random order, of both classes as they come.
    """
    right = np.flatnonzero((predicted == labels) & np.isin(labels, pair))
    indices = np.sort(np.random.default_rng([seed, *pair]).permutation(right)[:count])
    return indices, np.where(labels[indices] == pair[0], pair[1], pair[0])
