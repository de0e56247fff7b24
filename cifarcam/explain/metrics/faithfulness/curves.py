"""Curves of a class's probability as pixels are removed or added in the order of a heatmap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse import linalg

from cifarcam.errors import CifarcamError
from cifarcam.explain.classifier import Classifier, Targets
from cifarcam.explain.metrics._checks import checked_pair, pixel_order, target_classes


@dataclass(frozen=True)
class Curve:
    """The target's probability at several shares of changed pixels.

    Attributes
    ----------
    shares
        Shares of pixels changed, 0-1, one per step.
    probabilities
        N x steps, 0-1.
    """

    shares: np.ndarray
    probabilities: np.ndarray

    @property
    def areas(self) -> np.ndarray:
        """Area under each curve (trapezoidal rule) divided by the range of shares: N, 0-1."""
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
) -> Curve:
    """The probability as pixels are removed, highest in the heatmap first (lower areas are better).

    Petsiuk et al. (2018), RISE, Section 4.2. A removed pixel has the mean colour of its image.

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

    Raises
    ------
    CifarcamError
        When images, heatmaps and targets do not fit each other or the model.
    """
    pixels = np.asarray(classifier.checked_images(images), np.float32)
    ground = np.broadcast_to(pixels.mean(axis=(1, 2), keepdims=True), pixels.shape)
    return _curve(classifier, pixels, ground, heatmaps, targets, steps, seed)


def insertion(
    classifier: Classifier,
    images: np.ndarray,
    heatmaps: np.ndarray,
    targets: Targets = None,
    *,
    steps: int = 16,
    seed: int = 0,
) -> Curve:
    """The probability as pixels are added, highest in the heatmap first (higher areas are better).

    Petsiuk et al. (2018), RISE, Section 4.2. The curve begins with a blurred image (a Gaussian with
    a standard deviation of an eighth of the image's height and width). Parameters and errors are
    those of `deletion`.
    """
    pixels = np.asarray(classifier.checked_images(images), np.float32)
    sigma = (0, pixels.shape[1] / 8, pixels.shape[2] / 8, 0)
    ground = ndimage.gaussian_filter(pixels, sigma, mode="nearest")
    return _curve(classifier, ground, pixels, heatmaps, targets, steps, seed, whole=pixels)


def road(
    classifier: Classifier,
    images: np.ndarray,
    heatmaps: np.ndarray,
    targets: Targets = None,
    *,
    shares: Sequence[float] = (0.2, 0.4, 0.6, 0.8),
    least_first: bool = False,
    noise: float = 2.55,
    seed: int = 0,
) -> Curve:
    """The probability after noisy linear imputation of the highest (or lowest) pixels.

    ROAD (remove and debias): Rong et al. (2022), A Consistent and Efficient Evaluation Strategy for
    Attribution Methods, Section 4. A removed pixel is the weighted mean of its neighbours plus
    Gaussian noise. The weights are 1/6 for the four neighbours beside it and 1/12 for the four at
    its corners; at the image's border they are scaled to the sum 1. Removed neighbours count as
    well, which gives a linear system. The removal thus leaves no edges in the shape of the heatmap.

    Parameters
    ----------
    classifier, images, heatmaps, targets
        As for `deletion`.
    shares
        Shares of pixels removed, 0-1.
    least_first
        Whether to remove the lowest pixels first.
    noise
        Standard deviation of the noise in the units of `images`; by default 0.01 of 0-255, as in
        the paper.
    seed
        Seed of the noise, and of the order among pixels with the same value.

    Raises
    ------
    CifarcamError
        When `shares` are out of range, or images, heatmaps and targets do not fit.
    """
    removed = np.asarray(shares, np.float64)
    if removed.ndim != 1 or len(removed) < 2 or (removed <= 0).any() or (removed >= 1).any():
        raise CifarcamError(f"shares are {shares}; give at least two between 0 and 1")
    pixels = np.asarray(classifier.checked_images(images), np.float32)
    maps = checked_pair(pixels, heatmaps, signed=True)
    order = pixel_order(-maps if least_first else maps, seed)
    classes = target_classes(classifier, pixels, targets)
    counts = [round(share * order.shape[1]) for share in removed]
    if not 0 < min(counts) <= max(counts) < order.shape[1]:
        raise CifarcamError(
            f"shares are {shares}; one of them removes none or all of the {order.shape[1]} pixels"
        )
    system = _neighbours(*maps.shape[1:])
    draws = np.random.default_rng(seed).standard_normal(pixels.shape[1:]).astype(np.float32)
    probabilities = []
    for count in counts:
        imputed = pixels.reshape(len(pixels), order.shape[1], -1).copy()
        flat_noise = noise * draws.reshape(order.shape[1], -1)
        for image, places in zip(imputed, order[:, :count], strict=True):
            image[places] = _imputed(system, image, places) + flat_noise[places]
        outputs = classifier.probabilities(imputed.reshape(pixels.shape))
        probabilities.append(outputs[np.arange(len(pixels)), classes])
    return Curve(removed, np.stack(probabilities, axis=1))


def _curve(
    classifier: Classifier,
    start: np.ndarray,
    end: np.ndarray,
    heatmaps: np.ndarray,
    targets: Targets,
    steps: int,
    seed: int,
    whole: np.ndarray | None = None,
) -> Curve:
    """The curve from image `start` to image `end`, the heatmap's highest pixels first."""
    if steps < 1:
        raise CifarcamError(f"steps is {steps}; give at least 1")
    maps = checked_pair(start, heatmaps, signed=True)
    classes = target_classes(classifier, start if whole is None else whole, targets)
    order = pixel_order(maps, seed)
    ranks = np.argsort(order, axis=1).reshape(maps.shape)
    shares = np.arange(steps + 1) / steps
    probabilities = []
    for share in shares:
        is_changed = ranks < round(share * order.shape[1])
        outputs = classifier.probabilities(np.where(is_changed[..., None], end, start))
        probabilities.append(outputs[np.arange(len(maps)), classes])
    return Curve(shares, np.stack(probabilities, axis=1))


def _neighbours(height: int, width: int) -> sparse.csr_matrix:
    """Weights of each pixel's neighbours, (H W) x (H W); each row has the sum 1."""
    places = np.arange(height * width).reshape(height, width)
    rows, columns, weights = [], [], []
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            if down == right == 0:
                continue
            here = places[
                max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)
            ]
            there = places[
                max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)
            ]
            rows.append(here.ravel())
            columns.append(there.ravel())
            weights.append(np.full(here.size, 1 / 12 if down and right else 1 / 6))
    matrix = sparse.csr_matrix(
        (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))),
        shape=(places.size, places.size),
    )
    return sparse.csr_matrix(sparse.diags(1 / np.asarray(matrix.sum(axis=1)).ravel()) @ matrix)


def _imputed(system: sparse.csr_matrix, image: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Values of the removed pixels, each the weighted mean of its neighbours."""
    is_removed = np.zeros(len(image), bool)
    is_removed[places] = True
    order = np.flatnonzero(is_removed)
    rows = system[order]
    constants = rows[:, ~is_removed] @ image[~is_removed].astype(np.float64)
    matrix = sparse.identity(len(order), format="csc") - rows[:, order].tocsc()
    solved = linalg.splu(matrix).solve(constants)
    back = np.empty(len(image), np.int64)
    back[order] = np.arange(len(order))
    return solved[back[places]]
