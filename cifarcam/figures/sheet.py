"""Sheets: figures on which pictures and texts are placed in inches."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cifarcam.errors import CifarcamError
from cifarcam.figures.style import WIDTH


def sheet(height: float, width: float = WIDTH) -> tuple[Figure, Axes]:
    """An empty figure, and axes that measure inches from its upper left corner."""
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
    axes.axis("off")
    return figure, axes


def place(axes: Axes, picture: np.ndarray, x: float, y: float, width: float) -> None:
    """Put an H x W x 3 uint8 picture on a sheet, its upper left corner at (x, y) inches.

    Each pixel is repeated up to about 100 pixels an inch, so that no viewer blurs the picture.
    """
    factor = max(1, round(100 * width / picture.shape[1]))
    enlarged = picture.repeat(factor, axis=0).repeat(factor, axis=1)
    height = width * picture.shape[0] / picture.shape[1]
    axes.imshow(enlarged, extent=(x, x + width, y + height, y), interpolation="none", aspect="auto")


def mosaic(pictures: np.ndarray, columns: int, gap: int) -> np.ndarray:
    """Join N x H x W x 3 uint8 pictures row by row, with `gap` white pixels between them."""
    height, width = pictures.shape[1:3]
    rows = -(-len(pictures) // columns)
    joined = np.full(
        (rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, dtype=np.uint8
    )
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        top, left = row * (height + gap), column * (width + gap)
        joined[top : top + height, left : left + width] = picture
    return joined


def checked_pictures(images: Any, name: str = "images") -> np.ndarray:
    """`images` as an N x H x W x 3 uint8 array.

    Raises
    ------
    CifarcamError
        When they have another shape or dtype.
    """
    pictures = np.asarray(images)
    if pictures.ndim != 4 or pictures.shape[-1] != 3 or pictures.dtype != np.uint8:
        raise CifarcamError(
            f"{name}: {pictures.dtype} of shape {pictures.shape}; give N x H x W x 3 uint8"
        )
    return pictures
