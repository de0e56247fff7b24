"""What cameras and programs do: contrast, distortion, coarse pixels, JPEG."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image
from scipy import ndimage

from cifarcam.data.corruptions.levels import drawn, to_levels, to_unit

CONTRAST = (0.75, 0.5, 0.4, 0.3, 0.15)
# Largest shift before smoothing, deviation of the smoothing, largest shift of a corner; pixels.
ELASTIC = ((0, 0, 2.56), (1.6, 6.4, 2.24), (2.56, 1.92, 1.92), (3.2, 1.28, 1.6), (3.2, 0.96, 0.96))
CORNERS = ((26, 26), (26, 6), (6, 6))  # column, row: three corners of a square in the middle
PIXELS = (30, 28, 27, 24, 20)  # of 32 along each side
QUALITY = (80, 65, 58, 50, 40)


def contrast(
    images: np.ndarray, severity: int, generators: Sequence[np.random.Generator]
) -> np.ndarray:
    """Bring each channel nearer to its mean over the image."""
    values = to_unit(images)
    means = values.mean(axis=(1, 2), keepdims=True)
    return to_levels((values - means) * np.float32(CONTRAST[severity - 1]) + means)


def elastic(
    images: np.ndarray, severity: int, generators: Sequence[np.random.Generator]
) -> np.ndarray:
    """Distort: first by a random affine map, then by smooth random shifts of each pixel."""
    shift, deviation, corner = ELASTIC[severity - 1]
    size = images.shape[1]
    corners = np.array(CORNERS, float)
    moved = corners + drawn(generators, lambda rng: rng.uniform(-corner, corner, (3, 2)))
    # The map takes the corners to `moved`; each pixel asks where it comes from.
    back = np.linalg.solve(np.insert(moved, 2, 1, axis=2), np.broadcast_to(corners, moved.shape))
    rows, columns = np.mgrid[:size, :size]
    pixels = np.stack([columns, rows, np.ones_like(rows)], axis=-1).reshape(1, -1, 3)
    source = (pixels @ back).reshape(-1, size, size, 2)
    turned = sample(to_unit(images), source[..., 1], source[..., 0], "mirror")
    shifts = drawn(generators, lambda rng: rng.uniform(-1, 1, (2, size, size)))
    smooth = ndimage.gaussian_filter(
        shifts, (0, 0, deviation, deviation), mode="reflect", truncate=3
    )
    return to_levels(
        sample(turned, rows + shift * smooth[:, 0], columns + shift * smooth[:, 1], "reflect")
    )


def sample(images: np.ndarray, rows: np.ndarray, columns: np.ndarray, edge: str) -> np.ndarray:
    """Interpolate images between pixels, linearly in both directions.

    Parameters
    ----------
    images
        float32, N x H x H x C.
    rows, columns
        Where to look, N x H x H.
    edge
        What lies beyond the edges: ``"mirror"``, the image reflected at the centre of its last
        pixel, or ``"reflect"``, at that pixel's outer edge, as SciPy names them.

    Returns
    -------
    numpy.ndarray
        float32, N x H x H x C.
    """
    count, size = images.shape[:2]
    first = [np.floor(place).astype(int) for place in (rows, columns)]
    parts = [
        (place - one).astype(np.float32)[..., None]
        for place, one in zip((rows, columns), first, strict=True)
    ]
    flat = images.reshape(count * size * size, -1)
    start = size * size * np.arange(count)[:, None, None]
    total = np.zeros_like(images)
    for down in (0, 1):
        row = _folded(first[0] + down, size, edge)
        for right in (0, 1):
            column = _folded(first[1] + right, size, edge)
            weight = (parts[0] if down else 1 - parts[0]) * (parts[1] if right else 1 - parts[1])
            total += weight * flat[start + size * row + column]
    return total


def _folded(index: np.ndarray, size: int, edge: str) -> np.ndarray:
    """Indices beyond the edges as those of the pixels that are reflected there."""
    period, repeated = (2 * size - 2, 0) if edge == "mirror" else (2 * size, 1)
    place = np.mod(index, period)
    return np.minimum(place, period - place - repeated)


def pixelate(
    images: np.ndarray, severity: int, generators: Sequence[np.random.Generator]
) -> np.ndarray:
    """Shrink and enlarge again, each pixel the mean of those that it covers."""
    few, size = PIXELS[severity - 1], images.shape[1]

    def coarse(image: np.ndarray) -> np.ndarray:
        small = Image.fromarray(image).resize((few, few), Image.Resampling.BOX)
        return np.asarray(small.resize((size, size), Image.Resampling.BOX))

    return np.stack([coarse(image) for image in images])


def jpeg(
    images: np.ndarray, severity: int, generators: Sequence[np.random.Generator]
) -> np.ndarray:
    """Store as JPEG of low quality and read again."""

    def compressed(image: np.ndarray) -> np.ndarray:
        with io.BytesIO() as file:
            Image.fromarray(image).save(file, "JPEG", quality=QUALITY[severity - 1])
            return np.asarray(Image.open(file).convert("RGB"))

    return np.stack([compressed(image) for image in images])
