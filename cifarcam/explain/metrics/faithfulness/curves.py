"""Curves: the probability of a class as pixels go or come in the order of a heatmap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse import linalg

from cifarcam.errors import CifarcamError
from cifarcam.explain.classifier import Classifier, Targets
from cifarcam.explain.metrics._checks import checked_pair, pixel_order
from cifarcam.explain.metrics.faithfulness.confidence import target_classes


@dataclass(frozen=True)
class Curve:
    """The target's probability by the share of pixels changed.

    Attributes
    ----------
    shares
        Steps, 0-1.
    probabilities
        N x steps, 0-1.
    """

    shares: np.ndarray
    probabilities: np.ndarray

    @property
    def areas(self) -> np.ndarray:
        """Area under each image's curve by trapezoids, over the shares' range: N, 0-1."""
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
    """The probability as pixels go, the highest of the heatmap first (lower areas are better).

    After Petsiuk et al. (2018), RISE, Section 4.2. A pixel that goes takes the mean colour of its
    image.

    Parameters
    ----------
    classifier
        The model.
    images
        N x H x W x C, in the model's range.
    heatmaps
        N x H x W, any real values: only their order counts.
    targets
        Classes, as an explainer takes them.
    steps
        Steps from no pixel to all.
    seed
        Of the order among pixels of the same value, such as those of a zero map.

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
    """The probability as pixels come into a blurred image, the highest first (higher is better).

    After Petsiuk et al. (2018), RISE, Section 4.2. The blur is Gaussian with a standard deviation
    of an eighth of the image's height and width. Parameters and errors are those of `deletion`.
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

    ROAD, after Rong et al. (2022), A Consistent and Efficient Evaluation Strategy for Attribution
    Methods, Section 4: a removed pixel is the weighted mean of its neighbours, 1/6 for those beside
    it and 1/12 for those at its corners, known or removed (a linear system; at the border the
    weights that remain are scaled up), plus Gaussian noise. So the removal leaves no edges that
    betray the heatmap's shape.

    Parameters
    ----------
    shares
        Shares of pixels removed, 0-1.
    least_first
        Remove the lowest pixels first.
    noise
        Standard deviation in pixel units; the paper's 0.01 of images in [0, 1].
    seed
        Of the noise, and of the order among pixels of the same value.

    The others, and the errors, are those of `deletion`.
    """
    given = np.asarray(shares, np.float64)
    if given.ndim != 1 or len(given) < 2 or (given <= 0).any() or (given >= 1).any():
        raise CifarcamError(f"shares are {shares}; give at least two between 0 and 1")
    pixels = np.asarray(classifier.checked_images(images), np.float32)
    maps = checked_pair(pixels, heatmaps, signed=True)
    order = pixel_order(-maps if least_first else maps, seed)
    classes = target_classes(classifier, pixels, targets)
    counts = [round(share * order.shape[1]) for share in given]
    if not 0 < min(counts) <= max(counts) < order.shape[1]:
        raise CifarcamError(
            f"shares are {shares}: of {order.shape[1]} pixels that leaves none to remove or to keep"
        )
    system = _neighbours(*maps.shape[1:])
    draws = np.random.default_rng(seed).standard_normal(pixels.shape[1:]).astype(np.float32)
    found = []
    for count in counts:
        imputed = pixels.reshape(len(pixels), order.shape[1], -1).copy()
        flat_noise = noise * draws.reshape(order.shape[1], -1)
        for image, places in zip(imputed, order[:, :count], strict=True):
            image[places] = _imputed(system, image, places) + flat_noise[places]
        probabilities = classifier.probabilities(imputed.reshape(pixels.shape))
        found.append(probabilities[np.arange(len(pixels)), classes])
    return Curve(given, np.stack(found, axis=1))


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
    """From `start` to `end`, the heatmap's highest pixels first."""
    if steps < 1:
        raise CifarcamError(f"steps is {steps}; give at least 1")
    maps = checked_pair(start, heatmaps, signed=True)
    classes = target_classes(classifier, start if whole is None else whole, targets)
    order = pixel_order(maps, seed)
    ranks = np.argsort(order, axis=1).reshape(maps.shape)
    shares = np.arange(steps + 1) / steps
    found = []
    for share in shares:
        is_changed = ranks < round(share * order.shape[1])
        probabilities = classifier.probabilities(np.where(is_changed[..., None], end, start))
        found.append(probabilities[np.arange(len(maps)), classes])
    return Curve(shares, np.stack(found, axis=1))


def _neighbours(height: int, width: int) -> sparse.csr_matrix:
    """Weights of each pixel's neighbours, (H W) x (H W), rows summing to 1."""
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
    """Values of the removed pixels, so that each is the weighted mean of its neighbours."""
    is_removed = np.zeros(len(image), bool)
    is_removed[places] = True
    order = np.flatnonzero(is_removed)
    rows = system[order]
    known = rows[:, ~is_removed] @ image[~is_removed].astype(np.float64)
    matrix = sparse.identity(len(order), format="csc") - rows[:, order].tocsc()
    solved = linalg.splu(matrix).solve(known)
    back = np.empty(len(image), np.int64)
    back[order] = np.arange(len(order))
    return solved[back[places]]
