"""Regions of an image: the estimated foreground, the upper half of a mask, the border."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from cifarcam.errors import CifarcamError, require
from cifarcam.explain._options import checked_number
from cifarcam.explain.metrics._checks import checked_maps

FRAME, FRAME_PIXELS = 2 / 32, 256  # of the estimated background: share of a side, most pixels
BORDER = 1 / 4  # share of a side
CHUNK = 4096  # pixels whose distances from the frame are held at a time


def foreground(images: np.ndarray) -> np.ndarray:
    """A rough estimate of the object's pixels: those that differ in colour from the image's border.

    The estimate assumes that a frame along the border, a sixteenth of the image's height and width
    (2 pixels of 32), shows the background. The distance of a pixel from the background is the tenth
    percentile of its Euclidean distances in RGB from the pixels of the frame (at most 256 of them,
    evenly spaced), smoothed by a Gaussian with a standard deviation of 1/32 of height and width.
    Pixels above Otsu's threshold of these distances (Otsu 1979) are foreground. The estimate fails
    where object and background share colours, where the object touches the border, and where the
    background has colours that the border lacks. It needs ``pip install 'cifarcam[metrics]'``.

    Parameters
    ----------
    images
        N x H x W x 3, uint8.

    Returns
    -------
    numpy.ndarray
        N x H x W, bool. An image of one colour has no foreground.

    Raises
    ------
    MissingExtra
        When scikit-image is not installed.
    CifarcamError
        When the images have another shape or fewer than 3 x 3 pixels.
    """
    require("metrics", "skimage")
    pixels = np.asarray(images)
    if pixels.ndim != 4:
        raise CifarcamError(f"images have shape {pixels.shape}, not N x H x W x C")
    # Squared distances of bytes are whole numbers below 2^24: exact in float32, and faster.
    pixels = pixels.astype(np.float32 if pixels.dtype == np.uint8 else np.float64)
    height, width = pixels.shape[1:3]
    is_frame = _frame(height, width, FRAME) > 0
    if is_frame.all():
        raise CifarcamError(
            f"images of {height} x {width} pixels are too small; give 3 x 3 or more"
        )
    masks = np.zeros(pixels.shape[:3], bool)
    for index, image in enumerate(pixels):
        frame = image[is_frame]
        frame = frame[:: -(-len(frame) // FRAME_PIXELS)]
        nearest = _distances(image.reshape(-1, image.shape[-1]), frame).reshape(height, width)
        distance = ndimage.gaussian_filter(nearest, (height / 32, width / 32), mode="nearest")
        masks[index] = distance > _otsu(distance)
    return masks


def _distances(colours: np.ndarray, background: np.ndarray) -> np.ndarray:
    """The distance of each colour (N x C) from background colours (M x C), float64, N."""
    parts = np.array_split(colours, -(-len(colours) // CHUNK))
    # Not the minimum: the frame may contain a few pixels of the object.
    return np.sqrt(
        np.concatenate([_quantile(_squared_distances(part, background), 0.1) for part in parts])
    )


def _squared_distances(colours: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances of each colour (N x C) from each other one (M x C), N x M."""
    squares = np.zeros((len(colours), len(others)), colours.dtype)
    for channel in range(colours.shape[1]):
        difference = colours[:, channel, np.newaxis] - others[:, channel]
        squares += np.square(difference, out=difference)
    return squares


def _quantile(values: np.ndarray, share: float) -> np.ndarray:
    """`numpy.quantile` along the second axis, float64, without its float64 copy of all values."""
    place = share * (values.shape[1] - 1)
    index = int(place)
    ordered = np.partition(values, index, axis=1)
    ends = np.stack([ordered[:, index], ordered[:, index + 1 :].min(axis=1)], axis=1)
    return np.quantile(ends.astype(np.float64), place - index, axis=1)


def upper_half(masks: np.ndarray) -> np.ndarray:
    """The upper half of each mask: the first half of its pixels, row by row from the top.

    Parameters
    ----------
    masks
        N x H x W, bool.

    Returns
    -------
    numpy.ndarray
        N x H x W, bool.

    Raises
    ------
    CifarcamError
        When the masks are not N x H x W.
    """
    inside = np.asarray(masks, bool)
    if inside.ndim != 3:
        raise CifarcamError(f"masks have shape {inside.shape}, not N x H x W")
    flat = inside.reshape(len(inside), -1)
    counted = np.cumsum(flat, axis=1)
    return (flat & (counted <= flat.sum(axis=1, keepdims=True) // 2)).reshape(inside.shape)


def _otsu(values: np.ndarray) -> float:
    """Otsu's threshold from a histogram of 64 bins: the upper edge of the last bin below it."""
    from skimage.filters import threshold_otsu

    low, high = float(values.min()), float(values.max())
    if high - low < 1e-9:
        return high
    counts, edges = np.histogram(values, bins=64, range=(low, high))
    # Upper edges stand for the bins, so that no bin is divided; the means shift by a constant.
    return float(threshold_otsu(hist=(counts, edges[1:])))


def border_share(heatmaps: np.ndarray, width: float = BORDER) -> np.ndarray:
    """The share of each heatmap's sum that lies in a frame along the border.

    Parameters
    ----------
    heatmaps
        N x H x W, finite, at least 0.
    width
        Width of the frame as a share of the image's height (above and below) and width (left and
        right), between 0 and 0.5. A pixel that lies partly in the frame counts by that part, so
        that the size of the image hardly matters.

    Returns
    -------
    numpy.ndarray
        Float64, N, 0-1; NaN for a heatmap that is zero everywhere. For a uniform heatmap the share
        is `border_area`.

    Raises
    ------
    CifarcamError
        When `width` is out of range, or the heatmaps have another shape, negative values or values
        that are not finite.
    """
    maps = checked_maps(heatmaps)
    total = maps.sum(axis=(1, 2))
    within = (maps * _frame(maps.shape[1], maps.shape[2], width)).sum(axis=(1, 2))
    return np.divide(within, total, out=np.full(len(maps), np.nan), where=total > 0)


def border_area(width: float = BORDER) -> float:
    """The share of an image's area, 0-1, that the frame of `border_share` covers.

    Raises
    ------
    CifarcamError
        When `width` is out of range.
    """
    return float(_frame(1, 1, width)[0, 0])


def _frame(height: int, breadth: int, width: float) -> np.ndarray:
    """The part of each pixel, 0-1, that lies in a frame along the border: height x breadth."""
    width = checked_number("width", width, 0, 0.5, between=True)
    inside = []
    for side in (height, breadth):
        ends = np.clip(np.arange(side + 1), width * side, (1 - width) * side)
        inside.append(np.diff(ends))
    return 1 - np.outer(*inside)
