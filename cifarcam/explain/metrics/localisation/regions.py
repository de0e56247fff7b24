"""Parts of an image: the estimated foreground, the upper half of a mask, the border."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from cifarcam.errors import CifarcamError
from cifarcam.explain.metrics._checks import checked_maps
from cifarcam.explain.metrics.localisation.scenes import energy_inside


def foreground(images: np.ndarray, frame: int = 2) -> np.ndarray:
    """A rough estimate of where the object is: what differs in colour from the picture's border.

    The colours in a frame of `frame` pixels are taken for the background's. A pixel's distance
    from them is the tenth percentile of its Euclidean distances in RGB from the frame's pixels, smoothed
    (Gaussian, 1 pixel); what lies above Otsu's threshold (Otsu 1979) is foreground. It fails where
    object and background share colours, where the object reaches the border, and where the
    background has colours that do not reach it. It is an estimate, with no truth behind it.

    Parameters
    ----------
    images
        N x H x W x 3, uint8.
    frame
        Width in pixels.

    Returns
    -------
    numpy.ndarray
        N x H x W, bool. A picture of one colour has no foreground.

    Raises
    ------
    CifarcamError
        When the images have another shape or the frame leaves no centre.
    """
    pixels = np.asarray(images, np.float64)
    if pixels.ndim != 4:
        raise CifarcamError(f"images have shape {pixels.shape}, not N x H x W x C")
    height, width = pixels.shape[1:3]
    _check_frame(height, width, frame)
    is_frame = np.ones((height, width), bool)
    is_frame[frame:-frame, frame:-frame] = False
    masks = np.zeros(pixels.shape[:3], bool)
    for index, image in enumerate(pixels):
        colours = image[is_frame]
        flat = image.reshape(-1, image.shape[-1])
        squares = (flat**2).sum(axis=1)[:, None] - 2 * flat @ colours.T + (colours**2).sum(axis=1)
        # The tenth percentile, not the least: a few frame pixels of the object do not hide it.
        nearest = np.sqrt(np.maximum(np.quantile(squares, 0.1, axis=1), 0))
        distance = ndimage.gaussian_filter(nearest.reshape(height, width), 1.0, mode="nearest")
        masks[index] = distance > _otsu(distance)
    return masks


def upper_half(masks: np.ndarray) -> np.ndarray:
    """The upper half of each mask by area: its pixels row by row from the top, half their number.

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
        When the masks have another shape.
    """
    inside = np.asarray(masks, bool)
    if inside.ndim != 3:
        raise CifarcamError(f"masks have shape {inside.shape}, not N x H x W")
    flat = inside.reshape(len(inside), -1)
    counted = np.cumsum(flat, axis=1)
    return (flat & (counted <= flat.sum(axis=1, keepdims=True) // 2)).reshape(inside.shape)


def _otsu(values: np.ndarray, bins: int = 64) -> float:
    """The threshold that separates a histogram's two parts by the greatest variance between them."""
    low, high = float(values.min()), float(values.max())
    if high - low < 1e-9:
        return high
    counts, edges = np.histogram(values, bins=bins, range=(low, high))
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    sums = np.cumsum(counts * centres)
    means = sums[:-1] / np.maximum(below, 1), (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    between = below * above * (means[0] - means[1]) ** 2
    return float(edges[1 + int(between.argmax())])


def border_share(heatmaps: np.ndarray, width: int = 8) -> np.ndarray:
    """The share of each heatmap's energy (its sum) that lies in a frame along the border.

    Parameters
    ----------
    heatmaps
        N x H x W, finite, at least 0.
    width
        The frame's width in pixels.

    Returns
    -------
    numpy.ndarray
        Float64, N, 0-1; NaN for a map that is zero everywhere. A uniform map gives
        `border_area`.

    Raises
    ------
    CifarcamError
        When the frame leaves no centre, or the heatmaps have another shape, negative values or
        values that are not finite.
    """
    maps = checked_maps(heatmaps)
    height, breadth = maps.shape[1:]
    _check_frame(height, breadth, width)
    frame = np.ones((height, breadth), bool)
    frame[width:-width, width:-width] = False
    return energy_inside(maps, np.broadcast_to(frame, maps.shape))


def border_area(height: int, breadth: int, width: int = 8) -> float:
    """The frame's share of the image's area, 0-1.

    Raises
    ------
    CifarcamError
        When the frame leaves no centre.
    """
    _check_frame(height, breadth, width)
    return 1 - (height - 2 * width) * (breadth - 2 * width) / (height * breadth)


def _check_frame(height: int, breadth: int, width: int) -> None:
    if width < 1:
        raise CifarcamError(f"a width of {width} pixels gives no frame; give at least 1")
    if 2 * width >= min(height, breadth):
        raise CifarcamError(
            f"a frame of {width} pixels leaves no centre in maps of {height} x {breadth}"
        )
