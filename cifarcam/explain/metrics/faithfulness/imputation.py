"""ROAD: the probability of a class after removed pixels are imputed from their neighbours."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import sparse
from scipy.sparse import linalg

from cifarcam.errors import CifarcamError
from cifarcam.explain._options import checked_number
from cifarcam.explain.classifier import BATCH, Classifier, Targets
from cifarcam.explain.metrics._checks import (
    altered_values,
    checked_pair,
    generator,
    pixel_order,
    target_array,
)
from cifarcam.explain.metrics.faithfulness.curves import Curve

NOISE = 0.01  # a share of the input range, as in the authors' code


def road(
    classifier: Classifier,
    images: np.ndarray,
    heatmaps: np.ndarray,
    targets: Targets = None,
    *,
    shares: Sequence[float] = (0.2, 0.4, 0.6, 0.8),
    least_first: bool = False,
    noise: float = NOISE,
    seed: int = 0,
    batch_size: int = BATCH,
) -> Curve:
    """The probability after noisy linear imputation of the highest (or lowest) pixels.

    ROAD (remove and debias): Rong et al. (2022), A Consistent and Efficient Evaluation Strategy for
    Attribution Methods. A removed pixel is the weighted mean of its neighbours plus
    Gaussian noise. The weights are 1/6 for the four neighbours beside it and 1/12 for the four at
    its corners; at the image's border they are scaled to the sum 1. Removed neighbours count as
    well, which gives a linear system. The removal thus leaves no edges in the shape of the heatmap.

    Parameters
    ----------
    classifier, images, heatmaps, targets, batch_size
        As for `deletion`.
    shares
        Shares of pixels removed, 0-1.
    least_first
        Whether to remove the lowest pixels first.
    noise
        Standard deviation of the noise as a share of the range from black to white, 0-1.
    seed
        Seed of the noise, and of the order among pixels with the same value.

    Raises
    ------
    CifarcamError
        When an option is out of range, images, heatmaps and targets do not fit, or black and white
        are unknown.
    """
    steps = np.array([checked_number("share", each, 0, 1, between=True) for each in shares])
    if len(steps) < 2:
        raise CifarcamError(f"shares are {shares}; give at least two between 0 and 1")
    imputed = _imputer(classifier, images, heatmaps, steps, least_first, noise, seed, batch_size)
    targets = target_array(classifier, images, targets, batch_size)
    return Curve(steps, altered_values(classifier, imputed, len(steps), targets, batch_size))


def imputed_images(
    classifier: Classifier,
    images: np.ndarray,
    heatmaps: np.ndarray,
    share: float,
    *,
    least_first: bool = False,
    noise: float = NOISE,
    seed: int = 0,
    batch_size: int = BATCH,
) -> np.ndarray:
    """The images whose probabilities `road` measures at one share of removed pixels.

    Parameters
    ----------
    classifier, images, heatmaps, least_first, noise, seed, batch_size
        As for `road`.
    share
        Share of pixels removed, 0-1.

    Returns
    -------
    numpy.ndarray
        Float32, N x H x W x C, in the model's range.

    Raises
    ------
    CifarcamError
        As `road` does.
    """
    shares = np.array([checked_number("share", share, 0, 1)])
    imputed = _imputer(classifier, images, heatmaps, shares, least_first, noise, seed, batch_size)
    numbers = np.arange(len(images))
    return imputed(numbers, np.zeros_like(numbers))


def _imputer(
    classifier: Classifier,
    images: np.ndarray,
    heatmaps: np.ndarray,
    shares: np.ndarray,
    least_first: bool,
    noise: float,
    seed: int,
    batch_size: int,
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """A function of numbers of images and of shares, k each -> imputed images, k x H x W x C."""
    span = classifier.needed_range("ROAD").span
    deviation = checked_number("noise", noise, 0, 1) * span
    pixels = classifier.checked_images(images, batch_size)
    maps = checked_pair(pixels, heatmaps, signed=True)
    order = pixel_order(-maps if least_first else maps, seed)
    counts = [round(share * order.shape[1]) for share in shares]
    if not 0 < min(counts) <= max(counts) < order.shape[1]:
        raise CifarcamError(
            f"shares are {shares.tolist()}; one of them removes none or all of the "
            f"{order.shape[1]} pixels"
        )
    system = _neighbours(*maps.shape[1:])
    draws = generator(seed).standard_normal(pixels.shape[1:]).astype(np.float32)
    flat_noise = (deviation * draws).reshape(order.shape[1], -1)

    def imputed(numbers: np.ndarray, alterations: np.ndarray) -> np.ndarray:
        flat = pixels[numbers].astype(np.float32).reshape(len(numbers), order.shape[1], -1)
        for image, number, step in zip(flat, numbers, alterations, strict=True):
            places = order[number, : counts[step]]
            image[places] = _imputed(system, image, places) + flat_noise[places]
        return flat.reshape(len(numbers), *pixels.shape[1:])

    return imputed


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
    # Diagonally dominant with a symmetric pattern: pivots may stay on the diagonal.
    factors = linalg.splu(
        matrix,
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
    solved = factors.solve(constants)
    back = np.empty(len(image), np.int64)
    back[order] = np.arange(len(order))
    return solved[back[places]]
