"""Blurs: out of focus, through frosted glass, by motion, by zooming."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from cifarcam.data.corruptions.levels import drawn, to_levels, to_unit

DISC = ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))  # radius, soft edge; pixels
GLASS = ((0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2))  # Gaussian's deviation, rounds
MOTION = ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5))  # radius, deviation along the path; pixels
ZOOM = (1.06, 1.11, 1.16, 1.21, 1.26)  # where the factors end, which rise by 0.01


def defocus(
    images: np.ndarray, severity: int, generators: Sequence[np.random.Generator]
) -> np.ndarray:
    """Blur by a small disc, as a lens out of focus does."""
    kernel = disc(*DISC[severity - 1])
    reach = len(kernel) // 2
    size = images.shape[1]
    edges = ((0, 0), (reach, reach), (reach, reach), (0, 0))
    padded = np.pad(to_unit(images), edges, mode="reflect")
    blurred = np.zeros(images.shape, np.float32)
    for (row, column), weight in np.ndenumerate(kernel):
        if weight:
            blurred += weight * padded[:, row : row + size, column : column + size]
    return to_levels(blurred)


def disc(radius: float, softness: float) -> np.ndarray:
    """An even disc, smoothed over its 3 x 3 neighbours: float32, 7 x 7, with a sum of 1.

    Parameters
    ----------
    radius
        Pixels, below 3.
    softness
        Deviation of the smoothing Gaussian, pixels.
    """
    place = np.arange(-3, 4)
    even = (place[:, None] ** 2 + place**2 <= radius**2).astype(float)
    side = math.exp(-1 / (2 * softness**2))
    taps = np.array([side, 1, side]) / (1 + 2 * side)
    soft = ndimage.correlate(even / even.sum(), np.outer(taps, taps), mode="constant")
    return soft.astype(np.float32)


def glass(
    images: np.ndarray, severity: int, generators: Sequence[np.random.Generator]
) -> np.ndarray:
    """Blur a little, move pixels about, and blur again, as a pane of frosted glass does.

    The recipe means to swap a pixel with a neighbour. Its assignment copies the neighbour instead:
    both sides are views of one array. The published images are made in this way, and so are ours.
    """
    deviation, rounds = GLASS[severity - 1]
    shuffled = to_levels(_smooth(to_unit(images), deviation))
    size = images.shape[1]
    moves = drawn(generators, lambda rng: rng.integers(-1, 1, (rounds, 2, size, size)))
    for step in range(rounds):
        shuffled = shuffle(shuffled, moves[:, step])
    return to_levels(_smooth(to_unit(shuffled), deviation))


def shuffle(images: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """Copy into every pixel the pixel that its move points to; rows and columns 0 and 1 stay.

    Parameters
    ----------
    images
        uint8, N x H x W x 3.
    moves
        Down and to the right, -1 or 0, N x 2 x H x W.
    """
    count, size = images.shape[:2]
    moves = moves.copy()
    moves[:, :, :2], moves[:, :, :, :2] = 0, 0
    place = np.arange(size)
    rows, columns = place[:, None] + moves[:, 0], place + moves[:, 1]
    return images[np.arange(count)[:, None, None], rows, columns]


def motion(
    images: np.ndarray, severity: int, generators: Sequence[np.random.Generator]
) -> np.ndarray:
    """Smear along a line, as when camera or object moves: at most 45 degrees from the horizontal."""
    angles = drawn(generators, lambda rng: rng.uniform(-45, 45, ()))
    radius, deviation = MOTION[severity - 1]
    smeared = smear(images.astype(np.float32), int(radius), deviation, angles)
    return np.rint(smeared).astype(np.uint8)  # ImageMagick rounds


def smear(images: np.ndarray, radius: int, deviation: float, angles: np.ndarray) -> np.ndarray:
    """Weighted means along a line that begins at each pixel, as ImageMagick's motion blur.

    The weights fall off as one half of a Gaussian. Beyond the edges the nearest pixel counts.

    Parameters
    ----------
    images
        float32, N x H x W x C.
    radius
        Half the length of the line, pixels.
    deviation
        Of the Gaussian, pixels.
    angles
        Degrees, N; 0 is to the right, 90 down.
    """
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-(steps**2) / (2 * deviation**2))
    weights = (weights / weights.sum()).astype(np.float32)
    directions = np.stack([np.sin(np.deg2rad(angles)), np.cos(np.deg2rad(angles))], axis=1)
    offsets = np.ceil(directions[:, None] * steps[:, None] - 0.5).astype(int)
    reach = 2 * radius
    size = images.shape[1]
    edges = ((0, 0), (reach, reach), (reach, reach), (0, 0))
    padded = np.pad(images, edges, mode="edge")
    smeared = np.zeros_like(images)
    # Few lines differ once rounded to pixels: images of the same line are smeared together.
    lines, groups = np.unique(offsets, axis=0, return_inverse=True)
    for number, line in enumerate(lines):
        members = np.flatnonzero(groups.ravel() == number)
        source, total = padded[members], np.zeros_like(images[members])
        for (down, right), weight in zip(line + reach, weights, strict=True):
            total += weight * source[:, down : down + size, right : right + size]
        smeared[members] = total
    return smeared


def zoom(
    images: np.ndarray, severity: int, generators: Sequence[np.random.Generator]
) -> np.ndarray:
    """The mean of the image and of ever larger copies of its middle."""
    count, size = images.shape[:2]
    planes = to_unit(images).transpose(0, 3, 1, 2).reshape(3 * count, size * size)
    mean = planes @ _zooms(severity, size)
    return to_levels(mean.reshape(count, 3, size, size).transpose(0, 2, 3, 1))


@functools.cache
def _zooms(severity: int, size: int) -> np.ndarray:
    """What a pixel of an image adds to each pixel of the mean: float32, HW x HW."""
    factors = np.arange(1, ZOOM[severity - 1], 0.01)
    flat = np.stack([zoom_matrix(float(factor), size).ravel() for factor in factors])
    # The Kronecker product of each matrix with itself, summed: [row, column] x [row, column].
    total = (flat.T @ flat).reshape(size, size, size, size).transpose(1, 3, 0, 2)
    total = total.reshape(size * size, size * size) + np.eye(size * size)
    return np.asarray(total / (len(factors) + 1), np.float32)


def zoom_matrix(factor: float, size: int) -> np.ndarray:
    """The matrix that enlarges the middle of a row of pixels to its full length: size x size.

    The middle has size / `factor` pixels, rounded up. It is interpolated linearly, ends upon ends,
    to `factor` times its length; what is too long is cut off on both sides.
    """
    inner = math.ceil(size / factor)
    length = round(inner * factor)
    first, cut = (size - inner) // 2, (length - size) // 2
    place = np.arange(cut, cut + size) * (inner - 1) / (length - 1)
    left = np.minimum(place.astype(int), inner - 2)
    matrix = np.zeros((size, size))
    rows = np.arange(size)
    matrix[rows, first + left] = 1 - (place - left)
    matrix[rows, first + left + 1] = place - left
    return matrix


def _smooth(values: np.ndarray, deviation: float) -> np.ndarray:
    """Images smoothed by a Gaussian cut off at four deviations, edges repeated."""
    return ndimage.gaussian_filter(values, (0, deviation, deviation, 0), mode="nearest")
